/**
 * The history of operational events: the last thousand of this process in memory, those of all processes in the data
 * folder (`history-file.ts`). A disk that takes nothing costs events, never requests.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { JsonLinesFile } from '../lib/json-lines-file.ts';
import { eventWriter } from './history-file.ts';
import {
  boundedEvent,
  type EventFilter,
  eventLine,
  type HistoryEvent,
  type NewEvent,
  selectEvents,
} from './history-types.ts';
import { Repeats } from './repeats.ts';

const maxKept = 1000;
const flushWithinMs = 1_000;

/** After a write that failed; a full disk stays full for a while. */
const retryAfterMs = 10_000;

export interface HistoryOptions {
  readonly clock: Clock;
  /** Absolute; undefined: in memory only. */
  readonly dataDir: string | undefined;
  /** Names this process among those that write to the folder. */
  readonly instance: string;
}

export class History {
  readonly #clock: Clock;
  readonly #writer: JsonLinesFile | undefined;
  readonly #instance: string;
  readonly #repeats: Repeats;
  /** Oldest first. */
  readonly #kept: HistoryEvent[] = [];
  #unwritten: HistoryEvent[] = [];
  #number = 0;
  #writeErrors = 0;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor({ clock, dataDir, instance }: HistoryOptions) {
    this.#clock = clock;
    this.#writer = dataDir === undefined ? undefined : eventWriter(dataDir, clock);
    this.#instance = instance;
    this.#repeats = new Repeats(clock, (event, count) => this.#add(event, count));
  }

  /** Writes to the folder that failed. */
  get writeErrors(): number {
    return this.#writeErrors;
  }

  /** Never throws, never waits. After `close` nothing is noted. */
  note(event: NewEvent): void {
    if (!this.#closed) this.#repeats.add(boundedEvent(event));
  }

  /** Of this process, oldest first. */
  recent(filter: EventFilter = {}): HistoryEvent[] {
    return selectEvents(this.#kept, filter);
  }

  /** Resolves when what was noted before is written, or could not be. Never rejects. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#unwritten.length === 0 || this.#writer === undefined) return;
    this.#writing = this.#write(this.#writer).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  /** Writes what is left, what was held back as repeats included. Never rejects. */
  async close(): Promise<void> {
    this.#repeats.flush();
    this.#closed = true;
    await this.flush();
    this.#timer?.cancel();
  }

  #add(event: NewEvent, count: number): void {
    this.#number += 1;
    const kept: HistoryEvent = {
      ...event,
      atMs: this.#clock.now(),
      instance: this.#instance,
      number: this.#number,
      count,
    };
    this.#kept.push(kept);
    if (this.#kept.length > maxKept) this.#kept.shift();
    if (this.#writer === undefined) return;
    this.#unwritten.push(kept);
    if (this.#unwritten.length > maxKept) this.#unwritten.shift();
    this.#arm(flushWithinMs);
  }

  #arm(inMs: number): void {
    this.#timer ??= this.#clock.setTimeout(() => void this.flush(), inMs);
  }

  async #write(writer: JsonLinesFile): Promise<void> {
    const batch = this.#unwritten;
    this.#unwritten = [];
    try {
      await writer.append(batch.map(eventLine).join(''));
    } catch {
      this.#writeErrors += 1;
      this.#unwritten = [...batch, ...this.#unwritten].slice(-maxKept);
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#arm(retryAfterMs);
    }
  }
}
