/**
 * Reads the quarantine: flat files `{id}.json` (evidence) and `{id}.bytes`. Anything else in the folder is not seen.
 * What was read is remembered while the folder's own time says that nothing came or went, because every answer about
 * an artifact that failed asks for its suspects.
 */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { QuarantineEntry } from '../quarantine.ts';
import { isAbsence, isErrno, namesIn, OpenFile, statIfAny } from './files.ts';
import { isQuarantineId, maxEntryBytes, parseEntry, type StoredEntry } from './quarantine-entry.ts';

/** Folder times may be this coarse: a folder that changed less long ago may change again without showing it. */
const coarseMs = 2_000;

interface Remembered {
  readonly inode: number;
  readonly modifiedAtMs: number;
  readonly entries: readonly QuarantineEntry[];
}

export class QuarantineFolder {
  readonly path: string;
  readonly #clock: Clock;
  #remembered: Remembered | undefined;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  evidenceFile(id: string): string {
    return join(this.path, `${id}.json`);
  }

  bytesFile(id: string): string {
    return join(this.path, `${id}.bytes`);
  }

  /** Newest first. Rejects with the system's error. */
  async list(): Promise<readonly QuarantineEntry[]> {
    const facts = await statIfAny(this.path);
    if (facts === undefined) return [];
    const { inode, modifiedAtMs } = facts;
    const remembered = this.#remembered;
    if (remembered?.inode === inode && remembered.modifiedAtMs === modifiedAtMs) return remembered.entries;
    const isCertain = this.#clock.now() - modifiedAtMs > coarseMs;
    const entries: QuarantineEntry[] = [];
    for (const id of idsAmong(await namesIn(this.path), '.json')) {
      const entry = await this.get(id);
      if (entry !== undefined) entries.push(entry);
    }
    entries.sort(
      (one, other) => other.atMs - one.atMs || other.firstAtMs - one.firstAtMs || order(one, other),
    );
    this.#remembered = isCertain ? { inode, modifiedAtMs, entries } : undefined;
    return entries;
  }

  /** Rejects with the system's error. */
  async get(id: string): Promise<QuarantineEntry | undefined> {
    const entry = await this.stored(id);
    if (entry === undefined) return undefined;
    const bytes = await statIfAny(this.bytesFile(id));
    // A power cut may leave a part of what was moved here: those are not the bytes that the evidence tells of.
    return { ...entry, hasBytes: bytes?.isFile === true && bytes.sizeBytes === entry.sizeBytes };
  }

  /** What the evidence's file says. Rejects with the system's error. */
  async stored(id: string): Promise<StoredEntry | undefined> {
    if (!isQuarantineId(id)) return undefined;
    const text = await readEvidence(this.evidenceFile(id));
    return text === undefined ? undefined : parseEntry(text, id);
  }

  /** Every `{id}.json` and `{id}.bytes`, readable or not. Rejects with the system's error. */
  async ids(): Promise<{ evidence: string[]; bytes: string[] }> {
    const names = await namesIn(this.path);
    return { evidence: idsAmong(names, '.json'), bytes: idsAmong(names, '.bytes') };
  }
}

function idsAmong(names: readonly string[], suffix: string): string[] {
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .filter(isQuarantineId);
}

function order(one: QuarantineEntry, other: QuarantineEntry): number {
  return one.id < other.id ? -1 : 1;
}

async function readEvidence(path: string): Promise<string | undefined> {
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(path, 'r');
    const { isFile, sizeBytes } = await file.stat();
    if (!isFile || sizeBytes > maxEntryBytes) return undefined;
    const text = Buffer.alloc(sizeBytes);
    return text.toString('utf8', 0, await file.readAt(text, sizeBytes, 0));
  } catch (error) {
    if (isAbsence(error) || isErrno(error, 'EISDIR')) return undefined;
    throw error;
  } finally {
    await file?.close();
  }
}
