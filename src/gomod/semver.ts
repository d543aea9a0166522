/**
 * Semantic versions as Go writes them: with a leading `v`, and with `v1` and `v1.2` as short forms. Parsing and
 * precedence only; what a version means for a module path is in `version.ts`. See golang.org/x/mod/semver.
 */

/** The parts of a valid version, as text: numbers may be longer than any number type. */
export interface Semver {
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** With its leading `-`, or empty. */
  readonly prerelease: string;
  /** With its leading `+`, or empty. */
  readonly build: string;
  /** What a short form leaves out: `.0.0`, `.0` or empty. */
  readonly missing: string;
}

const numbers = /^v(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?)?/;
const identifiers = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const leadingZero = /(?:^|\.)0[0-9]+(?:\.|$)/;

/** Undefined when `text` is no semantic version. Linear time. */
export function parseSemver(text: string): Semver | undefined {
  const found = numbers.exec(text);
  if (found === null) return undefined;
  const [whole, major = '', minor, patch] = found;
  const rest = text.slice(whole.length);
  const base = { major, minor: minor ?? '0', patch: patch ?? '0' };
  if (rest === '') {
    const missing = minor === undefined ? '.0.0' : patch === undefined ? '.0' : '';
    return { ...base, prerelease: '', build: '', missing };
  }
  if (patch === undefined) return undefined;
  const plus = rest.indexOf('+');
  const prerelease = plus < 0 ? rest : rest.slice(0, plus);
  const build = plus < 0 ? '' : rest.slice(plus);
  if (prerelease !== '' && !isPrereleaseSuffix(prerelease)) return undefined;
  if (build !== '' && !identifiers.test(build.slice(1))) return undefined;
  return { ...base, prerelease, build, missing: '' };
}

function isPrereleaseSuffix(text: string): boolean {
  const body = text.slice(1);
  return text.startsWith('-') && identifiers.test(body) && !leadingZero.test(body);
}

/** semver.IsValid. */
export function isValid(text: string): boolean {
  return parseSemver(text) !== undefined;
}

/** semver.Canonical: short forms filled up, build metadata dropped; undefined for an invalid version. */
export function canonical(text: string): string | undefined {
  const parsed = parseSemver(text);
  if (parsed === undefined) return undefined;
  return text.slice(0, text.length - parsed.build.length) + parsed.missing;
}

/** semver.Major: `v2` of `v2.1.0`; undefined for an invalid version. */
export function major(text: string): string | undefined {
  const parsed = parseSemver(text);
  return parsed === undefined ? undefined : `v${parsed.major}`;
}

/** semver.MajorMinor: `v2.1` of `v2.1.0`, `v2.0` of `v2`; undefined for an invalid version. */
export function majorMinor(text: string): string | undefined {
  const parsed = parseSemver(text);
  return parsed === undefined ? undefined : `v${parsed.major}.${parsed.minor}`;
}

/** semver.Prerelease: with its `-`; empty for none and for an invalid version. */
export function prerelease(text: string): string {
  return parseSemver(text)?.prerelease ?? '';
}

/** semver.Build: with its `+`; empty for none and for an invalid version. */
export function build(text: string): string {
  return parseSemver(text)?.build ?? '';
}

/** semver.Compare: precedence, build metadata ignored; invalid versions are equal and below all valid ones. */
export function compareSemver(a: string, b: string): -1 | 0 | 1 {
  return compareParsed(parseSemver(a), parseSemver(b));
}

/** As compareSemver, for versions parsed before: sorting a long list parses each one once. */
export function compareParsed(a: Semver | undefined, b: Semver | undefined): -1 | 0 | 1 {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  return (
    compareNumber(a.major, b.major) ||
    compareNumber(a.minor, b.minor) ||
    compareNumber(a.patch, b.patch) ||
    comparePrerelease(a.prerelease, b.prerelease)
  );
}

function compareNumber(a: string, b: string): -1 | 0 | 1 {
  return a.length === b.length ? compareText(a, b) : a.length < b.length ? -1 : 1;
}

/** Byte order of ASCII text. */
function compareText(a: string, b: string): -1 | 0 | 1 {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** https://semver.org §11: no pre-release is highest; numbers below words; the longer list above its own prefix. */
function comparePrerelease(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0;
  if (a === '' || b === '') return a === '' ? 1 : -1;
  const left = a.slice(1).split('.');
  const right = b.slice(1).split('.');
  for (const [index, one] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (one === other) continue;
    const isNumber = /^[0-9]+$/.test(one);
    if (isNumber !== /^[0-9]+$/.test(other)) return isNumber ? -1 : 1;
    return isNumber ? compareNumber(one, other) : compareText(one, other);
  }
  return -1;
}
