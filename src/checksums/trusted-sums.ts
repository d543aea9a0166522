/**
 * The trusted go.sum lines as a running process sees them: all in memory, read again within a second after any process
 * on the folder has changed the file.
 */
import { stat } from 'node:fs/promises';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { maxTrustedLines, readTrusted, trustedFileIn, trustedName } from './trusted-file.ts';
import { type TrustedEntry, TrustedTable } from './trusted-table.ts';

const pollEveryMs = 1_000;
const none = 'none';
/** `a.b v0.0.0 h1:… 1767225600000 x` */
const shortestLineBytes = 74;

export class TrustedSums {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #table = new TrustedTable();
  #seen = none;
  #timer: Timer | undefined;
  #isClosed = false;

  private constructor(dataDir: string, clock: Clock) {
    this.#file = trustedFileIn(dataDir);
    this.#clock = clock;
  }

  /**
   * Reads the file and keeps an eye on it. Rejects with the system's error when it is there and cannot be read: what
   * an operator trusts must not be forgotten in silence.
   */
  static async open(dataDir: string, clock: Clock): Promise<TrustedSums> {
    const sums = new TrustedSums(dataDir, clock);
    await sums.#look();
    sums.#arm();
    return sums;
  }

  /** Lines that are trusted. */
  get size(): number {
    return this.#table.size;
  }

  /** What the content's `h1:` hash must be, and which import says so. Undefined: none does. */
  find(path: ModulePath, version: Version, ext: 'mod' | 'zip'): TrustedEntry | undefined {
    return this.#table.find(trustedName({ path, version, ext }));
  }

  /** Told after each change that was read, by whomever it was made. Returns the unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.setTimeout(() => {
      // While the disk does not give the file, what was read last goes on to hold.
      void this.#look()
        .catch(() => {})
        .finally(() => this.#arm());
    }, pollEveryMs);
  }

  async #look(): Promise<void> {
    const { seen, sizeBytes } = await this.#facts();
    if (seen === this.#seen) return;
    const table = new TrustedTable(Math.min(maxTrustedLines, Math.ceil(sizeBytes / shortestLineBytes)));
    for await (const batch of readTrusted(this.#file)) {
      if (this.#isClosed) return;
      for (const { name, h1, label } of batch) if (table.size < maxTrustedLines) table.add(name, h1, label);
    }
    this.#table = table;
    this.#seen = seen;
    for (const listener of this.#listeners) listener();
  }

  async #facts(): Promise<{ seen: string; sizeBytes: number }> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#file);
      return { seen: `${ino} ${mtimeMs} ${size}`, sizeBytes: size };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { seen: none, sizeBytes: 0 };
      throw error;
    }
  }
}
