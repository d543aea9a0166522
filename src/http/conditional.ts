/**
 * Conditional and range requests for bodies with a strong ETag (RFC 9110, sections 13 and 14). Pure functions over
 * header values.
 */

export interface Validators {
  /** With its quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number | undefined;
}

/** True when the client's copy is current: answer 304. If-None-Match outranks If-Modified-Since. */
export function isNotModified(
  headers: { ifNoneMatch?: string | undefined; ifModifiedSince?: string | undefined },
  validators: Validators,
): boolean {
  if (headers.ifNoneMatch !== undefined) return matchesAny(headers.ifNoneMatch, validators.etag);
  if (headers.ifModifiedSince === undefined || validators.lastModifiedMs === undefined) return false;
  const since = Date.parse(headers.ifModifiedSince);
  return !Number.isNaN(since) && Math.floor(validators.lastModifiedMs / 1000) * 1000 <= since;
}

/** Weak comparison, as If-None-Match asks for; `*` matches anything that exists. */
function matchesAny(list: string, etag: string): boolean {
  if (list.trim() === '*') return true;
  return list.split(',').some((item) => item.trim().replace(/^W\//, '') === etag);
}

export type RangeResult =
  /** No usable Range: the whole body with 200. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly endExclusive: number }
  /** 416 with `Content-Range: bytes (any)/size`. */
  | { readonly kind: 'unsatisfiable' };

/**
 * A single `bytes` range. Several ranges, other units and malformed values are ignored (the whole body is a right
 * answer to them); If-Range that does not match strongly makes it whole as well.
 */
export function resolveRange(
  range: string | undefined,
  ifRange: string | undefined,
  sizeBytes: number,
  validators: Validators,
): RangeResult {
  if (range === undefined) return { kind: 'whole' };
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range.replaceAll(' ', ''));
  if (match === null || (match[1] === '' && match[2] === '')) return { kind: 'whole' };
  if (ifRange !== undefined && !ifRangeHolds(ifRange.trim(), validators)) return { kind: 'whole' };
  if (match[1] === '') {
    const suffix = Math.min(Number(match[2]), sizeBytes);
    if (suffix === 0) return { kind: 'unsatisfiable' };
    return { kind: 'part', start: sizeBytes - suffix, endExclusive: sizeBytes };
  }
  const start = Number(match[1]);
  const last = match[2] === '' ? sizeBytes - 1 : Number(match[2]);
  if (last < start && match[2] !== '') return { kind: 'whole' };
  if (start >= sizeBytes) return { kind: 'unsatisfiable' };
  return { kind: 'part', start, endExclusive: Math.min(last + 1, sizeBytes) };
}

function ifRangeHolds(ifRange: string, validators: Validators): boolean {
  if (ifRange.startsWith('"')) return ifRange === validators.etag;
  if (ifRange.startsWith('W/') || validators.lastModifiedMs === undefined) return false;
  return Date.parse(ifRange) === Math.floor(validators.lastModifiedMs / 1000) * 1000;
}
