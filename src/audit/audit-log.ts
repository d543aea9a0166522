/**
 * Writes the audit. What changes something is on the disk as soon as the disk can; what strangers cause is gathered for a second. A
 * disk that takes nothing costs entries, which are counted, and never a request.
 */
import { mkdir } from 'node:fs/promises';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { JsonLinesFile } from '../lib/json-lines-file.ts';
import { auditFileIn, auditFolderIn } from './audit-file.ts';
import { auditLine, boundedEntry } from './entry.ts';
import { isRefusal, Refusals } from './refusals.ts';
import type { Audit, AuditEntry } from './types.ts';

export interface AuditOptions {
  readonly clock: Clock;
  /** Absolute; its `audit` folder is made. */
  readonly dataDir: string;
  /** Names this process among those that write to the folder, and among all there ever were. */
  readonly instance: string;
  /** A file that is this long becomes the one before. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Files kept besides the current one. Default 10. */
  readonly keep?: number | undefined;
  /** Told when writing begins to fail, and how many entries are lost so far; for the log. */
  readonly onFault?: ((fault: { readonly message: string; readonly lost: number }) => void) | undefined;
  /** Told when writing works again. */
  readonly onRecovered?: (() => void) | undefined;
}

export interface AuditLog extends Audit {
  /** Entries written, entries lost for good, and writes that failed. */
  readonly counters: { readonly written: number; readonly lost: number; readonly failures: number };
  /** Resolves when what was noted before is written, or could not be. Never rejects. */
  flush(): Promise<void>;
  /** As `flush`; nothing is noted any more. */
  close(): Promise<void>;
}

const defaultMaxBytes = 64 * 1024 * 1024;
const defaultKeep = 10;
/** At most 40 MiB of lines wait for a disk that is full. */
const maxQueued = 10_000;
const maxBatch = 500;
/** After a write that failed; a full disk stays full for a while. */
const retryAfterMs = 5_000;

interface Queued {
  readonly line: string;
  readonly isDurable: boolean;
}

/** Makes nothing on the disk until something is noted. */
export function createAudit(options: AuditOptions): AuditLog {
  return new FileAudit(options);
}

class FileAudit implements AuditLog {
  readonly #options: AuditOptions;
  readonly #file: JsonLinesFile;
  readonly #refusals: Refusals;
  #queue: Queued[] = [];
  #seq = 0;
  #written = 0;
  #lost = 0;
  /** Of `#lost`, those that no line has told of yet. */
  #untold = 0;
  #failures = 0;
  #isFailing = false;
  #isClosed = false;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(options: AuditOptions) {
    const { clock, dataDir, maxBytes = defaultMaxBytes, keep = defaultKeep } = options;
    this.#options = options;
    this.#file = new JsonLinesFile(auditFileIn(dataDir), { clock, maxBytes, keep, mode: 0o600 });
    this.#refusals = new Refusals(clock, (entry, count) => this.#enqueue(entry, count));
  }

  get counters(): AuditLog['counters'] {
    return { written: this.#written, lost: this.#lost, failures: this.#failures };
  }

  note(entry: AuditEntry): void {
    if (this.#isClosed) return;
    const bounded = boundedEntry(entry);
    if (isRefusal(bounded)) this.#refusals.add(bounded);
    else this.#enqueue(bounded, 1);
  }

  async flush(): Promise<void> {
    this.#refusals.flush();
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#queue.length > 0) await this.#write();
  }

  async close(): Promise<void> {
    this.#refusals.flush();
    this.#isClosed = true;
    await this.flush();
    this.#lost += this.#queue.length;
    this.#queue = [];
  }

  #enqueue(entry: AuditEntry, count: number): void {
    this.#seq += 1;
    if (this.#queue.length >= maxQueued) {
      this.#lost += 1;
      this.#untold += 1;
      return;
    }
    const lost = this.#untold;
    this.#untold = 0;
    const { clock, instance } = this.#options;
    const line = auditLine({ ...entry, atMs: clock.now(), instance, seq: this.#seq, count, lost });
    this.#queue.push({ line, isDurable: !isRefusal(entry) });
    if (!this.#isFailing) void this.#write();
  }

  /** Until nothing waits, or the disk takes nothing. Never rejects. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, maxBatch);
      try {
        await this.#append(batch);
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#queue = this.#queue.slice(batch.length);
      this.#written += batch.length;
      if (this.#isFailing) this.#options.onRecovered?.();
      this.#isFailing = false;
    }
  }

  async #append(batch: readonly Queued[]): Promise<void> {
    await mkdir(auditFolderIn(this.#options.dataDir), { recursive: true, mode: 0o700 });
    const isDurable = batch.some((each) => each.isDurable);
    await this.#file.append(batch.map(({ line }) => line).join(''), { isDurable });
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    if (!this.#isFailing) {
      const message = `the audit cannot be written: ${messageOf(error)}; free the disk or mend the rights of the data folder`;
      this.#options.onFault?.({ message, lost: this.#lost });
    }
    this.#isFailing = true;
    if (this.#isClosed) return;
    this.#timer ??= this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, retryAfterMs);
  }
}
