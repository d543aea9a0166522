/**
 * The trusted go.sum lines as a running process sees them: all in memory, read in the background, and again within a
 * second after any process on the folder has changed the file.
 */
import { stat } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { toStoreError } from '../store/store-error.ts';
import type { ChecksumEvents } from './checksums.ts';
import { maxTrustedLines, trustedFileIn, trustedName } from './trusted-file.ts';
import { readTrusted } from './trusted-lines.ts';
import { type TrustedEntry, TrustedTable } from './trusted-table.ts';

const pollEveryMs = 1_000;
const none = 'none';
/** `a.b v0.0.0 h1:… 1767225600000 x` */
const shortestLineBytes = 74;

export class TrustedSums {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #events: EventBus<ChecksumEvents> | undefined;
  readonly #listeners = new Set<() => void>();
  #table = new TrustedTable();
  #damagedLines = 0;
  #ready: Promise<void>;
  #seen = none;
  #isRead = false;
  #isUnreadTold = false;
  #timer: Timer | undefined;
  #isClosed = false;

  private constructor(dataDir: string, clock: Clock, events: EventBus<ChecksumEvents> | undefined) {
    this.#file = trustedFileIn(dataDir);
    this.#clock = clock;
    this.#events = events;
    this.#ready = this.#poll();
    this.#ready.catch(() => {});
  }

  /**
   * Begins to read the file in the background, and keeps an eye on it. `events` are told what is wrong with it; with
   * the default nobody is.
   */
  static start(dataDir: string, clock: Clock, events?: EventBus<ChecksumEvents>): TrustedSums {
    return new TrustedSums(dataDir, clock, events);
  }

  /** As `start`, and waits until the file is read. Rejects with StoreError when it cannot be. */
  static async open(dataDir: string, clock: Clock): Promise<TrustedSums> {
    const sums = TrustedSums.start(dataDir, clock);
    try {
      await sums.ready;
      return sums;
    } catch (error) {
      sums.close();
      throw error;
    }
  }

  /**
   * Resolves when the file was read once; from then on something is known, and `find` tells it. Rejects with StoreError
   * while it cannot be read, which is tried again every second: what an operator trusts must not be forgotten in
   * silence.
   */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** Lines that are trusted; 0 before `ready`. */
  get size(): number {
    return this.#table.size;
  }

  /** Lines that nobody can understand; they hold for nothing. */
  get damagedLines(): number {
    return this.#damagedLines;
  }

  /** What the content's `h1:` hash must be, and which import says so. Undefined: none does, or it is not `ready`. */
  find(path: ModulePath, version: Version, ext: 'mod' | 'zip'): TrustedEntry | undefined {
    return this.#table.find(trustedName({ path, version, ext }));
  }

  /** Told after each change that was read (the first reading is none), by whomever it was made. Returns the unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  /** Looks now, and again and again. Rejects when this look failed. */
  async #poll(): Promise<void> {
    try {
      await this.#look();
      this.#isUnreadTold = false;
    } catch (error) {
      if (!this.#isUnreadTold) this.#events?.emit('linesUnread', { reason: unread(error).message });
      this.#isUnreadTold = true;
      throw unread(error);
    } finally {
      if (!this.#isClosed) this.#timer = this.#clock.setTimeout(() => this.#pollAgain(), pollEveryMs);
    }
  }

  #pollAgain(): void {
    this.#poll().then(
      () => {
        this.#ready = Promise.resolve();
      },
      // While the disk does not give the file, what was read last goes on to hold.
      () => {},
    );
  }

  async #look(): Promise<void> {
    const { seen, sizeBytes } = await this.#facts();
    if (seen === this.#seen) {
      this.#isRead = true;
      return;
    }
    const table = new TrustedTable(Math.min(maxTrustedLines, Math.ceil(sizeBytes / shortestLineBytes)));
    let damagedLines = 0;
    for await (const batch of readTrusted(this.#file)) {
      if (this.#isClosed) return;
      for (const { line, isFirst } of batch) {
        if (line === undefined) damagedLines += isFirst ? 1 : 0;
        else if (table.size < maxTrustedLines) table.add(line.name, line.h1, line.label);
      }
      // Requests go first.
      await nextTurn();
    }
    this.#table = table;
    this.#seen = seen;
    this.#tellDamage(damagedLines);
    if (this.#isRead) for (const listener of this.#listeners) listener();
    this.#isRead = true;
  }

  #tellDamage(lines: number): void {
    const before = this.#damagedLines;
    this.#damagedLines = lines;
    if (lines > 0 && lines !== before) this.#events?.emit('linesDamaged', { file: this.#file, lines });
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

function unread(error: unknown): Error {
  return toStoreError(error, 'read the trusted go.sum lines');
}
