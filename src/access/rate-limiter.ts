/**
 * Requests counted by who sends them. The go command asks again at once for what was refused, and repeats what was lost
 * on a dead connection: the same request within a second is the same one.
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
  readonly #recent: LRUCache<string, { readonly atMs: number; readonly waitMs: number }>;

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
    const last = this.#recent.get(key);
    // A repeat of one that was refused is refused: it was not paid for.
    if (last !== undefined && nowMs - last.atMs < repeatWithinMs && last.waitMs === 0) return 0;
    const waitMs = this.#buckets.take(who);
    this.#recent.set(key, { atMs: nowMs, waitMs });
    return waitMs;
  }
}
