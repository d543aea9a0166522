/**
 * Lines on their way into one file of the audit: bounded in number while the disk takes nothing, counted when they are
 * too many, and written again later.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../lib/clock.ts';
import { JsonLinesFile } from '../lib/json-lines-file.ts';

/** At most 40 MiB of lines wait for a disk that is full. */
const maxQueued = 10_000;
const maxBatch = 500;
/** After a write that failed; a full disk stays full for a while. */
const retryAfterMs = 5_000;

export interface LineWriterOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly maxBytes: number;
  /** Files kept besides the current one. */
  readonly keep: number;
  /** Lines are on the disk before they count as written. */
  readonly isDurable: boolean;
  /** Told when writing begins to fail. */
  readonly onFault: (error: unknown) => void;
  /** Told when it works again. */
  readonly onRecovered: () => void;
}

export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #file: JsonLinesFile;
  #queue: string[] = [];
  #written = 0;
  #lost = 0;
  /** Of `#lost`, those that no line has told of yet. */
  #untold = 0;
  #failures = 0;
  #isFailing = false;
  #isClosed = false;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(options: LineWriterOptions) {
    const { file, clock, maxBytes, keep } = options;
    this.#options = options;
    this.#file = new JsonLinesFile(file, { clock, maxBytes, keep, mode: 0o600 });
  }

  get counters(): { readonly written: number; readonly lost: number; readonly failures: number } {
    return { written: this.#written, lost: this.#lost, failures: this.#failures };
  }

  /** `lineOf` is given how many lines before this one were lost, and is not called when this one is too. */
  add(lineOf: (lost: number) => string): void {
    if (this.#queue.length >= maxQueued) {
      this.#lost += 1;
      this.#untold += 1;
      return;
    }
    const lost = this.#untold;
    this.#untold = 0;
    this.#queue.push(lineOf(lost));
    if (!this.#isFailing) void this.#write();
  }

  /** Resolves when what was added before is written, or could not be. Never rejects. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#queue.length > 0) await this.#write();
  }

  /** As `flush`; what could not be written then is lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    this.#lost += this.#queue.length;
    this.#queue = [];
  }

  /** Until nothing waits, or the disk takes nothing. Never rejects. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    const { file, isDurable, onRecovered } = this.#options;
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, maxBatch);
      try {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 });
        await this.#file.append(batch.join(''), { isDurable });
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#queue = this.#queue.slice(batch.length);
      this.#written += batch.length;
      if (this.#isFailing) onRecovered();
      this.#isFailing = false;
    }
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    if (!this.#isFailing) this.#options.onFault(error);
    this.#isFailing = true;
    if (this.#isClosed) return;
    this.#timer ??= this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, retryAfterMs);
  }
}
