/** Token buckets by key, the least recently used ones forgotten: what rate limits and failure limits count with. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import type { RateLimit } from './access-options.ts';

/** A bucket that is forgotten is full again, so there must be room for more askers than are busy at once. */
const defaultMaxKeys = 10_000;
/** What is missing of a token after so many additions is rounding. */
const epsilon = 1e-9;

interface Bucket {
  level: number;
  /** Monotonic. */
  atMs: number;
}

export class TokenBuckets {
  readonly limit: RateLimit;
  readonly #clock: Clock;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(clock: Clock, limit: RateLimit, maxKeys = defaultMaxKeys) {
    this.#clock = clock;
    this.limit = limit;
    this.#buckets = new LRUCache({ max: maxKeys });
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** 0: one was taken. Else milliseconds until one can be taken, and nothing changed. */
  take(key: string): number {
    const bucket = this.#refilled(key);
    const waitMs = this.#waitFor(bucket.level);
    if (waitMs === 0) bucket.level -= 1;
    return waitMs;
  }

  /** Puts one back that was taken. */
  giveBack(key: string): void {
    const bucket = this.#refilled(key);
    bucket.level = Math.min(this.limit.burst, bucket.level + 1);
  }

  /** What could be taken now; not whole. Changes nothing. */
  level(key: string): number {
    const bucket = this.#buckets.peek(key);
    return bucket === undefined ? this.limit.burst : this.#levelOf(bucket);
  }

  /** Milliseconds until one can be taken; 0: now. Changes nothing. */
  waitMs(key: string): number {
    return this.#waitFor(this.level(key));
  }

  #waitFor(level: number): number {
    if (level >= 1 - epsilon) return 0;
    return Math.max(1, Math.ceil(((1 - level - epsilon) / this.limit.perSecond) * 1000));
  }

  #refilled(key: string): Bucket {
    const bucket = this.#buckets.get(key);
    const atMs = this.#clock.monotonic();
    if (bucket === undefined) {
      const full = { level: this.limit.burst, atMs };
      this.#buckets.set(key, full);
      return full;
    }
    bucket.level = this.#levelOf(bucket);
    bucket.atMs = atMs;
    return bucket;
  }

  #levelOf({ level, atMs }: Bucket): number {
    const gained = ((this.#clock.monotonic() - atMs) / 1000) * this.limit.perSecond;
    return Math.min(this.limit.burst, level + gained);
  }
}
