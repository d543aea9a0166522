/**
 * The first good small body of a walk, read whole. A status line is no answer yet: when a body drips or stalls behind
 * it, the next source is asked beside it after a patience, and whichever is complete first is taken.
 */
import { raceAbort } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Notice } from '../lib/notice.ts';
import { isOutOfTime } from './attempt.ts';
import { readBody } from './read-body.ts';
import { type UpstreamAnswer, UpstreamError } from './types.ts';
import type { Walk } from './walk.ts';

export interface FirstBodyOptions<Value> {
  /** Closed by the caller. */
  readonly walk: Walk;
  /** The walk's. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly limitBytes: number;
  /** From a status line to the end of its body; then it has failed. The next source is asked much earlier. */
  readonly withinMs: number;
  /**
   * What it throws, or rejects with, refuses the source. Bodies are judged one at a time; nobody else is asked
   * meanwhile. It need not watch the signal.
   */
  readonly judge: (
    body: Buffer,
    upstream: string,
    headers: UpstreamAnswer['headers'],
  ) => Value | Promise<Value>;
  /** True for an error of `judge` that ends everything: it is passed on, and the source is not refused. Default: never. */
  readonly isFinal?: (error: unknown) => boolean;
  readonly onRefused?: (source: string, reason: string) => void;
}

export interface FirstBody<Value> {
  readonly value: Value;
  readonly upstream: string;
}

/** Undefined: no source is left, or time is out; the walk's outcomes say why. Rejects with the signal's reason. */
export function firstBody<Value>(options: FirstBodyOptions<Value>): Promise<FirstBody<Value> | undefined> {
  return new Reading(options).run();
}

/** One answer whose body is being read. In the order of their status lines. */
interface Reader {
  readonly answer: UpstreamAnswer;
  readonly startedAtMs: number;
  result: { readonly body: Buffer } | { readonly error: unknown } | undefined;
}

class Reading<Value> {
  readonly #options: FirstBodyOptions<Value>;
  readonly #notice = new Notice();
  readonly #readers = new Set<Reader>();
  #timer: Timer | undefined;
  #isLate = false;
  #isOver = false;
  #isAskingBeside = false;

  constructor(options: FirstBodyOptions<Value>) {
    this.#options = options;
  }

  async run(): Promise<FirstBody<Value> | undefined> {
    const { walk, signal } = this.#options;
    try {
      for (;;) {
        const changed = this.#notice.changed;
        const good = await this.#judgeComplete();
        if (good !== undefined) return good;
        if (this.#readers.size === 0 && !this.#isAskingBeside) {
          const answer = await walk.next();
          if (answer === undefined) return undefined;
          this.#read(answer);
          continue;
        }
        if (this.#isLate && !this.#isAskingBeside) this.#askBeside();
        await raceAbort(changed, signal);
      }
    } catch (error) {
      if (!isOutOfTime(signal)) throw error;
      this.#refuseAll('timeout', 'no complete answer before the deadline');
      return undefined;
    } finally {
      this.#isOver = true;
      this.#timer?.cancel();
      this.#refuseAll('aborted', 'no longer needed');
    }
  }

  #read(answer: UpstreamAnswer): void {
    const { walk, clock, limitBytes, withinMs } = this.#options;
    const reader: Reader = { answer, startedAtMs: clock.monotonic(), result: undefined };
    this.#readers.add(reader);
    this.#isLate = false;
    this.#timer?.cancel();
    this.#timer = clock.setTimeout(() => {
      this.#isLate = true;
      this.#notice.raise();
    }, walk.patienceMs ?? withinMs);
    readBody(answer, limitBytes, { clock, withinMs }).then(
      (body) => this.#ended(reader, { body }),
      (error: unknown) => this.#ended(reader, { error }),
    );
  }

  #ended(reader: Reader, result: Reader['result']): void {
    reader.result = result;
    this.#notice.raise();
  }

  #askBeside(): void {
    const { walk } = this.#options;
    this.#isLate = false;
    this.#isAskingBeside = true;
    walk
      .nextBeside()
      .then(
        (answer) => {
          if (answer === undefined) return;
          if (this.#isOver) {
            answer.cancel();
            return;
          }
          walk.adopt(answer);
          this.#read(answer);
        },
        // The request was given up, which ends the wait for the bodies too.
        () => {},
      )
      .finally(() => {
        this.#isAskingBeside = false;
        this.#notice.raise();
      });
  }

  /** Takes the first complete body that is good, and refuses those that are not. */
  async #judgeComplete(): Promise<FirstBody<Value> | undefined> {
    const { walk, judge, isFinal, onRefused, signal } = this.#options;
    for (const reader of this.#readers) {
      const { answer, result } = reader;
      if (result === undefined) continue;
      try {
        if ('error' in result) throw result.error;
        const judged = judge(result.body, answer.upstream, answer.headers);
        const value = judged instanceof Promise ? await raceAbort(judged, signal) : judged;
        this.#readers.delete(reader);
        this.#dropLosers(reader);
        return { value, upstream: answer.upstream };
      } catch (error) {
        this.#readers.delete(reader);
        if (signal.aborted || isFinal?.(error) === true) throw error;
        const reason = messageOf(error);
        walk.refuse(answer, error instanceof UpstreamError ? error.code : 'refused', reason);
        onRefused?.(answer.upstream, reason);
      }
    }
    return undefined;
  }

  /** Who was asked before the winner had its time; who was asked after it, or was complete while it was judged, did not. */
  #dropLosers(winner: Reader): void {
    const { walk, clock } = this.#options;
    const name = winner.answer.upstream;
    for (const { answer, startedAtMs, result } of this.#readers) {
      if (startedAtMs >= winner.startedAtMs || (result !== undefined && 'body' in result)) {
        walk.refuse(answer, 'beaten', `${name} was complete first`);
        continue;
      }
      const tookMs = Math.round(clock.monotonic() - startedAtMs);
      walk.refuse(answer, 'timeout', `its body was not complete after ${tookMs} ms, that of ${name} was`);
    }
    this.#readers.clear();
  }

  #refuseAll(code: 'timeout' | 'aborted', reason: string): void {
    for (const { answer } of this.#readers) this.#options.walk.refuse(answer, code, reason);
    this.#readers.clear();
  }
}
