/** Response headers as flat name-value arrays: what `writeHead` takes without copying, made once for hot answers. */
import type { CachePolicy, ContentType } from '../proxy/types.ts';

const contentTypes: Record<ContentType, string> = {
  text: 'text/plain; charset=utf-8',
  json: 'application/json',
  zip: 'application/zip',
  octets: 'application/octet-stream',
};

export function etagOf(sha256: string): string {
  return `"${sha256}"`;
}

/** `isGuarded`: not everybody may have it, so that no cache on the way may hand it to others. */
export function cacheControl(policy: CachePolicy, isGuarded = false): string {
  const scope = isGuarded ? 'private' : 'public';
  switch (policy.kind) {
    case 'immutable':
      return `${scope}, max-age=31536000, immutable`;
    case 'brief':
      return policy.ageS === undefined ? `${scope}, max-age=${policy.maxAgeS}` : 'no-cache';
    default:
      return 'no-cache';
  }
}

export interface BodyHeaders {
  readonly contentType: ContentType;
  readonly cache: CachePolicy;
  /** With quotes; undefined while a body is still unverified. */
  readonly etag: string | undefined;
  readonly lastModifiedMs: number | undefined;
  readonly contentLength: number | undefined;
  /** Not everybody may have it. Default false. */
  readonly isGuarded?: boolean | undefined;
  /** Further pairs, as they are. Default: none. */
  readonly more?: readonly string[] | undefined;
}

export function bodyHeaders(facts: BodyHeaders): string[] {
  const headers = ['Content-Type', contentTypes[facts.contentType], 'X-Content-Type-Options', 'nosniff'];
  if (facts.contentLength !== undefined) headers.push('Content-Length', String(facts.contentLength));
  headers.push('Cache-Control', cacheControl(facts.cache, facts.isGuarded));
  if (facts.isGuarded === true) headers.push('Vary', 'Authorization');
  if (facts.etag !== undefined) headers.push('ETag', facts.etag, 'Accept-Ranges', 'bytes');
  if (facts.lastModifiedMs !== undefined) {
    headers.push('Last-Modified', new Date(facts.lastModifiedMs).toUTCString());
  }
  if (facts.cache.kind === 'brief' && facts.cache.ageS !== undefined) {
    headers.push('Age', String(facts.cache.ageS));
  }
  if (facts.more !== undefined) headers.push(...facts.more);
  return headers;
}

/** Request headers that make a request more than a plain GET of a kept answer. */
const telling = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
  'cache-control',
  'pragma',
  'disable-module-fetch',
  'x-modferry-via',
  'x-request-id',
]);

/** Looks at the raw pairs: building the parsed header object costs more than the whole look-up of a hit. */
export function isPlainRequest(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (telling.has((rawHeaders[index] as string).toLowerCase())) return false;
  }
  return true;
}
