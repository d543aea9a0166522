/**
 * Lookups that failed a moment ago, and a database that nobody can be reached of: nobody is asked again at once.
 * Nothing is remembered longer than ten seconds, so that a hiccup never outlives itself, and what is wrong with one
 * record holds up no other.
 */
import { LRUCache } from 'lru-cache';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { SourceOutcome } from '../upstream/types.ts';
import { type SumdbAsker, SumdbError } from './types.ts';

const absentMs = 10_000;
const failedMs = 5_000;
const restMs = 5_000;
/** A trial that takes longer has failed. */
const trialMs = 5_000;
const maxRemembered = 1000;
/** Different operations that must fail in a row where each may have failed for a reason of its own. */
const maxFailedInRow = 3;

/** No connection came about: it would be so for whatever is asked. */
const unconnected: ReadonlySet<string> = new Set(['dns', 'connect', 'tls', 'proxy', 'proxy_auth']);
/** It may be so for this one operation only. */
const failing: ReadonlySet<string> = new Set([
  'status',
  'timeout',
  'truncated',
  'reset',
  'redirect',
  'protocol',
]);
/** It was not asked, or not heard out. */
const unheard: ReadonlySet<string> = new Set(['skipped', 'beaten']);

export interface RestDeps {
  /** The database's name. */
  readonly name: string;
  readonly clock: Clock;
  /** Asks for what every source has. Rejects with SumdbError, or the signal's reason. */
  trial(signal: AbortSignal): Promise<void>;
}

export class Rest {
  readonly #deps: RestDeps;
  readonly #failed = new LRUCache<string, { readonly error: SumdbError; readonly untilMs: number }>({
    max: maxRemembered,
  });
  /** Operations that have failed since a source answered last; at most `maxFailedInRow`. */
  readonly #inRow = new Set<string>();
  /** Why the database rests. */
  #cause: SumdbError | undefined;
  /** Monotonic: no trial before. */
  #untilMs = Number.NEGATIVE_INFINITY;
  #trial: Promise<void> | undefined;

  constructor(deps: RestDeps) {
    this.#deps = deps;
  }

  /**
   * False: the database rests, and nobody is to be asked. After the rest whoever comes waits for a trial, one for all
   * and five seconds at most. Rejects only with the reason of the asker's signal.
   */
  async mayAsk(asker: Pick<SumdbAsker, 'signal'>): Promise<boolean> {
    if (this.#cause === undefined) return true;
    if (this.#trial === undefined && this.#deps.clock.monotonic() < this.#untilMs) return false;
    this.#trial ??= this.#try().finally(() => {
      this.#trial = undefined;
    });
    await raceAbort(this.#trial, asker.signal);
    return this.#cause === undefined;
  }

  /**
   * Runs one piece of asking. Rejects at once with what the same one rejected with a moment ago, and with SumdbError
   * `unreachable` while the database rests.
   */
  async run<Result>(
    operation: string,
    asker: Pick<SumdbAsker, 'signal'>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const before = this.#failed.get(operation);
    if (before !== undefined && this.#deps.clock.monotonic() < before.untilMs) throw before.error;
    if (!(await this.mayAsk(asker))) throw this.#restingError();
    try {
      return await work();
    } catch (error) {
      this.#note(operation, error);
      throw error;
    }
  }

  /** A source has answered whatever was asked of it: the database is there. */
  answered(): void {
    this.#cause = undefined;
    this.#inRow.clear();
  }

  /** Forgets every failure. */
  clear(): void {
    this.#failed.clear();
    this.answered();
  }

  async #try(): Promise<void> {
    const { clock } = this.#deps;
    const late = new AbortController();
    const timer = clock.setTimeout(() => late.abort(new Error('no answer in time')), trialMs);
    try {
      await this.#deps.trial(late.signal);
      this.answered();
    } catch (error) {
      if (error instanceof SumdbError && isAnswered(error.outcomes)) this.answered();
      else this.#untilMs = clock.monotonic() + restMs;
    } finally {
      timer.cancel();
    }
  }

  #note(operation: string, error: unknown): void {
    // An asker who left, or had no time, has learnt nothing.
    if (!(error instanceof SumdbError) || error.outcomes.some(({ isTooLate }) => isTooLate === true)) return;
    if (error.code !== 'absent' && error.code !== 'unreachable' && error.code !== 'refused') return;
    const untilMs = this.#deps.clock.monotonic() + (error.code === 'absent' ? absentMs : failedMs);
    this.#failed.set(operation, { error, untilMs });
    const { outcomes } = error;
    if (isAnswered(outcomes)) this.answered();
    else if (isAllOf(outcomes, ({ code }) => unconnected.has(code))) this.#begin(error);
    else if (isAllOf(outcomes, ({ code }) => unconnected.has(code) || failing.has(code))) {
      this.#inRow.add(operation);
      if (this.#inRow.size >= maxFailedInRow) this.#begin(error);
    }
  }

  #begin(cause: SumdbError): void {
    this.#inRow.clear();
    this.#cause = cause;
    this.#untilMs = this.#deps.clock.monotonic() + restMs;
  }

  #restingError(): SumdbError {
    const cause = this.#cause;
    return new SumdbError(
      'unreachable',
      `the checksum database ${this.#deps.name} is not asked for some seconds, because nobody could be reached: ${cause?.message ?? ''}`,
      cause?.outcomes ?? [],
      { cause },
    );
  }
}

/** Somebody has answered, well or not. */
function isAnswered(outcomes: readonly SourceOutcome[]): boolean {
  return outcomes.some(({ code }) => isAnswer.has(code));
}

const isAnswer: ReadonlySet<string> = new Set(['ok', 'absent', 'gone', 'refused', 'too_large', 'loop']);

/** Of those that were asked, at least one. Full places of our own (`busy`) tell nothing of the database. */
function isAllOf(outcomes: readonly SourceOutcome[], isSo: (outcome: SourceOutcome) => boolean): boolean {
  const asked = outcomes.filter(({ code }) => !unheard.has(code));
  return asked.length > 0 && asked.every(isSo);
}
