/**
 * Lookups that failed a moment ago, and a database of which no source can be reached: nobody is asked again at once.
 * Nothing is remembered longer than ten seconds, so that a hiccup never outlives itself.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import { SumdbError } from './types.ts';

const absentMs = 10_000;
const failedMs = 5_000;
const restMs = 5_000;
const maxRemembered = 1000;

/** What says nothing about the database's being there: it answered, or was not asked. */
const notAway: ReadonlySet<string> = new Set([
  'ok',
  'absent',
  'gone',
  'refused',
  'too_large',
  'aborted',
  'beaten',
  'skipped',
  'loop',
]);

export class Rest {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #failed = new LRUCache<string, { readonly error: SumdbError; readonly untilMs: number }>({
    max: maxRemembered,
  });
  /** Why nobody can be reached. */
  #cause: SumdbError | undefined;
  #untilMs = Number.NEGATIVE_INFINITY;
  #isOnTrial = false;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  /** True: nobody can be reached, and it is too early to try again. */
  get isResting(): boolean {
    return this.#cause !== undefined && this.#clock.monotonic() < this.#untilMs;
  }

  /**
   * Runs one piece of asking. Rejects at once with what the same one rejected with a moment ago, and with SumdbError
   * `unreachable` while the database rests: after the rest one at a time is let through until one succeeds.
   */
  async run<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    const nowMs = this.#clock.monotonic();
    const before = this.#failed.get(operation);
    if (before !== undefined && nowMs < before.untilMs) throw before.error;
    const cause = this.#cause;
    if (cause !== undefined && (nowMs < this.#untilMs || this.#isOnTrial)) {
      throw new SumdbError(
        'unreachable',
        `the checksum database ${this.#name} is not asked for some seconds, because nobody could be reached: ${cause.message}`,
        cause.outcomes,
        { cause },
      );
    }
    const isTrial = cause !== undefined;
    if (isTrial) this.#isOnTrial = true;
    try {
      const result = await work();
      this.#cause = undefined;
      return result;
    } catch (error) {
      this.#note(operation, error);
      throw error;
    } finally {
      if (isTrial) this.#isOnTrial = false;
    }
  }

  clear(): void {
    this.#failed.clear();
    this.#cause = undefined;
  }

  #note(operation: string, error: unknown): void {
    // An asker who left, or had no time, has learnt nothing.
    if (!(error instanceof SumdbError) || error.outcomes.some(({ isTooLate }) => isTooLate === true)) return;
    const nowMs = this.#clock.monotonic();
    if (error.code === 'absent') {
      this.#cause = undefined;
      this.#failed.set(operation, { error, untilMs: nowMs + absentMs });
    } else if (error.code === 'unreachable' || error.code === 'refused') {
      this.#failed.set(operation, { error, untilMs: nowMs + failedMs });
      const { outcomes } = error;
      if (outcomes.some(({ code }) => !notAway.has(code)) && outcomes.every(({ code }) => isAway(code))) {
        this.#cause = error;
        this.#untilMs = nowMs + restMs;
      } else if (outcomes.some(({ code }) => !isAway(code))) {
        this.#cause = undefined;
      }
    }
  }
}

/** One that was not asked because its health is bad is as good as away. */
function isAway(code: string): boolean {
  return code === 'skipped' || !notAway.has(code);
}
