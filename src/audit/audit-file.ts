/** The audit in the data folder: `audit/audit.jsonl`, the one before it `audit.1.jsonl`, and so on. */
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

/** Reads the audit of all processes on a data folder, and goes on where it stopped. */
export class AuditReader {
  readonly #lines: JsonLinesReader;
  readonly #matches: (record: AuditRecord) => boolean;
  /** Instance to its last number: a batch that was written in part is written again. */
  readonly #last = new Map<string, number>();

  constructor(dataDir: string, filter: AuditFilter = {}) {
    this.#lines = new JsonLinesReader(auditFileIn(dataDir), maxFiles);
    this.#matches = auditMatcher(filter);
  }

  /** Changes whenever something was appended. Empty where there is no audit. */
  mark(): Promise<string> {
    return this.#lines.mark();
  }

  /** Gives what was appended since the last call, at first everything. Rejects with the system's error. */
  async read(onRecord: (record: AuditRecord) => void): Promise<void> {
    await this.#lines.read((line) => {
      const record = parseAuditLine(line);
      if (record === undefined || !this.#isNew(record)) return;
      if (this.#matches(record)) onRecord(record);
    });
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
