/**
 * Module versions by Go's rules: canonical form, fit with a module path, case escaping, queries, pseudo-versions
 * and the order of lists. Nothing else makes a `Version` or a `VersionQuery`.
 * See https://go.dev/ref/mod#versions and golang.org/x/mod/module.
 */
import { escapeCase, unescapeCase } from './escape.ts';
import { InvalidRequestError, quoteForMessage } from './invalid-request.ts';
import { splitPathVersion } from './module-path.ts';
import { elementFault } from './path-element.ts';
import { canonical, compareParsed, parseSemver, type Semver } from './semver.ts';
import type { Version, VersionQuery } from './types.ts';

/** As for paths: Go sets no limit, we need one. */
export const maxVersionLength = 2048;

const incompatible = '+incompatible';

/** module.CanonicalVersion: like `canonical` but `+incompatible` stays; undefined for an invalid version. */
export function canonicalVersion(text: string): string | undefined {
  const bare = canonical(text);
  return bare !== undefined && parseSemver(text)?.build === incompatible ? bare + incompatible : bare;
}

/** True for full semantic versions without build metadata other than `+incompatible`. Says nothing of a path. */
export function isCanonical(text: string): text is Version {
  const parsed = parseSemver(text);
  return (
    parsed !== undefined && parsed.missing === '' && (parsed.build === '' || parsed.build === incompatible)
  );
}

/**
 * Whether a semantic version may belong to a module path: `/vN` and `.vN` want major N, other paths v0, v1 or
 * `+incompatible`. False for an invalid version or path suffix. `v2.0.0` on a path without `/v2` is canonical but
 * does not fit. See module.CheckPathMajor.
 */
export function fitsPath(path: string, version: string): boolean {
  const parsed = parseSemver(version);
  const split = splitPathVersion(path);
  return parsed !== undefined && split !== undefined && fitsPathMajor(split.pathMajor, version, parsed);
}

function fitsPathMajor(pathMajor: string, version: string, parsed: Semver): boolean {
  const wanted = pathMajor.startsWith('.') ? pathMajor.replace(/-unstable$/, '') : pathMajor;
  // An old bug gave untagged commits of gopkg.in .v1 modules v0.0.0 pseudo-versions; go.mod files still name them.
  if (wanted === '.v1' && version.startsWith('v0.0.0-')) return true;
  if (wanted === '') return parsed.major === '0' || parsed.major === '1' || parsed.build === incompatible;
  return wanted.slice(1) === `v${parsed.major}`;
}

/** The version when it is canonical and fits the path (module.Check and module.CanonicalVersion), else undefined. */
export function parseCanonicalVersion(path: string, text: string): Version | undefined {
  return text.length <= maxVersionLength && isCanonical(text) && fitsPath(path, text) ? text : undefined;
}

/**
 * What may stand before `.info` (module.EscapeVersion's rule): one ASCII file name without `!` or `/`.
 * Throws InvalidRequestError `invalid_version`.
 */
export function parseVersionQuery(text: string): VersionQuery {
  if (isVersionQuery(text)) return text;
  throw new InvalidRequestError(
    'invalid_version',
    `the version ${quoteForMessage(text)} is not valid: ${queryFault(text) ?? ''}`,
  );
}

function isVersionQuery(text: string): text is VersionQuery {
  return queryFault(text) === undefined;
}

function queryFault(text: string): string | undefined {
  if (text.length > maxVersionLength) return `it is longer than ${maxVersionLength} characters`;
  if (/[^ -~]|!/.test(text)) return 'it has a character that is not allowed in a version';
  return elementFault(text, 'file');
}

/** The escaped form of a checked version or query, e.g. `v1.0.0-!r!c1`. */
export function escapeVersion(version: Version | VersionQuery): string {
  return escapeCase(version);
}

/**
 * The unescaped text: a version or a query, still to be told apart by `isCanonical`. Throws InvalidRequestError
 * `invalid_escape` for a wrong escape, `invalid_version` for what is no file name.
 */
export function unescapeVersion(escaped: string): string {
  if (escaped.length > 2 * maxVersionLength) {
    throw new InvalidRequestError(
      'invalid_version',
      `the version is longer than ${maxVersionLength} characters`,
    );
  }
  const text = unescapeCase(escaped);
  if (text === undefined) {
    throw new InvalidRequestError(
      'invalid_escape',
      `the version ${quoteForMessage(escaped)} is not escaped: an upper-case letter is written as ! and the lower-case one`,
    );
  }
  return parseVersionQuery(text);
}

/** True for `v2.0.0+incompatible` and its like. */
export function isIncompatible(version: string): boolean {
  return parseSemver(version)?.build === incompatible;
}

/** True when there is a pre-release part; pseudo-versions are pre-releases too. */
export function isPrerelease(version: string): boolean {
  return (parseSemver(version)?.prerelease ?? '') !== '';
}

// The pre-release part of the three forms: -TIME-REV after vX.0.0, -0.TIME-REV, -pre.0.TIME-REV.
const untagged = /^-([0-9]{14})-([0-9A-Za-z]+)$/;
const afterTag = /(?:^-|\.)0\.([0-9]{14})-([0-9A-Za-z]+)$/;

/** module.IsPseudoVersion. See https://go.dev/ref/mod#pseudo-versions. */
export function isPseudoVersion(version: string): boolean {
  return pseudoParts(version) !== undefined;
}

/** The revision a pseudo-version names; undefined for any other version. */
export function pseudoVersionRev(version: string): string | undefined {
  return pseudoParts(version)?.rev;
}

/** Milliseconds since the epoch; undefined when it is no pseudo-version or its digits are no date and time. */
export function pseudoVersionTimeMs(version: string): number | undefined {
  const digits = pseudoParts(version)?.timestamp;
  if (digits === undefined) return undefined;
  const iso = digits.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6.000Z');
  const timeMs = Date.parse(iso);
  // Date.parse rolls 31 February over into March; only what comes back unchanged was a date.
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString() === iso ? timeMs : undefined;
}

function pseudoParts(version: string): { timestamp: string; rev: string } | undefined {
  const parsed = parseSemver(version);
  if (parsed === undefined) return undefined;
  const isZero = parsed.minor === '0' && parsed.patch === '0';
  const found = (isZero ? untagged.exec(parsed.prerelease) : null) ?? afterTag.exec(parsed.prerelease);
  return found === null ? undefined : { timestamp: found[1] ?? '', rev: found[2] ?? '' };
}

/** The order of `semver.Sort`: precedence, ties (`v2.0.0`, `v2.0.0+incompatible`) by their bytes. A total order. */
export function compareVersions(a: string, b: string): number {
  return compareParsed(parseSemver(a), parseSemver(b)) || compareBytes(a, b);
}

/** A sorted copy, each version parsed once. */
export function sortVersions<T extends string>(versions: Iterable<T>): T[] {
  return Array.from(versions, (version) => ({ version, parsed: parseSemver(version) }))
    .sort((a, b) => compareParsed(a.parsed, b.parsed) || compareBytes(a.version, b.version))
    .map(({ version }) => version);
}

function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
