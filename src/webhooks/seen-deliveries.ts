/**
 * Which deliveries were accepted, so that each is accepted once: in all processes on a folder and over restarts. A
 * delivery is claimed by a line for each of its keys in `meta/deliveries-seen.jsonl`; the first line of a key wins. One
 * that failed is released by a line of its own, so that it may come again.
 */
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { JsonLinesFile, JsonLinesReader } from '../lib/json-lines-file.ts';
import { fieldOf, textOf } from './json-body.ts';

/** Some 100 bytes each in memory. */
const maxKeys = 100_000;
const maxBytes = 12 * 1024 * 1024;

/** One of the ways to know a delivery again. */
export interface DeliveryKey {
  readonly key: string;
  /** It is known for so long. */
  readonly forMs: number;
}

interface Seen {
  /** Names this claim: the process, and a number. */
  readonly claim: string;
  readonly atMs: number;
  /** From then on it may be claimed again. */
  readonly untilMs: number;
  /** Id of the delivery it was claimed for; undefined in lines of older versions. */
  readonly delivery: string | undefined;
}

export class SeenDeliveries {
  readonly #clock: Clock;
  readonly #instance: string;
  readonly #file: JsonLinesFile;
  readonly #reader: JsonLinesReader;
  /** In the order of their claims. */
  readonly #seen = new Map<string, Seen>();
  #claims = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `instance` names this process among all that ever wrote to the folder. */
  constructor(dataDir: string, clock: Clock, instance: string) {
    this.#clock = clock;
    this.#instance = instance;
    const file = join(dataDir, 'meta', 'deliveries-seen.jsonl');
    this.#file = new JsonLinesFile(file, { clock, maxBytes, keep: 1, mode: 0o600 });
    this.#reader = new JsonLinesReader(file, 1);
  }

  /**
   * True for whoever claims all `keys` first, for the delivery of this id; false when one of them is claimed. A disk that
   * takes nothing makes it a matter of this process alone. Never rejects.
   */
  claim(keys: readonly DeliveryKey[], delivery: string): Promise<boolean> {
    return this.#inTurn(() => this.#claim(keys, delivery));
  }

  /** What was claimed for this delivery may be claimed again. Never rejects. */
  release(delivery: string): Promise<void> {
    return this.#inTurn(async () => {
      // Over the claims of this delivery that another process has written.
      await this.#readMore();
      this.#forget(delivery);
      await this.#file
        .append(`${JSON.stringify({ released: delivery })}\n`, { isDurable: true })
        .catch(() => {});
    });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done;
    return done;
  }

  async #claim(keys: readonly DeliveryKey[], delivery: string): Promise<boolean> {
    await this.#readMore();
    const nowMs = this.#clock.now();
    if (keys.some(({ key }) => nowMs < (this.#seen.get(key)?.untilMs ?? 0))) return false;
    this.#claims += 1;
    const claim = `${this.#instance} ${this.#claims}`;
    const claims = keys.map(({ key, forMs }) => ({
      key,
      seen: { claim, atMs: nowMs, untilMs: nowMs + forMs, delivery },
    }));
    const lines = claims.map(({ key, seen }) => `${JSON.stringify({ key, ...seen })}\n`);
    try {
      await this.#file.append(lines.join(''), { isDurable: true });
    } catch {
      for (const { key, seen } of claims) this.#take(key, seen);
      return true;
    }
    // Another process may have claimed one between our reading and our writing.
    await this.#readMore();
    for (const { key, seen } of claims) this.#take(key, seen);
    return keys.every(({ key }) => this.#seen.get(key)?.claim === claim);
  }

  async #readMore(): Promise<void> {
    try {
      await this.#reader.read((line) => this.#takeLine(line));
    } catch {
      // What cannot be read is not known: a repeat then costs a look at the repository.
    }
  }

  #takeLine(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return;
    }
    const released = textOf(value, 'released');
    if (released !== undefined) this.#forget(released);
    const [key, claim] = [textOf(value, 'key'), textOf(value, 'claim')];
    const [atMs, untilMs] = [fieldOf(value, 'atMs'), fieldOf(value, 'untilMs')];
    if (key === undefined || claim === undefined) return;
    if (typeof atMs !== 'number' || typeof untilMs !== 'number') return;
    this.#take(key, { claim, atMs, untilMs, delivery: textOf(value, 'delivery') });
  }

  #forget(delivery: string): void {
    for (const [key, seen] of this.#seen) if (seen.delivery === delivery) this.#seen.delete(key);
  }

  /** The first claim counts until its time is over. */
  #take(key: string, seen: Seen): void {
    const before = this.#seen.get(key);
    if (before !== undefined && seen.atMs < before.untilMs) return;
    this.#seen.delete(key);
    this.#seen.set(key, seen);
    for (const [each, { untilMs }] of this.#seen) {
      if (this.#seen.size <= maxKeys && untilMs > this.#clock.now()) break;
      this.#seen.delete(each);
    }
  }
}
