/**
 * Requests counted by who sends them. The go command asks again at once for what was refused, and repeats what was lost
 * on a dead connection: so each request that was counted may be repeated once within a second.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import type { RateLimit } from './access-options.ts';
import { TokenBuckets } from './token-buckets.ts';

const repeatWithinMs = 1_000;
const maxRecent = 10_000;
/** Longer requests are never taken for a repeat: what is remembered must stay small. */
const longestRequest = 512;

export class RateLimiter {
  readonly #clock: Clock;
  readonly #buckets: TokenBuckets;
  /** When a request was counted that was not repeated since, monotonic. */
  readonly #recent: LRUCache<string, number>;

  constructor(clock: Clock, limit: RateLimit, maxKeys?: number) {
    this.#clock = clock;
    this.#buckets = new TokenBuckets(clock, limit, maxKeys);
    this.#recent = new LRUCache({ max: maxKeys ?? maxRecent });
  }

  get limit(): RateLimit {
    return this.#buckets.limit;
  }

  /** 0: go on. Else milliseconds to wait. `request` tells identical ones apart; undefined: each counts. */
  take(who: string, request: string | undefined): number {
    if (request === undefined || request.length > longestRequest) return this.#buckets.take(who);
    const key = `${who}\n${request}`;
    const nowMs = this.#clock.monotonic();
    const countedAtMs = this.#recent.get(key);
    if (countedAtMs !== undefined && nowMs - countedAtMs < repeatWithinMs) {
      // Once: else one request a second would pay for any number of them.
      this.#recent.delete(key);
      return 0;
    }
    const waitMs = this.#buckets.take(who);
    // What was refused was not paid for, and its repeat is refused too.
    if (waitMs === 0) this.#recent.set(key, nowMs);
    return waitMs;
  }
}
