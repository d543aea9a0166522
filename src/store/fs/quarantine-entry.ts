/** The text form of a suspect's evidence, and its id. What is read trusts nothing; what is written is small. */
import { createHash } from 'node:crypto';
import type { Evidence, QuarantineEntry, SuspectCause } from '../quarantine.ts';
import { keyIn } from './awaiting-proof.ts';
import { asObject, isCount, isSha256, parseObject } from './json-object.ts';
import { keyText } from './layout.ts';

/** An entry as its file says; whether its bytes are there, the folder says. */
export type StoredEntry = Omit<QuarantineEntry, 'hasBytes'>;

/** A longer file is none of ours. */
export const maxEntryBytes = 64 * 1024;
const maxReasonChars = 1_000;
const maxNameChars = 300;
const maxHeaders = 24;
const maxHeaderChars = 300;

const causes: readonly SuspectCause[] = ['mismatch', 'retagged', 'corrupt', 'rotten', 'import'];

/** 16 hex digits of SHA-256 over the artifact, the source and the bytes' SHA-256. */
export function idOf({ key, source, sha256 }: Pick<Evidence, 'key' | 'source' | 'sha256'>): string {
  const text = JSON.stringify([keyText(key), source, sha256]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Ids come from users: nothing else is ever made a file name. */
export function isQuarantineId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** The entry of this evidence after `before`, the one that is kept of the same suspect. */
export function nextEntry(evidence: Evidence, before: StoredEntry | undefined): StoredEntry {
  return {
    ...cut(evidence),
    id: idOf(evidence),
    atMs: Math.max(evidence.atMs, before?.atMs ?? evidence.atMs),
    firstAtMs: Math.min(evidence.atMs, before?.firstAtMs ?? evidence.atMs),
    count: (before?.count ?? 0) + 1,
  };
}

function cut(evidence: Evidence): Evidence {
  const { key, cause, sha256, sizeBytes, atMs, headers } = evidence;
  return {
    key: { path: key.path, version: key.version, ext: key.ext },
    cause,
    source: evidence.source.slice(0, maxNameChars),
    reason: evidence.reason.slice(0, maxReasonChars),
    sha256,
    sizeBytes,
    atMs,
    ...textsIn({ ...evidence }),
    ...(headers === undefined ? {} : { headers: headersIn(headers) }),
  };
}

export function renderEntry(entry: StoredEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** Undefined when the text is no whole entry with this id. */
export function parseEntry(text: string, id: string): StoredEntry | undefined {
  const raw = parseObject(text);
  const rawKey = asObject(raw?.['key']);
  const key = rawKey === undefined ? undefined : keyIn(rawKey);
  if (raw === undefined || key === undefined || raw['id'] !== id) return undefined;
  const { source, reason, sha256, sizeBytes, atMs, firstAtMs, count } = raw;
  const cause = causes.find((known) => known === raw['cause']);
  if (cause === undefined || typeof source !== 'string' || typeof reason !== 'string') return undefined;
  if (!isSha256(sha256) || !isCount(sizeBytes)) return undefined;
  if (!isCount(atMs) || !isCount(firstAtMs) || !isCount(count) || count === 0) return undefined;
  const headers = asObject(raw['headers']);
  return {
    key,
    cause,
    source,
    reason,
    sha256,
    sizeBytes,
    atMs,
    id,
    firstAtMs,
    count,
    ...(raw['settled'] === true ? { settled: true as const } : {}),
    ...textsIn(raw),
    ...(headers === undefined ? {} : { headers: headersIn(headers) }),
  };
}

type Texts = Pick<Evidence, 'expectedH1' | 'foundH1' | 'expectedSha256' | 'expectedBy'>;

function textsIn(raw: Readonly<Record<string, unknown>>): Texts {
  const texts: { -readonly [Name in keyof Texts]: string } = {};
  for (const name of ['expectedH1', 'foundH1', 'expectedSha256', 'expectedBy'] as const) {
    const text = raw[name];
    if (typeof text === 'string') texts[name] = text.slice(0, maxNameChars);
  }
  return texts;
}

function headersIn(raw: Readonly<Record<string, unknown>>): Record<string, string> {
  const headers: [string, string][] = [];
  for (const [name, text] of Object.entries(raw)) {
    if (headers.length === maxHeaders) break;
    if (typeof text !== 'string' || name.length > maxHeaderChars) continue;
    headers.push([name, text.slice(0, maxHeaderChars)]);
  }
  return Object.fromEntries(headers);
}
