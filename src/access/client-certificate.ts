/**
 * What a TLS client certificate says, read from Node's view of it. A certificate of our own authority is trusted to
 * name its owner, not to be well-formed: names with control characters, several common names and texts that look like
 * further names are no names.
 */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { isShownName } from './shown-name.ts';
import type { ClientCertificate } from './types.ts';

const maxNames = 64;

/** Of a connection; undefined without a client certificate, and with one that our authority did not sign. */
export function clientCertificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined;
  const peer = socket.getPeerCertificate();
  return Object.keys(peer).length === 0 ? undefined : clientCertificate(peer);
}

/**
 * From what `getPeerCertificate()` or `X509Certificate.toLegacyObject()` gives. More than one common name is none:
 * which of them a rule means cannot be told.
 */
export function clientCertificate(peer: PeerCertificate): ClientCertificate {
  const commonNames = valuesOf(peer.subject, 'CN');
  const [only = ''] = commonNames;
  return {
    commonName: commonNames.length === 1 && isShownName(only) ? only : '',
    units: [...new Set(valuesOf(peer.subject, 'OU').filter(isShownName))].slice(0, maxNames),
    names: alternativeNames(peer.subjectaltname ?? ''),
    fingerprint: peer.fingerprint256.replaceAll(':', '').toLowerCase(),
    expiresAtMs: endOf(peer.valid_to),
  };
}

/** As OpenSSL writes it: `Jan  1 00:00:00 2030 GMT`. An end that cannot be read has passed. */
function endOf(text: string): number {
  const endMs = Date.parse(text);
  return Number.isNaN(endMs) ? 0 : endMs;
}

/** An attribute that stands several times in a subject is a list. */
function valuesOf(subject: unknown, attribute: string): string[] {
  if (typeof subject !== 'object' || subject === null || !Object.hasOwn(subject, attribute)) return [];
  const value = (subject as Readonly<Record<string, unknown>>)[attribute];
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((one): one is string => typeof one === 'string');
}

const kinds: readonly (readonly [prefix: string, kind: string])[] = [
  ['DNS:', 'dns'],
  ['email:', 'email'],
  ['URI:', 'uri'],
];

/**
 * Reads Node's text of the extension: `DNS:a, URI:"b\u002c DNS:c"`. A value that could be taken for more than one is
 * quoted as JSON, so a comma outside of quotes always parts two names. A text that breaks this rule has no names at all.
 */
function alternativeNames(text: string): string[] {
  const names = new Set<string>();
  for (const entry of entriesOf(text) ?? []) {
    for (const [prefix, kind] of kinds) {
      if (!entry.startsWith(prefix)) continue;
      const value = unquoted(entry.slice(prefix.length));
      if (value === undefined || !isShownName(value) || names.size >= maxNames) continue;
      names.add(`${kind}:${kind === 'dns' ? value.toLowerCase() : value}`);
    }
  }
  return [...names];
}

function entriesOf(text: string): string[] | undefined {
  const entries: string[] = [];
  const entry = /([^",]*(?:"(?:[^"\\]|\\.)*")?[^",]*)(?:, |$)/y;
  while (entry.lastIndex < text.length) {
    const found = entry.exec(text);
    if (found?.[1] === undefined || found[0] === '') return undefined;
    entries.push(found[1]);
  }
  return entries;
}

function unquoted(value: string): string | undefined {
  if (!value.includes('"')) return value;
  try {
    const read: unknown = JSON.parse(value);
    return typeof read === 'string' ? read : undefined;
  } catch {
    return undefined;
  }
}
