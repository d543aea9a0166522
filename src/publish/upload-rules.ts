/** What a version, a zip and its go.mod must be to be published here: stricter than what is taken from sources. */
import { isUtf8 } from 'node:buffer';
import { maxGoModBytes, parseGoModLax } from '../gomod/go-mod-file.ts';
import { quoteForMessage } from '../gomod/invalid-request.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { isIncompatible, isPseudoVersion, parseCanonicalVersion } from '../gomod/version.ts';
import { ModferryError } from '../lib/errors.ts';
import { ZipError, type ZipFacts } from '../zip/zip-types.ts';
import { PublishError } from './types.ts';

export interface VersionRules {
  /** True: pseudo-versions may be uploaded. */
  readonly allowPseudo: boolean;
}

/** Throws PublishError `invalid`. */
export function checkVersion(path: ModulePath, version: Version, rules: VersionRules): void {
  if (isIncompatible(version)) {
    throw invalid(
      `${version} cannot be published: +incompatible is for repositories without a go.mod; upload it as a module whose path ends in its major version, with a go.mod that declares that path`,
    );
  }
  if (parseCanonicalVersion(path, version) === undefined) {
    throw invalid(
      `${quoteForMessage(version)} is no version that ${path} can have; write a canonical one such as v1.2.3 whose major version fits the path`,
    );
  }
  if (isPseudoVersion(version) && !rules.allowPseudo) {
    throw invalid(
      `${version} is a pseudo-version, which names a commit of a repository; publish a tagged version such as v1.2.3`,
    );
  }
}

/** The go.mod of a zip and its hash. Throws PublishError `invalid` (ruling 11: uploads declare their own path). */
export function checkGoMod(path: ModulePath, facts: ZipFacts): { goMod: Buffer; goModH1: string } {
  const { goMod, goModH1 } = facts;
  if (goMod === undefined || goModH1 === undefined) {
    throw invalid(`the zip has no go.mod; add one to the module's root that begins with "module ${path}"`);
  }
  if (goMod.byteLength > maxGoModBytes) throw invalid(`the go.mod is larger than ${maxGoModBytes} bytes`);
  if (!isUtf8(goMod)) throw invalid('the go.mod is not UTF-8 text');
  const file = parseGoModLax(goMod);
  if (file.fault !== undefined) throw invalid(`the go.mod cannot be read: ${file.fault}`);
  if (file.module === undefined || file.module === '') {
    throw invalid(`the go.mod has no module line; write "module ${path}"`);
  }
  if (file.module !== path) {
    throw invalid(
      `the go.mod declares ${quoteForMessage(file.module)}, and the upload is for ${path}; publish it under the path it declares, or change its module line`,
    );
  }
  return { goMod, goModH1 };
}

/** Why the zip is refused, as the publisher is told; what is no fault of the zip comes back as it is. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof ZipError) || error.code.startsWith('verifier_')) return error;
  const code = error.code === 'too_large' || error.code === 'too_many_entries' ? 'too_large' : 'invalid';
  return new PublishError(code, `the zip is refused: ${error.message}`, {
    cause: error,
    fields: { zipCode: error.code },
  });
}

/** Longest reason that is kept, in characters. */
export const maxReasonLength = 500;

/** Trimmed. Throws PublishError `invalid` for an empty or too long one, or one with control characters. */
export function checkReason(reason: string): string {
  const text = reason.trim();
  if (text === '') throw invalid('a reason is needed; say why the version is taken back');
  if (text.length > maxReasonLength) throw invalid(`the reason is longer than ${maxReasonLength} characters`);
  if (/\p{C}/u.test(text)) throw invalid('the reason has control characters; write one line of text');
  return text;
}

export function invalid(message: string): PublishError {
  return new PublishError('invalid', message);
}

/** True for an error of ours that the store says for a full disk. */
export function isDiskFull(error: unknown): error is ModferryError {
  return error instanceof ModferryError && error.code === 'disk_full';
}
