/**
 * Which deliveries were accepted, so that each is accepted once: in all processes on a folder and over restarts. A
 * delivery is claimed by a line in `meta/deliveries-seen.jsonl`; the first line of a key wins.
 */
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { JsonLinesFile, JsonLinesReader } from '../lib/json-lines-file.ts';
import { fieldOf, textOf } from './json-body.ts';

/** Some 100 bytes each in memory. */
const maxKeys = 100_000;
const maxBytes = 12 * 1024 * 1024;

interface Seen {
  /** Names this claim: the process, and a number. */
  readonly claim: string;
  readonly atMs: number;
  /** From then on it may be claimed again. */
  readonly untilMs: number;
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
   * True for whoever claims `key` first within `forMs`. A disk that takes nothing makes it a matter of
   * this process alone. Never rejects.
   */
  claim(key: string, forMs: number): Promise<boolean> {
    const claimed = this.#last.then(() => this.#claim(key, forMs));
    this.#last = claimed;
    return claimed;
  }

  async #claim(key: string, forMs: number): Promise<boolean> {
    await this.#readMore();
    const nowMs = this.#clock.now();
    if (nowMs < (this.#seen.get(key)?.untilMs ?? 0)) return false;
    this.#claims += 1;
    const seen = { claim: `${this.#instance} ${this.#claims}`, atMs: nowMs, untilMs: nowMs + forMs };
    try {
      await this.#file.append(`${JSON.stringify({ key, ...seen })}\n`, { isDurable: true });
    } catch {
      this.#take(key, seen);
      return true;
    }
    // Another process may have claimed it between our reading and our writing.
    await this.#readMore();
    this.#take(key, seen);
    return this.#seen.get(key)?.claim === seen.claim;
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
    const [key, claim] = [textOf(value, 'key'), textOf(value, 'claim')];
    const [atMs, untilMs] = [fieldOf(value, 'atMs'), fieldOf(value, 'untilMs')];
    if (key === undefined || claim === undefined) return;
    if (typeof atMs === 'number' && typeof untilMs === 'number') this.#take(key, { claim, atMs, untilMs });
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
