/**
 * The shapes of single configuration values that are neither duration nor size: addresses, URLs, checksum
 * databases, prefixes, percentages. Each parser returns the value or what is wrong with it; none throws.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { Secret } from '../lib/secret.ts';
import { redactUrls } from './secret.ts';

/** A value, or a predicate on what was written (`is not a port`) and, if the field's own hint is not enough, a hint. */
export type Parsed<Value> =
  | { readonly value: Value }
  | { readonly wrong: string; readonly right?: string | undefined };

export interface ListenAddress {
  /** Host name or address without brackets; empty for every address of the machine, or for a socket. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** `https://` stands before it. Default false. */
  readonly isTls?: boolean;
  /** Path of a Unix socket instead of host and port. */
  readonly socket?: string;
}

/** A checksum database (`NAME[+HASH+KEY][ URL…]`, as GOSUMDB has it, with any number of addresses). */
export interface SumdbEntry {
  readonly name: string;
  /** Verifier key in the note form `NAME+HASH+KEY`; undefined when only the name was given. */
  readonly verifierKey: string | undefined;
  /** Base URLs without a trailing slash, asked in this order; none: the database's own address. */
  readonly urls: readonly string[];
}

/** What `checksums.database` says. */
export type ChecksumDatabase = SumdbEntry | 'off';

const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/;

