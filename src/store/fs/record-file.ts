/**
 * The text form of an artifact's record. Parsing trusts nothing: a record that is cut, empty or of another shape
 * (a power cut may leave that, records are not fsynced) counts as missing and is rebuilt.
 */
import type { ArtifactRecord } from '../store.ts';
import { isCount, isSha256, parseObject } from './json-object.ts';
import { parseTrust } from './trust.ts';

export function renderRecord(record: ArtifactRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Undefined when the text is not a whole record. A proof of another shape is left out: it proves nothing. */
export function parseRecord(text: string): ArtifactRecord | undefined {
  const raw = parseObject(text);
  if (raw === undefined) return undefined;
  const { sizeBytes, sha256, h1, source, storedAtMs, modifiedAtMs } = raw;
  if (!isCount(sizeBytes) || !isCount(storedAtMs) || !isCount(modifiedAtMs)) return undefined;
  if (!isSha256(sha256)) return undefined;
  if (typeof source !== 'string') return undefined;
  if (h1 !== undefined && (typeof h1 !== 'string' || !isH1(h1))) return undefined;
  return {
    sizeBytes,
    sha256,
    source,
    storedAtMs,
    modifiedAtMs,
    ...(h1 === undefined ? {} : { h1 }),
    ...parseTrust(raw),
  };
}

/** `h1:` and 32 bytes in base64, golang.org/x/mod/sumdb/dirhash. */
export function isH1(text: string): boolean {
  return /^h1:[A-Za-z0-9+/]{43}=$/.test(text);
}
