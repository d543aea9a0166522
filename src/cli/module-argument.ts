/**
 * `MODULE[@VERSION]` as people type it, checked by Go's rules. The one place where a command turns an argument into
 * a module path and a version, so that every command refuses the same things in the same words.
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { fitsPath, isCanonical } from '../gomod/version.ts';
import { CliError } from './cli-error.ts';

export interface ModuleArgument {
  readonly path: ModulePath;
  /** Undefined when only the module was named. */
  readonly version: Version | undefined;
}

/** Throws CliError `usage`: no module path, or behind `@` no canonical version that fits it. */
export function parseModuleArgument(text: string): ModuleArgument {
  const { pathText, versionText } = splitAtVersion(text);
  const path = checkedPath(pathText);
  return { path, version: versionText === undefined ? undefined : checkedVersion(path, versionText) };
}

/** Cuts at the last `@`; no module path has one. */
export function splitAtVersion(text: string): { pathText: string; versionText: string | undefined } {
  const at = text.lastIndexOf('@');
  if (at < 0) return { pathText: text, versionText: undefined };
  return { pathText: text.slice(0, at), versionText: text.slice(at + 1) };
}

function checkedPath(text: string): ModulePath {
  if (text.includes('://')) {
    const bare = text.replace(/^.*?:\/\//, '').replace(/(?:\.git)?\/*$/, '');
    throw new CliError('usage', `"${text}" is a URL, not a module path; write ${bare}`);
  }
  try {
    return parseModulePath(text);
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new CliError('usage', `${error.message}; write it as in go.mod, e.g. golang.org/x/mod`, {
      cause: error,
    });
  }
}

/** Throws CliError `usage`. */
export function checkedVersion(path: ModulePath, text: string): Version {
  if (!isCanonical(text)) {
    const hint = /^\d/.test(text) ? `write v${text}` : 'write it in full, e.g. v1.2.3';
    throw new CliError('usage', `"${text}" is not a canonical version of ${path}; ${hint}`);
  }
  if (!fitsPath(path, text)) {
    throw new CliError(
      'usage',
      `${text} does not fit the module path ${path}: ${majorAdvice(text)}; check the path's ending or the version`,
    );
  }
  return text;
}

function majorAdvice(version: string): string {
  const major = /^v\d+/.exec(version)?.[0] ?? version;
  return major === 'v0' || major === 'v1'
    ? 'paths that end in /v2 and up have that major version'
    : `versions ${major}.… belong to a path that ends in /${major}, or end in +incompatible`;
}
