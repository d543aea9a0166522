/**
 * Writes the audit. What changes something is on the disk as soon as the disk can; what strangers cause is gathered for a
 * second, and kept in files of its own, so that no flood of it pushes anything else out. A disk that takes nothing costs
 * entries, which are counted, and never a request.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { auditFileIn, deniedFileIn } from './audit-file.ts';
import { auditLine, boundedEntry } from './entry.ts';
import { LineWriter } from './line-writer.ts';
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
  /** Files kept besides the current one: of refusals, and of all else. Default 10. */
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

/** Makes nothing on the disk until something is noted. */
export function createAudit(options: AuditOptions): AuditLog {
  return new FileAudit(options);
}

class FileAudit implements AuditLog {
  readonly #options: AuditOptions;
  readonly #acts: LineWriter;
  readonly #denied: LineWriter;
  readonly #refusals: Refusals;
  #seq = 0;
  /** Of the two files; they are on one disk. */
  #failing = 0;
  #isClosed = false;

  constructor(options: AuditOptions) {
    const { clock, dataDir, maxBytes = defaultMaxBytes, keep = defaultKeep } = options;
    this.#options = options;
    const shared = {
      clock,
      maxBytes,
      keep,
      onFault: (error: unknown) => this.#fault(error),
      onRecovered: () => this.#recovered(),
    };
    this.#acts = new LineWriter({ ...shared, file: auditFileIn(dataDir), isDurable: true });
    this.#denied = new LineWriter({ ...shared, file: deniedFileIn(dataDir), isDurable: false });
    this.#refusals = new Refusals(clock, (entry, count) => this.#write(this.#denied, entry, count));
  }

  get counters(): AuditLog['counters'] {
    const [acts, denied] = [this.#acts.counters, this.#denied.counters];
    return {
      written: acts.written + denied.written,
      lost: acts.lost + denied.lost,
      failures: acts.failures + denied.failures,
    };
  }

  note(entry: AuditEntry): void {
    if (this.#isClosed) return;
    const bounded = boundedEntry(entry);
    if (isRefusal(bounded)) this.#refusals.add(bounded);
    else this.#write(this.#acts, bounded, 1);
  }

  async flush(): Promise<void> {
    this.#refusals.flush();
    await Promise.all([this.#acts.flush(), this.#denied.flush()]);
  }

  async close(): Promise<void> {
    this.#refusals.flush();
    this.#isClosed = true;
    await Promise.all([this.#acts.close(), this.#denied.close()]);
  }

  #write(writer: LineWriter, entry: AuditEntry, count: number): void {
    const { clock, instance } = this.#options;
    this.#seq += 1;
    const seq = this.#seq;
    writer.add((lost) => auditLine({ ...entry, atMs: clock.now(), instance, seq, count, lost }));
  }

  #fault(error: unknown): void {
    this.#failing += 1;
    if (this.#failing > 1) return;
    const message = `the audit cannot be written: ${messageOf(error)}; free the disk or mend the rights of the data folder`;
    this.#options.onFault?.({ message, lost: this.counters.lost });
  }

  #recovered(): void {
    this.#failing -= 1;
    if (this.#failing === 0) this.#options.onRecovered?.();
  }
}
