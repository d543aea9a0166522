/**
 * Reads what the status line and headers of an upstream's answer say: lengths, types, Retry-After, where a
 * redirect leads, and the one line of text that a refusal may be quoted with.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import { isInnerHost } from '../outbound/network-address.ts';
import { UpstreamError } from './types.ts';

/** The longest pause an upstream may ask for. */
const maxRetryAfterMs = 300_000;
/** A short text is read to its end, so that the connection can be used again; anything longer costs the socket. */
const maxTextBytes = 16 * 1024;
const textWaitMs = 250;
const maxLineChars = 200;

/** A header that should stand once. Repeated, the first one counts. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const evidenceNames = [
  'server',
  'via',
  'x-cache',
  'age',
  'date',
  'etag',
  'last-modified',
  'content-type',
  'content-length',
  'content-range',
];

/** What tells where an answer comes from: kept with bytes that turn out to be wrong. Never a cookie or credential. */
export function evidenceHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of evidenceNames) {
    const value = headerOf(headers, name);
    if (value !== undefined) found[name] = value.slice(0, maxLineChars);
  }
  return found;
}

/** `Content-Length`, if it is a plain number. */
export function contentLengthOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headerOf(headers, 'content-length')?.trim();
  if (text === undefined || !/^\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/** `Retry-After` as seconds or a date (RFC 9110 §10.2.3), in milliseconds from now, at most 300 s. */
export function retryAfterOf(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const text = headerOf(headers, 'retry-after')?.trim();
  if (text === undefined || text === '') return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (Number.isNaN(ms)) return undefined;
  return Math.min(Math.max(0, ms), maxRetryAfterMs);
}

export function isHtml(contentType: string): boolean {
  return /^\s*(?:text\/html|application\/xhtml\+xml)\b/i.test(contentType);
}

/** Statuses that move a GET elsewhere. 300 and 304 do not. */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Where a redirect leads. Throws UpstreamError `redirect` when it may not be followed: no or odd location, https to
 * http, or from outside to an address that only means something inside (`mayGoInside` false).
 */
export function redirectTarget(
  upstream: string,
  from: URL,
  headers: IncomingHttpHeaders,
  mayGoInside: boolean,
): URL {
  const location = headerOf(headers, 'location');
  let target: URL;
  try {
    target = new URL(location ?? '', location === undefined ? undefined : from);
  } catch {
    throw new UpstreamError(upstream, 'redirect', 'redirects without a usable location');
  }
  if (target.protocol !== 'https:' && target.protocol !== 'http:') {
    throw new UpstreamError(upstream, 'redirect', `redirects to the scheme "${target.protocol}"`);
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new UpstreamError(upstream, 'redirect', `redirects from https to plain http (${target.host})`);
  }
  if (target.origin !== from.origin && !mayGoInside && isInnerHost(target.hostname)) {
    throw new UpstreamError(upstream, 'redirect', `redirects to an inside address (${target.host})`);
  }
  target.username = '';
  target.password = '';
  target.hash = '';
  return target;
}

/**
 * Uses up the body of an answer that is no good and gives its first line of plain text, printable and short;
 * undefined for HTML, binary, or when it does not arrive at once. Never rejects.
 */
export async function quotableLine(
  readable: Readable,
  contentType: string,
  clock: Clock,
): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  readable.on('error', () => {});
  const timer = clock.setTimeout(() => readable.destroy(), textWaitMs);
  try {
    for await (const chunk of readable as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxTextBytes) break;
    }
  } catch {
    // What has arrived may still be quoted.
  } finally {
    timer.cancel();
  }
  if (contentType !== '' && !/^\s*text\/plain\b/i.test(contentType)) return undefined;
  const text = Buffer.concat(chunks).toString('utf8', 0, maxTextBytes);
  const line = text
    .split(/[\r\n]/)
    .find((one) => one.trim() !== '')
    ?.trim();
  if (line === undefined || line.startsWith('<')) return undefined;
  return line.replaceAll(/[^\P{C}]|\uFFFD/gu, '').slice(0, maxLineChars) || undefined;
}
