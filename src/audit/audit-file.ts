/**
 * The audit in the data folder: `audit/audit.jsonl`, the one before it `audit.1.jsonl`, and so on; `denied.jsonl` and its
 * like for what strangers cause.
 */
import { join } from 'node:path';
import { JsonLinesReader } from '../lib/json-lines-file.ts';
import { type AuditRecord, parseAuditLine } from './entry.ts';
import type { AuditAction, AuditResult } from './types.ts';

/** Readers look for so many files besides the current one: `keep` may have been larger once. */
const maxFiles = 100;
/** Processes whose last number is remembered, so that what was written twice is given once. */
const maxInstances = 10_000;

export interface AuditFilter {
  /** Milliseconds since the epoch: not older. */
  readonly sinceMs?: number | undefined;
  readonly action?: AuditAction | undefined;
  /** `token:ci`, or only `ci`. */
  readonly who?: string | undefined;
  /** Only entries about a module for which this is true. */
  readonly isModule?: ((path: string) => boolean) | undefined;
  readonly result?: AuditResult | undefined;
}

export function auditFolderIn(dataDir: string): string {
  return join(dataDir, 'audit');
}

export function auditFileIn(dataDir: string): string {
  return join(auditFolderIn(dataDir), 'audit.jsonl');
}

export function deniedFileIn(dataDir: string): string {
  return join(auditFolderIn(dataDir), 'denied.jsonl');
}

/** Reads the audit of all processes on a data folder, and goes on where it stopped. */
export class AuditReader {
  readonly #files: readonly FileReader[];

  constructor(dataDir: string, filter: AuditFilter = {}) {
    const matches = auditMatcher(filter);
    this.#files = [auditFileIn(dataDir), deniedFileIn(dataDir)].map((file) => new FileReader(file, matches));
  }

  /** Changes whenever something was appended. Empty where there is no audit. */
  async mark(): Promise<string> {
    const marks = await Promise.all(this.#files.map((file) => file.mark()));
    return marks.every((mark) => mark === '') ? '' : marks.join(', ');
  }

  /**
   * Gives what was appended since the last call, at first everything, in the order of its time. `limit`: only the newest
   * so many, and of the millions that there may be no more than some times as many are held. Rejects with the system's
   * error.
   */
  async read(onRecord: (record: AuditRecord) => void, limit = Number.POSITIVE_INFINITY): Promise<void> {
    const found: AuditRecord[][] = [];
    for (const file of this.#files) found.push(await file.read(limit));
    // What is of one time stays in the order in which its file has it.
    const inOrder = found.flat().sort((a, b) => a.atMs - b.atMs);
    for (const record of newest(inOrder, limit)) onRecord(record);
  }
}

/** Of one of the two kinds: numbers of an instance only grow within it. */
class FileReader {
  readonly #lines: JsonLinesReader;
  readonly #matches: (record: AuditRecord) => boolean;
  /** Instance to its last number: a batch that was written in part is written again. */
  readonly #last = new Map<string, number>();

  constructor(file: string, matches: (record: AuditRecord) => boolean) {
    this.#lines = new JsonLinesReader(file, maxFiles);
    this.#matches = matches;
  }

  mark(): Promise<string> {
    return this.#lines.mark();
  }

  async read(limit: number): Promise<AuditRecord[]> {
    let found: AuditRecord[] = [];
    await this.#lines.read((line) => {
      const record = parseAuditLine(line);
      if (record === undefined || !this.#isNew(record) || !this.#matches(record)) return;
      found.push(record);
      if (found.length >= 2 * limit) found = newest(found, limit);
    });
    return newest(found, limit);
  }

  #isNew({ instance, seq }: AuditRecord): boolean {
    const last = this.#last.get(instance);
    if (last !== undefined && seq <= last) return false;
    this.#last.delete(instance);
    this.#last.set(instance, seq);
    if (this.#last.size > maxInstances) {
      const [oldest] = this.#last.keys();
      if (oldest !== undefined) this.#last.delete(oldest);
    }
    return true;
  }
}

function newest(records: AuditRecord[], limit: number): AuditRecord[] {
  return records.length > limit ? records.slice(records.length - limit) : records;
}

function auditMatcher({
  sinceMs,
  action,
  who,
  isModule,
  result,
}: AuditFilter): (record: AuditRecord) => boolean {
  return (record) =>
    (sinceMs === undefined || record.atMs >= sinceMs) &&
    (action === undefined || record.action === action) &&
    (result === undefined || record.result === result) &&
    (who === undefined || record.who === who || record.who.endsWith(`:${who}`)) &&
    (isModule === undefined || (record.module !== undefined && isModule(record.module)));
}