/** `HOST:PORT`, `:PORT`, `[IPV6]:PORT`, each with `https://` before it for TLS, or `unix:PATH`. */
export function parseListen(text: string): Parsed<ListenAddress> {
  const trimmed = text.trim();
  if (trimmed.startsWith('unix:')) {
    const socket = trimmed.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    // The longest path that every system takes for a socket.
    if (socket === '' || Buffer.byteLength(socket) > 103)
      return { wrong: 'is no path of a socket (103 bytes at most)' };
    return { value: { host: '', port: 0, socket } };
  }
  const isTls = /^https:\/\//i.test(trimmed);
  const bare = trimmed.replace(/^https:\/\//i, '').replace(/\/$/, '');
  const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(bare);
  if (match === null) return { wrong: 'is not HOST:PORT' };
  const host = match[1] ?? match[2] ?? '';
  if (match[1] === undefined && host !== '' && !hostName.test(host)) return { wrong: 'has no valid host' };
  const port = Number(match[3]);
  if (port > 65_535) return { wrong: 'has a port above 65535' };
  return { value: { host, port, ...(isTls ? { isTls } : {}) } };
}

/** '' or `/a/b`; `/` and a trailing slash are forgiven. */
export function parsePathPrefix(text: string): Parsed<string> {
  const trimmed = text.replace(/\/$/, '');
  if (trimmed === '') return { value: '' };
  if (!trimmed.startsWith('/')) return { wrong: 'does not start with "/"' };
  const parts = trimmed.slice(1).split('/');
  if (parts.some((part) => part === '')) return { wrong: 'has an empty part' };
  if (parts.some((part) => part === '.' || part === '..')) return { wrong: 'has a dot segment' };
  if (!parts.every((part) => /^[A-Za-z0-9._~-]+$/.test(part))) {
    return { wrong: 'has characters other than letters, digits, ".", "_", "~", "-"' };
  }
  return { value: trimmed };
}

/** An http(s) URL without query and fragment. A name without scheme is taken as https, as Go does. */
export function parseHttpUrl(text: string): Parsed<URL> {
  const trimmed = text.trim();
  const written = trimmed.includes('://') ? trimmed : `https://${trimmed}`;
  const looksBare = /^[A-Za-z0-9[].*[.:]/.test(trimmed) && !trimmed.includes(':/');
  if (!/^https?:\/\//i.test(written) || (written !== trimmed && !looksBare) || !URL.canParse(written)) {
    return { wrong: 'is not an http(s) URL' };
  }
  const url = new URL(written);
  if (url.search !== '' || url.hash !== '') {
    return { wrong: 'has a query or fragment', right: 'write only scheme, host and path' };
  }
  return { value: url };
}

/**
 * One entry of `upstreams:` in the syntax of GOPROXY: URLs, `direct`, `off`, separated by `,` or `|`. Only the
 * shape is judged here; what the separators mean is decided where upstreams are built.
 */
export function parseGoproxyList(text: string): Parsed<Secret> {
  const entries = text
    .split(/[,|]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length === 0) return { wrong: 'names no upstream' };
  for (const [index, entry] of entries.entries()) {
    if (entry === 'direct' || entry === 'off') continue;
    const parsed = parseHttpUrl(entry);
    if ('value' in parsed) continue;
    const which = entries.length === 1 ? '' : `has entry ${index + 1} that `;
    return { wrong: `${which}${parsed.wrong}`, right: parsed.right };
  }
  return { value: new Secret(text, redactUrls(text)) };
}

/** The address of an outbound proxy: an http, https, socks5 or socks5h URL, or `host:port`, which means http. */
export function parseProxyAddress(text: string): Parsed<Secret> {
  const trimmed = text.trim();
  const written = trimmed.includes('://') ? trimmed : `http://${trimmed}`;
  if (!/^(?:https?|socks5h?):\/\/[^/?#]/i.test(written) || !URL.canParse(written)) {
    return { wrong: 'is not the address of an http, https or socks5 proxy' };
  }
  const url = new URL(written);
  if (url.hostname === '' || !/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
    return { wrong: 'is not the address of a proxy alone', right: 'write only scheme, host and port' };
  }
  return { value: new Secret(written, redactUrls(written)) };
}

/**
 * How to reach one upstream: `direct`, `env`, `pac` (the script of `network.pac`), `pac:FILE_OR_URL`, or the address
 * of a proxy.
 */
export function parseProxySetting(text: string): Parsed<'direct' | 'env' | 'pac' | Secret> {
  const trimmed = text.trim();
  if (trimmed === 'direct' || trimmed === 'env' || trimmed === 'pac') return { value: trimmed };
  if (!trimmed.startsWith('pac:')) return parseProxyAddress(trimmed);
  const place = parsePacPlace(trimmed.slice(4));
  return 'value' in place
    ? { value: new Secret(`pac:${place.value}`, `pac:${redactUrls(place.value)}`) }
    : place;
}

/** Where a PAC script is: a path, or a `file:` or http(s) URL. */
export function parsePacPlace(text: string): Parsed<string> {
  const trimmed = text.trim();
  if (trimmed === '') return { wrong: 'names no PAC script', right: 'write a path or an http(s) URL' };
  if (!trimmed.includes('://')) return { value: trimmed };
  const isRight = /^(?:https?:\/\/[^/]|file:\/\/\/)/i.test(trimmed) && URL.canParse(trimmed);
  return isRight ? { value: trimmed } : { wrong: 'is neither a path nor an http(s) URL of a PAC script' };
}

/** `95%` or a number of percent; 1 to 100. The value is a ratio. */
export function parsePercent(raw: string | number): Parsed<number> {
  const match = /^(\d+(?:\.\d+)?)\s*%?$/.exec(String(raw).trim());
  const percent = match === null ? Number.NaN : Number(match[1]);
  if (Number.isNaN(percent)) return { wrong: 'is not a percentage' };
  if (percent < 1 || percent > 100) return { wrong: 'is not between 1% and 100%' };
  return { value: percent / 100 };
}

/** `NAME` or `NAME+HASH+KEY`, then any number of URLs. See https://go.dev/ref/mod#environment-variables. */
export function parseSumdb(text: string): Parsed<SumdbEntry> {
  const [key = '', ...addresses] = text.trim().split(/\s+/);
  const [name = '', hash, ...keyParts] = key.split('+');
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:/~-]*$/.test(name)) return { wrong: 'is not NAME[+HASH+KEY][ URL]' };
  if (hash !== undefined) {
    const fault = verifierKeyFault(name, hash, keyParts.join('+'));
    if (fault !== undefined) return { wrong: fault };
  }
  const urls: string[] = [];
  for (const address of addresses) {
    const url = parseSumdbUrl(address);
    if (!('value' in url)) return url;
    urls.push(url.value);
  }
  return { value: { name, verifierKey: hash === undefined ? undefined : key, urls } };
}

/** As `parseSumdb`, or `off`. Every database but the official one must come with its key. */
export function parseChecksumDatabase(text: string): Parsed<ChecksumDatabase> {
  if (text.trim() === 'off') return { value: 'off' };
  const parsed = parseSumdb(text);
  if (!('value' in parsed)) return parsed;
  const { name, verifierKey } = parsed.value;
  if (verifierKey === undefined && name !== 'sum.golang.org' && name !== 'sum.golang.google.cn') {
    return { wrong: 'has no key', right: 'write NAME+HASH+KEY, as GOSUMDB has it' };
  }
  return parsed;
}

/** Checks a verifier key of golang.org/x/mod/sumdb/note: its hash is over name and key, so a typing error shows. */
function verifierKeyFault(name: string, hash: string, keyText: string): string | undefined {
  const key = Buffer.from(keyText, 'base64');
  if (!/^[0-9a-f]{8}$/.test(hash) || key.length !== 33 || key[0] !== 1) return 'has a malformed verifier key';
  const expected = createHash('sha256').update(`${name}\n`).update(key).digest('hex').slice(0, 8);
  return hash === expected
    ? undefined
    : 'has a verifier key that does not fit its own hash (a typing error?)';
}

function parseSumdbUrl(text: string): Parsed<string> {
  const parsed = parseHttpUrl(text);
  if (!('value' in parsed)) return { wrong: `has an address that ${parsed.wrong}` };
  const url = parsed.value;
  if (url.username !== '' || url.password !== '') return { wrong: 'has credentials in its address' };
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return {
      wrong: 'has a plain http address that is not on this machine',
      right: 'write an https:// address',
    };
  }
  return { value: url.href.replace(/\/+$/, '') };
}

