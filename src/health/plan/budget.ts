/** How many extra questions (hedges, repeats) may be asked: a share of the requests, and a few always. */
import type { Clock } from '../../lib/clock.ts';

const bucketMs = 100;
const windowBuckets = 100;
const secondBuckets = 10;

/** Counts over the last 10 s and the last second, in slots of 100 ms. Fixed memory. */
export class SlidingCount {
  readonly #clock: Clock;
  readonly #slots = new Uint32Array(windowBuckets);
  /** Number of the slot that is being filled, counted from the clock's zero. */
  #at: number;
  #lastTenSeconds = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = Math.floor(clock.monotonic() / bucketMs);
  }

  add(): void {
    this.#roll();
    const slot = this.#at % windowBuckets;
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
    this.#lastTenSeconds += 1;
  }

  get lastTenSeconds(): number {
    this.#roll();
    return this.#lastTenSeconds;
  }

  get lastSecond(): number {
    this.#roll();
    let sum = 0;
    for (let back = 0; back < secondBuckets; back += 1) {
      sum += this.#slots[(this.#at - back + windowBuckets) % windowBuckets] ?? 0;
    }
    return sum;
  }

  #roll(): void {
    const now = Math.floor(this.#clock.monotonic() / bucketMs);
    const steps = Math.min(now - this.#at, windowBuckets);
    for (let step = 1; step <= steps; step += 1) {
      const slot = (this.#at + step) % windowBuckets;
      this.#lastTenSeconds -= this.#slots[slot] ?? 0;
      this.#slots[slot] = 0;
    }
    if (now > this.#at) this.#at = now;
  }
}

export interface BudgetLimits {
  /** Share of the requests of the last 10 s. */
  readonly ratio: number;
  /** As many in one second are allowed whatever the share says. */
  readonly floorPerSecond: number;
}

/** In any 10 s: at most `ratio` of the requests and `floorPerSecond` for each second, to the accuracy of 100 ms. */
export class Budget {
  readonly #clock: Clock;
  readonly #requests: SlidingCount;
  readonly #taken: SlidingCount;
  readonly #limits: () => BudgetLimits;
  readonly #onSpent: () => void;
  #refusedAtMs: number | undefined;

  /**
   * `onSpent` is called at the first refusal, and again only when the budget sufficed for 10 s in between: the floor
   * alone gives room each second, and one line a second would tell nothing new. Budgets may share `requests`.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly requests: SlidingCount;
    readonly limits: () => BudgetLimits;
    readonly onSpent: () => void;
  }) {
    this.#clock = options.clock;
    this.#requests = options.requests;
    this.#taken = new SlidingCount(options.clock);
    this.#limits = options.limits;
    this.#onSpent = options.onSpent;
  }

  /** Takes one. False: nothing is left. */
  take(): boolean {
    const { ratio, floorPerSecond } = this.#limits();
    const isAllowed =
      this.#taken.lastSecond < floorPerSecond ||
      this.#taken.lastTenSeconds + 1 <= ratio * this.#requests.lastTenSeconds;
    if (isAllowed) {
      this.#taken.add();
      return true;
    }
    const nowMs = this.#clock.monotonic();
    const wasTold = this.#refusedAtMs !== undefined && nowMs - this.#refusedAtMs < windowBuckets * bucketMs;
    this.#refusedAtMs = nowMs;
    if (!wasTold) this.#onSpent();
    return false;
  }
}
