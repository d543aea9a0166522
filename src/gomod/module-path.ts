/**
 * Module paths by Go's rules: checking, case escaping, and the major version suffix. Nothing else makes a
 * `ModulePath`. See https://go.dev/ref/mod#module-path and golang.org/x/mod/module.CheckPath.
 */
import { escapeCase, unescapeCase } from './escape.ts';
import { InvalidRequestError, quoteForMessage } from './invalid-request.ts';
import { pathFault } from './path-element.ts';
import type { ModulePath } from './types.ts';

/** Go sets no limit; we need one, far above any real path, so that hostile ones cost nothing. */
export const maxPathLength = 2048;

/** Throws InvalidRequestError `invalid_path`: not what module.CheckPath accepts, or longer than 2,048 characters. */
export function parseModulePath(text: string): ModulePath {
  if (isModulePath(text)) return text;
  throw new InvalidRequestError(
    'invalid_path',
    `the module path ${quoteForMessage(text)} is not valid: ${modulePathFault(text) ?? ''}`,
  );
}

/** module.CheckPath as a question. */
export function isModulePath(text: string): text is ModulePath {
  return modulePathFault(text) === undefined;
}

/** Why `text` is no module path (module.CheckPath), or undefined when it is one. */
export function modulePathFault(text: string): string | undefined {
  if (text.length > maxPathLength) return `it is longer than ${maxPathLength} characters`;
  return pathFault(text, 'module') ?? firstElementFault(text) ?? majorSuffixFault(text);
}

/** Why `text` is no import path (module.CheckImportPath), or undefined when it is one. */
export function importPathFault(text: string): string | undefined {
  if (text.length > maxPathLength) return `it is longer than ${maxPathLength} characters`;
  return pathFault(text, 'import');
}

function firstElementFault(path: string): string | undefined {
  const slash = path.indexOf('/');
  const first = slash < 0 ? path : path.slice(0, slash);
  if (!first.includes('.')) return 'its first element has no dot, so it is no host name';
  if (!/^[-.0-9a-z]*$/.test(first)) {
    return 'its first element may have only lower-case letters, digits, dots and dashes';
  }
  return undefined;
}

function majorSuffixFault(path: string): string | undefined {
  if (splitPathVersion(path) !== undefined) return undefined;
  return path.startsWith(gopkgPrefix)
    ? 'a gopkg.in path ends in .vN'
    : 'its last element looks like a version but is not /vN with N of 2 or more';
}

/** The escaped form of a checked path, e.g. `github.com/!azure/x`. */
export function escapePath(path: ModulePath): string {
  return escapeCase(path);
}

/**
 * Throws InvalidRequestError: `invalid_escape` for upper-case letters, non-ASCII and `!` before anything but a–z,
 * `invalid_path` when the unescaped text is no module path.
 */
export function unescapePath(escaped: string): ModulePath {
  if (escaped.length > 2 * maxPathLength) {
    throw new InvalidRequestError(
      'invalid_path',
      `the module path is longer than ${maxPathLength} characters`,
    );
  }
  const path = unescapeCase(escaped);
  if (path === undefined) {
    throw new InvalidRequestError(
      'invalid_escape',
      `the module path ${quoteForMessage(escaped)} is not escaped: an upper-case letter is written as ! and the lower-case one`,
    );
  }
  return parseModulePath(path);
}

export interface SplitPath {
  readonly prefix: string;
  /** Empty, `/v2` and up, or `.v0` and up (also `.v1-unstable`) for gopkg.in. */
  readonly pathMajor: string;
}

const gopkgPrefix = 'gopkg.in/';

/**
 * A path as prefix + major version suffix; undefined when the last element breaks the rules for such a suffix
 * (`x.com/y/v1`, `x.com/y/v2.0`, a gopkg.in path without `.vN`). See module.SplitPathVersion.
 */
export function splitPathVersion(path: string): SplitPath | undefined {
  if (path.startsWith(gopkgPrefix)) return splitGopkg(path);
  const start = startOfTrailing(path, path.length, true);
  if (start <= 1 || start === path.length || path[start - 1] !== 'v' || path[start - 2] !== '/') {
    return { prefix: path, pathMajor: '' };
  }
  const number = path.slice(start);
  if (number.includes('.') || number.startsWith('0') || number === '1') return undefined;
  return { prefix: path.slice(0, start - 2), pathMajor: path.slice(start - 2) };
}

function splitGopkg(path: string): SplitPath | undefined {
  const unstable = '-unstable';
  const end = path.endsWith(unstable) ? path.length - unstable.length : path.length;
  const start = startOfTrailing(path, end, false);
  if (start <= 1 || path[start - 1] !== 'v' || path[start - 2] !== '.') return undefined;
  const pathMajor = path.slice(start - 2);
  if (pathMajor.length <= 2 || (pathMajor[2] === '0' && pathMajor !== '.v0')) return undefined;
  return { prefix: path.slice(0, start - 2), pathMajor };
}

/** Where the run of digits (and dots) that ends at `end` begins. A backwards scan: a regex would be quadratic. */
function startOfTrailing(text: string, end: number, dots: boolean): number {
  let start = end;
  while (start > 0) {
    const code = text.charCodeAt(start - 1);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && !(dots && code === 0x2e)) break;
    start -= 1;
  }
  return start;
}