/** True for `localhost`, 127.0.0.0/8 and ::1 as they stand in a URL's host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Local time of day, in minutes from midnight; `toMin` below `fromMin` goes over midnight. */
export interface Hours {
  readonly fromMin: number;
  readonly toMin: number;
}

/** `HH:MM-HH:MM`. */
export function parseHours(text: string): Parsed<Hours> {
  const match = /^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (match === null) return { wrong: 'is not HH:MM-HH:MM' };
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (fromMinute > 59 || toMinute > 59 || fromHour > 24 || toHour > 24) return { wrong: 'is no time of day' };
  const [fromMin, toMin] = [fromHour * 60 + fromMinute, toHour * 60 + toMinute];
  if (fromMin > 1440 || toMin > 1440) return { wrong: 'is no time of day' };
  if (fromMin === toMin) return { wrong: 'is an empty time', right: 'leave the list empty for all day' };
  return { value: { fromMin, toMin } };
}

/** Whom a rule names: `anonymous`, `authenticated`, `tokens`, `user:NAME`, `group:NAME`, `token:NAME`. */
export type SubjectEntry =
  | { readonly kind: 'anonymous' | 'authenticated' | 'tokens' }
  | { readonly kind: 'user' | 'group' | 'token'; readonly name: string };

export function parseSubject(text: string): Parsed<SubjectEntry> {
  const trimmed = text.trim();
  if (trimmed === 'anonymous' || trimmed === 'authenticated' || trimmed === 'tokens') {
    return { value: { kind: trimmed } };
  }
  const match = /^(user|group|token):(.+)$/.exec(trimmed);
  const name = match?.[2]?.trim() ?? '';
  if (match === null || name === '') return { wrong: 'names nobody' };
  return { value: { kind: match[1] as 'user' | 'group' | 'token', name } };
}

/** An address or a CIDR range; the output is always a range: `192.0.2.7/32`. */
export function parseCidr(text: string): Parsed<string> {
  const [address = '', bits, ...more] = text.trim().split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  if (family === 0 || more.length > 0) return { wrong: 'is not an address range' };
  if (bits === undefined) return { value: `${address}/${most}` };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > most) return { wrong: 'has a prefix that is too long' };
  return { value: `${address}/${bits}` };
}

/** As `parseCidr`, or `unix`: whoever comes through a Unix socket. */
export function parseClientRange(text: string): Parsed<string> {
  return text.trim() === 'unix' ? { value: 'unix' } : parseCidr(text);
}

/** `ldap://HOST[:PORT]` or `ldaps://…`. */
export function parseLdapUrl(text: string): Parsed<string> {
  const trimmed = text.trim();
  if (!/^ldaps?:\/\/[^/?#@\s]+\/?$/i.test(trimmed) || !URL.canParse(trimmed))
    return { wrong: 'is not an LDAP URL' };
  return { value: trimmed.replace(/\/$/, '') };
}

/** Where a repository is, with `{path}` and `{root}`: an https, http, ssh or file URL without a password. */
export function parseRepositoryTemplate(text: string): Parsed<string> {
  const trimmed = text.trim();
  const plain = trimmed.replaceAll(/\{(?:path|root)\}/g, 'x');
  if (!/^(?:https?|ssh|file):\/\/[^\s]+$/.test(plain) || !URL.canParse(plain)) {
    return { wrong: 'is not an https, ssh or file URL' };
  }
  if (/[{}]/.test(plain))
    return { wrong: 'has braces that mean nothing', right: 'use {path} and {root} only' };
  if (new URL(plain).password !== '') {
    return { wrong: 'holds a password', right: 'name it in direct.credentials' };
  }
  return { value: trimmed };
}
