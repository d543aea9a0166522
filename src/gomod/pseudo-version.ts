/**
 * Makes pseudo-versions and tells which version one is based on. Whether a text is one, and its time and revision,
 * is in `version.ts`. See https://go.dev/ref/mod#pseudo-versions.
 */
import { parseSemver } from './semver.ts';
import { isPseudoVersion } from './version.ts';

/** Digits of a commit's hash that a pseudo-version shows. */
export const pseudoRevDigits = 12;

/**
 * module.PseudoVersion. `major` (`v2`; empty: v0) counts only without a base; `base` is the canonical version it is to
 * come right after, without build metadata; `timeS` are seconds since the epoch.
 */
export function pseudoVersion(major: string, base: string | undefined, timeS: number, rev: string): string {
  const suffix = `${pseudoTimestamp(timeS)}-${rev.slice(0, pseudoRevDigits)}`;
  const parsed = base === undefined ? undefined : parseSemver(base);
  if (parsed === undefined) return `${major === '' ? 'v0' : major}.0.0-${suffix}`;
  const start = `v${parsed.major}.${parsed.minor}.`;
  if (parsed.prerelease !== '') return `${start}${parsed.patch}${parsed.prerelease}.0.${suffix}`;
  return `${start}${BigInt(parsed.patch) + 1n}-0.${suffix}`;
}

/** `20240131120000`: UTC, from seconds since the epoch. */
export function pseudoTimestamp(timeS: number): string {
  return new Date(timeS * 1000).toISOString().replaceAll(/[-T:]|\..*$/g, '');
}

/** What a pseudo-version is based on: a version, nothing (`vX.0.0-…`), or a fault that says why it cannot be one. */
export type PseudoBase =
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'fault'; readonly fault: string };

/** module.PseudoVersionBase. Build metadata of the pseudo-version is kept. */
export function pseudoVersionBase(version: string): PseudoBase {
  const parsed = parseSemver(version);
  if (parsed === undefined || !isPseudoVersion(version)) return fault('it is no pseudo-version');
  const { major, minor, patch, prerelease, build } = parsed;
  const marker = /(^-|\.)0\.[0-9]{14}-[0-9A-Za-z]+$/.exec(prerelease);
  const isUntagged = minor === '0' && patch === '0' && /^-[0-9]{14}-[0-9A-Za-z]+$/.test(prerelease);
  if (isUntagged || marker === null) {
    if (build === '') return { kind: 'none' };
    return fault(`it has no version before it and yet the build metadata ${build}`);
  }
  const start = `v${major}.${minor}.`;
  if (marker[1] === '.') {
    return {
      kind: 'version',
      version: `${start}${patch}${prerelease.slice(0, -marker[0].length)}${build}`,
    };
  }
  if (/^0+$/.test(patch)) return fault(`the version before ${start}${patch} would have a negative number`);
  return { kind: 'version', version: `${start}${BigInt(patch) - 1n}${build}` };
}

function fault(text: string): PseudoBase {
  return { kind: 'fault', fault: text };
}
