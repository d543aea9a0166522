/**
 * Ruling 13: when two publications of one artifact count as equal. Every implementation of the store decides a
 * lost publication race by this function.
 */
import type { ArtifactKey } from '../gomod/types.ts';

/** The facts and, for .info only, the text of one side. */
export interface Content {
  readonly sha256: string;
  readonly h1?: string | undefined;
  /** Needed for .info. */
  readonly text?: string;
}

/** Equal: the same h1 for a zip, the same bytes for a .mod, the same Version and Time for an .info. */
export function isEqualContent(ext: ArtifactKey['ext'], one: Content, other: Content): boolean {
  if (one.sha256 === other.sha256) return true;
  if (ext === 'zip') return one.h1 !== undefined && one.h1 === other.h1;
  if (ext === 'mod') return false;
  const first = parseInfo(one.text);
  const second = parseInfo(other.text);
  if (first === undefined || second === undefined) return false;
  return first.version === second.version && isSameTime(first.time, second.time);
}

/** `Z` and `+00:00` are one time; a missing time equals only a missing one. */
function isSameTime(one: string | undefined, other: string | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  const first = Date.parse(one);
  return first === Date.parse(other) && fractionOf(one) === fractionOf(other);
}

/** Date keeps milliseconds, Go's times have nanoseconds. */
function fractionOf(time: string): string {
  return /\.(\d+)/.exec(time)?.[1]?.replace(/0+$/, '') ?? '';
}

function parseInfo(text: string | undefined): { version: string; time: string | undefined } | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('Version' in value)) return undefined;
    if (typeof value.Version !== 'string') return undefined;
    const time = 'Time' in value && typeof value.Time === 'string' ? value.Time : undefined;
    return { version: value.Version, time };
  } catch {
    return undefined;
  }
}
