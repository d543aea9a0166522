/** Records whose place in the log was proven, and the text in which they are kept. Pure, but for the memory. */
import { LRUCache } from 'lru-cache';
import { escapePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { escapeVersion } from '../gomod/version.ts';
import { LogError } from './log/log-error.ts';
import { goSumLines, parseLookup } from './log/record.ts';
import type { ProvenRecord } from './types.ts';

const memoryBytes = 16 * 1024 * 1024;

export interface Wanted {
  readonly path: ModulePath;
  readonly version: Version;
  /** `lookup/ESCAPEDPATH@ESCAPEDVERSION` */
  readonly operation: string;
}

/** A record that claims to be the wanted one. */
export interface Claimed {
  readonly id: number;
  readonly text: Buffer;
  readonly note: Buffer;
  readonly zipH1: string | undefined;
  readonly modH1: string | undefined;
}

export function wantedOf(path: ModulePath, version: Version): Wanted {
  return { path, version, operation: `lookup/${escapePath(path)}@${escapeVersion(version)}` };
}

/**
 * Reads an answer, or what was kept of one. Throws LogError; `bad_record` also where the record's text has no line of
 * the wanted module version: then it proves nothing of it (CVE-2026-42501).
 */
export function readClaim(body: Buffer, { path, version }: Wanted): Claimed {
  const { id, text, note } = parseLookup(body);
  const { zipH1, modH1 } = goSumLines(text, path, version);
  if (zipH1 === undefined && modH1 === undefined) {
    throw new LogError('bad_record', `record ${id} has no line of ${path}@${version}`);
  }
  return { id, text, note, zipH1, modH1 };
}

export function provenRecord({ path, version }: Wanted, claimed: Claimed, treeSize: number): ProvenRecord {
  const { id, text, zipH1, modH1 } = claimed;
  return { path, version, id, text: text.toString('utf8'), zipH1, modH1, treeSize };
}

/** Proven records in memory, by operation. */
export function recordMemory(): LRUCache<string, ProvenRecord> {
  return new LRUCache({ maxSize: memoryBytes, sizeCalculation: ({ text }) => 2 * text.length + 500 });
}
