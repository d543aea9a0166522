/**
 * GOPROXY syntax (https://go.dev/ref/mod#environment-variables): URLs joined by `,` or `|`, ended by `direct` or
 * `off`. Userinfo is taken out of each URL and becomes credentials, so that what remains may be shown.
 */
import { ModferryError } from '../lib/errors.ts';
import { bareUrl, isPrivateHost } from '../outbound/network-address.ts';
import { authFromUrl, type UpstreamAuth } from './credentials.ts';

export type Separator = ',' | '|';

export interface GoproxyEntry {
  /** Base URL without userinfo and without a trailing slash. */
  readonly url: string;
  /** What stands between this entry and the next word (`direct` included). Undefined for the last. */
  readonly separatorAfter: Separator | undefined;
  readonly auth?: UpstreamAuth;
}

/** What stands after the servers. `none`: the list just ends. */
export type GoproxyEnd = 'direct' | 'off' | 'none';

export interface GoproxyList {
  readonly entries: readonly GoproxyEntry[];
  readonly end: GoproxyEnd;
}

export type GoproxyErrorCode = 'bad_url' | 'unsupported' | 'empty';

/** What is wrong with a GOPROXY value. Names the entry by its place, never shows credentials. */
export class GoproxyError extends ModferryError<GoproxyErrorCode> {}

/**
 * Parses a GOPROXY value as Go does: blanks around entries and empty entries are ignored, and so is everything
 * after `direct` or `off`; `host/path` without a scheme means https. The same server twice counts once.
 * Throws GoproxyError: `empty` when no entry is left, `bad_url`, `unsupported` (file:, other schemes).
 */
export function parseGoproxy(value: string): GoproxyList {
  const entries: GoproxyEntry[] = [];
  let end: GoproxyEnd = 'none';
  let place = 0;
  for (const [, rawWord, rawSeparator] of value.matchAll(/([^,|]*)([,|]?)/g)) {
    const word = rawWord?.trim() ?? '';
    if (word === '') continue;
    place += 1;
    if (word === 'direct' || word === 'off') {
      end = word;
      break;
    }
    const separatorAfter = rawSeparator === ',' || rawSeparator === '|' ? rawSeparator : undefined;
    const entry = parseEntry(word, separatorAfter, place);
    if (!entries.some((known) => known.url === entry.url)) entries.push(entry);
  }
  if (entries.length === 0 && end === 'none') {
    throw new GoproxyError('empty', 'the list has no entries; write e.g. https://goproxy.cn,direct');
  }
  return { entries, end };
}

/** One URL as an upstream's base: the same rules as an entry of a list. Throws GoproxyError. */
export function parseUpstreamUrl(text: string): { readonly url: string; readonly auth?: UpstreamAuth } {
  const { url, auth } = parseEntry(text.trim(), undefined, 1);
  return auth === undefined ? { url } : { url, auth };
}

function parseEntry(word: string, separatorAfter: Separator | undefined, place: number): GoproxyEntry {
  // A word without any of ". : /" is kept by Go for later meanings; as a host name it needs a scheme.
  if (!/[.:/]/.test(word)) {
    throw new GoproxyError(
      'bad_url',
      `entry ${place}, "${printable(word)}", is neither a URL nor "direct" nor "off"; write e.g. https://${printable(word)}`,
    );
  }
  if (word.startsWith('/') || /^[A-Za-z]:\\/.test(word)) throw fileUnsupported(place);
  const text = word.includes(':/') ? word : `https://${word}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new GoproxyError('bad_url', `entry ${place} is not a URL; write e.g. https://goproxy.cn`);
  }
  if (url.protocol === 'file:') throw fileUnsupported(place);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new GoproxyError(
      'unsupported',
      `entry ${place} has the scheme "${url.protocol}"; use https or http`,
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw new GoproxyError(
      'bad_url',
      `entry ${place} has a query or fragment; an upstream is a plain base URL`,
    );
  }
  const auth = authFromUrl(url);
  const shown = bareUrl(url).href.replace(/\/+$/, '');
  return { url: shown, separatorAfter, ...(auth === undefined ? {} : { auth }) };
}

function fileUnsupported(place: number): GoproxyError {
  return new GoproxyError(
    'unsupported',
    `entry ${place} is a file path; modferry fetches over http and https. Serve the folder, or put its content into the store`,
  );
}

/** Short, and only plain characters: the word may be anything. */
function printable(word: string): string {
  return word.replaceAll(/[^\w-]/g, '?').slice(0, 40);
}

/**
 * Ruling 2: Go's `,` is kept where falling through would tell a public server what was asked of a private one.
 * `hasCredentials` also counts credentials that do not stand in the URL. Only literal addresses are judged private.
 */
export function stopsOnError(
  entry: { readonly url: string; readonly separatorAfter: Separator | undefined },
  facts: { readonly hasCredentials: boolean; readonly fallThrough?: 'any' | 'not_found' | undefined },
): boolean {
  if (facts.fallThrough !== undefined) return facts.fallThrough === 'not_found';
  if (entry.separatorAfter !== ',') return false;
  return facts.hasCredentials || isPrivateHost(new URL(entry.url).hostname);
}
