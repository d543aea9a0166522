/**
 * Checks of a source's .info and .mod bytes: enough to refuse what cannot be right, never more (rulings 10 and 11),
 * and never a rewrite: the bytes are served as they came.
 * See https://go.dev/ref/mod#goproxy-protocol.
 */
import { isUtf8 } from 'node:buffer';
import { ContentError } from './content-error.ts';
import { type GoModFile, maxGoModBytes, parseGoModLax } from './go-mod-file.ts';
import { looksLikeHtml } from './html.ts';
import { quoteForMessage } from './invalid-request.ts';
import { isRfc3339 } from './rfc3339.ts';
import type { Version } from './types.ts';
import { parseCanonicalVersion, pseudoVersionTimeMs } from './version.ts';

/** Real ones are a few hundred bytes; `Origin` may add some. */
export const maxInfoBytes = 64 * 1024;

export interface Info {
  /** As written; `checkInfo` judges it. */
  readonly version: string;
  /** As written, zone offset included. */
  readonly time?: string;
}

/**
 * Reads `Version` and `Time` (key case ignored, as Go does) of a .info. Throws ContentError: `html` for a page,
 * `bad_info` for more than 64 KiB, what is not a JSON object, a missing Version or a Time that is not RFC 3339.
 */
export function parseInfo(bytes: Uint8Array): Info {
  if (bytes.byteLength > maxInfoBytes) throw badInfo(`is larger than ${maxInfoBytes} bytes`);
  refuseHtml(bytes, 'the .info');
  const fields = readObject(bytes);
  let version: unknown;
  let time: unknown;
  for (const [name, value] of Object.entries(fields)) {
    // Go leaves a field alone when the value is null.
    if (value === null) continue;
    if (/^version$/i.test(name)) version = value;
    if (/^time$/i.test(name)) time = value;
  }
  if (typeof version !== 'string' || version === '') throw badInfo('has no Version');
  if (time === undefined) return { version };
  if (typeof time !== 'string' || !isRfc3339(time)) throw badInfo('has a Time that is not RFC 3339');
  return { version, time };
}

function readObject(bytes: Uint8Array): object {
  if (!isUtf8(bytes)) throw badInfo('is not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes));
  } catch (error) {
    throw badInfo('is not JSON', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badInfo('is not a JSON object');
  return value;
}

export interface CheckedInfo {
  readonly version: Version;
  /** True when the asked one is canonical and fits the path; otherwise it is a query's answer, for a while. */
  readonly immutable: boolean;
  /** As written. */
  readonly time?: string;
}

/**
 * Judges a .info against what was asked (`latest` for @latest). Asked for a version that is canonical and fits the
 * path, it must name that very one, and a pseudo-version's Time must be near its timestamp; a query's answer must name
 * some version that fits. Throws ContentError `bad_info` or `html`.
 */
export function checkInfo(path: string, asked: string, bytes: Uint8Array): CheckedInfo {
  const info = parseInfo(bytes);
  const immutable = parseCanonicalVersion(path, asked) !== undefined;
  if (immutable && info.version !== asked) {
    throw badInfo(`names version ${quoteForMessage(info.version)} instead of ${asked}`);
  }
  const version = parseCanonicalVersion(path, info.version);
  if (version === undefined) {
    throw badInfo(`names version ${quoteForMessage(info.version)}, which is none that ${path} can have`);
  }
  if (info.time === undefined) return { version, immutable };
  if (immutable) checkPseudoTime(version, info.time);
  return { version, immutable, time: info.time };
}

/** Real ones differ by seconds where several modules are in one repository (docs/decisions/0022). */
const pseudoTimeSlackMs = 86_400_000;

/** A pseudo-version names its commit's time: the one thing in a .info that can be checked. */
function checkPseudoTime(version: Version, time: string): void {
  const namedMs = pseudoVersionTimeMs(version);
  if (namedMs === undefined || Math.abs(Date.parse(time) - namedMs) < pseudoTimeSlackMs) return;
  throw badInfo(`of ${version} has the Time ${time}, which is not the one in its version`);
}

/**
 * Accepts every .mod that Go could ever want (ruling 11) and returns what it says. Throws ContentError `bad_mod`
 * for more than 16 MiB, bytes that are not UTF-8 and a file without a module line, `html` for a page. A module
 * line that names another path, unknown directives and syntax of later Go releases are no reason to refuse.
 */
export function checkMod(bytes: Uint8Array): GoModFile {
  if (bytes.byteLength > maxGoModBytes) {
    throw new ContentError('bad_mod', `the .mod is larger than ${maxGoModBytes} bytes`);
  }
  refuseHtml(bytes, 'the .mod');
  if (!isUtf8(bytes)) throw new ContentError('bad_mod', 'the .mod is not UTF-8');
  const file = parseGoModLax(bytes);
  if (!file.declaresModule) throw new ContentError('bad_mod', 'the .mod has no module line');
  return file;
}

function refuseHtml(bytes: Uint8Array, what: string): void {
  if (looksLikeHtml(undefined, bytes)) throw new ContentError('html', `${what} is a web page`);
}

function badInfo(what: string, cause?: unknown): ContentError {
  return new ContentError('bad_info', `the .info ${what}`, cause === undefined ? {} : { cause });
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
