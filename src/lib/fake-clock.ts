/**
 * A clock for tests that moves only when told. Timers fire in the order they are due, at their own time, inside
 * `advance`; what they start asynchronously gets its turn before `advance` resolves.
 */
import type { Clock, Timer } from './clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  readonly #startMs: number;
  readonly #pending = new Set<Pending>();
  #elapsedMs = 0;
  #order = 0;

  /** `startMs` is the wall clock at the beginning, milliseconds since the epoch; default 2026-01-01. */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    this.#order += 1;
    const pending = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order, callback };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Timers that are set and have not fired. */
  get timers(): number {
    return this.#pending.size;
  }

  /** Moves time on, firing what falls due, and lets promise callbacks run between the timers and at both ends. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + byMs;
    await turn();
    for (;;) {
      const next = this.#nextDue(untilMs);
      if (next === undefined) break;
      this.#elapsedMs = next.dueMs;
      this.#pending.delete(next);
      next.callback();
      await turn();
    }
    this.#elapsedMs = untilMs;
    await turn();
  }

  #nextDue(untilMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.dueMs > untilMs) continue;
      if (first === undefined || pending.dueMs < first.dueMs) first = pending;
      else if (pending.dueMs === first.dueMs && pending.order < first.order) first = pending;
    }
    return first;
  }
}

/** One turn of the event loop: every promise callback that is ready, and those they make ready. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
