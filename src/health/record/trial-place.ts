/** The one place for a request that tries whether an ill upstream is well again. */
import type { Clock } from '../../lib/clock.ts';

/** A trial that has not ended after this is no longer counted, so that a lost one does not block the place. */
const trialMaxMs = 60_000;

export class TrialPlace {
  readonly #clock: Clock;
  /** The trial under way: who releases must still be the one that took it. */
  #trial: { readonly atMs: number } | undefined;
  #lastAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when none is under way and the last one was begun at least `apartMs` ago. */
  isFree(apartMs: number): boolean {
    const nowMs = this.#clock.monotonic();
    if (this.#trial !== undefined && nowMs - this.#trial.atMs < trialMaxMs) return false;
    return nowMs - this.#lastAtMs >= apartMs;
  }

  /** Call only when free. The release is idempotent. */
  take(): () => void {
    const trial = { atMs: this.#clock.monotonic() };
    this.#trial = trial;
    this.#lastAtMs = trial.atMs;
    return () => {
      if (this.#trial === trial) this.#trial = undefined;
    };
  }
}
