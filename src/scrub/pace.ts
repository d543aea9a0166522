/** A token bucket on the injected clock: how fast background work may go. */
import { reasonOf } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { sleep } from '../lib/sleep.ts';

/** So much may be taken at once after a rest, in milliseconds of the rate. */
const burstMs = 250;

export class Pace {
  readonly #clock: Clock;
  readonly #perMs: number;
  /** May be below zero: whoever takes more than there is waits for it first, so that no size is too large. */
  #balance: number;
  #filledAtMs: number;
  #turn: Promise<void> = Promise.resolve();

  /** `perSecond` 0: without limit. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perMs = perSecond / 1000;
    this.#balance = this.#perMs * burstMs;
    this.#filledAtMs = clock.monotonic();
  }

  get isLimited(): boolean {
    return this.#perMs > 0;
  }

  /** Resolves when `amount` may be spent; askers are served in order. Rejects with the signal's reason. */
  take(amount: number, signal: AbortSignal): Promise<void> {
    if (!this.isLimited) return signal.aborted ? Promise.reject(reasonOf(signal)) : Promise.resolve();
    const turn = this.#turn.then(() => this.#take(amount, signal));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** What was taken and not needed. */
  giveBack(amount: number): void {
    this.#balance += amount;
  }

  async #take(amount: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (;;) {
      this.#fill();
      if (this.#balance >= 0) break;
      await sleep(this.#clock, Math.max(1, Math.ceil(-this.#balance / this.#perMs)), signal);
    }
    this.#balance -= amount;
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const earned = (now - this.#filledAtMs) * this.#perMs;
    this.#filledAtMs = now;
    this.#balance = Math.min(this.#balance + earned, this.#perMs * burstMs);
  }
}
