/**
 * The walk over the sources of one artifact (rulings 1, 2, 18, 19): one after another, the next one started when
 * the one before is absent, fails, or does not begin to answer in time. The first good answer wins. It judges no
 * bytes; the caller who refuses a body says so and asks for the next answer.
 */

import type { ModulePath } from '../gomod/types.ts';
import { reasonOf } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Plan } from './plan.ts';
import {
  type AnswerClass,
  type SourceOutcome,
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from './types.ts';

export interface WalkOptions {
  /** Whom to ask, in which order, with how much patience. For a private path: private ones only (ruling 3). */
  readonly plan: Plan;
  /** Escaped path under an upstream's base, beginning with `/`. */
  readonly target: string;
  readonly answerClass: AnswerClass;
  /** Ends everything. A reason named `TimeoutError` counts as out of time, any other as the caller's leaving. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The module asked about, for who watches the upstreams. */
  readonly modulePath?: ModulePath;
  readonly priority?: 'normal' | 'low';
  readonly requestId?: string;
  readonly via?: readonly string[];
}

interface Attempt {
  readonly index: number;
  readonly upstream: Upstream;
  readonly controller: AbortController;
  readonly startedAtMs: number;
  /** Set when its answer is no longer wanted. */
  dropped: boolean;
}

export class Walk {
  readonly #options: WalkOptions;
  /** Indexes not asked yet, or asked and cancelled because another was quicker; ascending. */
  #remaining: number[];
  readonly #running = new Map<number, Attempt>();
  readonly #outcomes = new Map<number, SourceOutcome>();
  #current: { attempt: Attempt; answer: UpstreamAnswer } | undefined;
  #waiting: PromiseWithResolvers<UpstreamAnswer | undefined> | undefined;
  #timer: { handle: Timer; isLastHope: boolean } | undefined;
  #closed = false;
  /** Patience with the source started last. */
  #firstByteMs = 0;
  readonly #onAbort = (): void => this.#aborted();

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#remaining = [...options.plan.upstreams.keys()];
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** One line for each source that was asked and has said something or was given up, in the order of the list. */
  get outcomes(): readonly SourceOutcome[] {
    return [...this.#outcomes].sort(([a], [b]) => a - b).map(([, outcome]) => outcome);
  }

  /**
   * The next good answer; undefined when no source is left or time is out (`outcomes` say why). Rejects with the
   * signal's reason when the caller left. After an answer, call `refuse` before asking for another.
   */
  next(): Promise<UpstreamAnswer | undefined> {
    const { signal } = this.#options;
    if (this.#waiting !== undefined) return this.#waiting.promise;
    if (signal.aborted && !isOutOfTime(signal)) return Promise.reject(reasonOf(signal));
    if (this.#closed || signal.aborted) return Promise.resolve(undefined);
    this.#current?.answer.cancel();
    this.#current = undefined;
    const waiting = Promise.withResolvers<UpstreamAnswer | undefined>();
    this.#waiting = waiting;
    this.#advance();
    return waiting.promise;
  }

  /** The caller could not use the body of the answer given last: why, for the record. Cancels it. */
  refuse(answer: UpstreamAnswer, code: UpstreamErrorCode, message: string): void {
    answer.cancel();
    const current = this.#current;
    if (current === undefined || current.answer !== answer) return;
    this.#current = undefined;
    this.#record(current.attempt, code, message);
    this.#stopAfter(current.attempt, code);
  }

  /** Gives up what is still asked, and the answer given last. Call it when done; idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#giveUp('aborted', 'no longer needed');
    this.#current?.answer.cancel();
    this.#settle(undefined);
  }

  #advance(): void {
    const index = this.#startable();
    if (index !== undefined) this.#start(index);
    else if (this.#running.size === 0) this.#settle(undefined);
    else if (this.#timer?.isLastHope !== true) this.#arm();
  }

  /** A source that keeps Go's `,` rule must say "absent" before anyone behind it hears the name. */
  #startable(): number | undefined {
    const index = this.#remaining[0];
    if (index === undefined) return undefined;
    for (const attempt of this.#running.values()) {
      if (attempt.upstream.stopsOnError && attempt.index < index) return undefined;
    }
    return index;
  }

  #start(index: number): void {
    const { plan, clock, target, answerClass, priority, requestId, via, modulePath } = this.#options;
    const upstream = plan.upstreams[index];
    if (upstream === undefined) return;
    this.#remaining = this.#remaining.filter((other) => other !== index);
    const controller = new AbortController();
    const attempt: Attempt = { index, upstream, controller, startedAtMs: clock.monotonic(), dropped: false };
    this.#running.set(index, attempt);
    this.#firstByteMs = plan.patienceMs(upstream);
    this.#arm();
    const request: UpstreamRequest = {
      target,
      answerClass,
      signal: controller.signal,
      ...(priority === undefined ? {} : { priority }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(via === undefined ? {} : { via }),
      ...(modulePath === undefined ? {} : { modulePath }),
    };
    // `async` so that a throw before the first await is a failure of this source too.
    void (async () => upstream.fetch(request))().then(
      (answer) => this.#answered(attempt, answer),
      (error: unknown) => this.#failed(attempt, error),
    );
  }

  #arm(): void {
    this.#timer?.handle.cancel();
    const { clock, plan } = this.#options;
    const isLastHope = this.#startable() === undefined;
    const handle = clock.setTimeout(
      () => {
        this.#timer = undefined;
        if (isLastHope) this.#outOfTime();
        else this.#advance();
      },
      isLastHope ? plan.lastHopeMs : this.#firstByteMs,
    );
    this.#timer = { handle, isLastHope };
  }

  #answered(attempt: Attempt, answer: UpstreamAnswer): void {
    if (attempt.dropped) {
      answer.cancel();
      return;
    }
    this.#running.delete(attempt.index);
    this.#record(attempt, 'ok', 'answered');
    const losers = [...this.#running.keys()];
    this.#giveUp('aborted', `cancelled: ${attempt.upstream.name} answered first`);
    // They have said nothing yet: if the winner's bytes are bad they are hopes again.
    this.#remaining = [...losers, ...this.#remaining].sort((a, b) => a - b);
    this.#current = { attempt, answer };
    this.#settle(answer);
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (attempt.dropped) return;
    this.#running.delete(attempt.index);
    const known = error instanceof UpstreamError ? error : undefined;
    const code = known?.code ?? 'protocol';
    this.#record(attempt, code, messageOf(error), known?.status);
    this.#stopAfter(attempt, code);
    this.#advance();
  }

  #stopAfter(attempt: Attempt, code: UpstreamErrorCode): void {
    if (!attempt.upstream.stopsOnError || isAbsence(code)) return;
    this.#remaining = this.#remaining.filter((index) => index < attempt.index);
  }

  #outOfTime(): void {
    const seconds = Math.round(this.#options.plan.lastHopeMs / 100) / 10;
    for (const attempt of this.#running.values()) this.#stopAfter(attempt, 'timeout');
    this.#giveUp('timeout', `no answer within ${seconds} s`);
    this.#advance();
  }

  #aborted(): void {
    const { signal } = this.#options;
    const late = isOutOfTime(signal);
    this.#remaining = [];
    this.#giveUp(
      late ? 'timeout' : 'aborted',
      late ? 'no answer before the deadline' : 'the request was given up',
    );
    this.#current?.answer.cancel();
    if (late) this.#settle(undefined);
    else this.#settle(undefined, reasonOf(signal));
  }

  #giveUp(code: 'aborted' | 'timeout', message: string): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    for (const attempt of this.#running.values()) {
      attempt.dropped = true;
      this.#record(attempt, code, message);
      attempt.controller.abort(new UpstreamError(attempt.upstream.name, code, message));
    }
    this.#running.clear();
  }

  #record(attempt: Attempt, code: SourceOutcome['code'], message: string, status?: number): void {
    this.#outcomes.set(attempt.index, {
      source: attempt.upstream.name,
      code,
      message,
      tookMs: Math.round(this.#options.clock.monotonic() - attempt.startedAtMs),
      ...(status === undefined ? {} : { status }),
    });
  }

  #settle(answer: UpstreamAnswer | undefined, error?: Error): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(error);
  }
}

/** Out of time is a verdict about the sources; anything else means that nobody waits for one. */
export function isOutOfTime(signal: AbortSignal): boolean {
  const reason: unknown = signal.reason;
  return signal.aborted && reason instanceof Error && reason.name === 'TimeoutError';
}

function isAbsence(code: SourceOutcome['code']): boolean {
  return code === 'absent' || code === 'gone';
}

export interface Verdict {
  readonly kind: 'absent' | 'gone' | 'failed' | 'timeout' | 'unavailable';
  /** An absence while another source failed: keep it for a short time only. */
  readonly partial: boolean;
}

/**
 * What the outcomes of a walk without a usable answer amount to (ruling 1). `knownToExist`: stored, or listed by
 * any source before. `isPrivate`: every source of the route must have said so.
 */
export function verdict(
  outcomes: readonly SourceOutcome[],
  facts: { readonly knownToExist: boolean; readonly isPrivate: boolean },
): Verdict {
  const absences = outcomes.filter((outcome) => isAbsence(outcome.code));
  const failures = outcomes.filter((outcome) => !isAbsence(outcome.code));
  if (absences.length > 0 && (failures.length === 0 || !(facts.knownToExist || facts.isPrivate))) {
    const isGone = absences.every((outcome) => outcome.code === 'gone');
    return { kind: isGone ? 'gone' : 'absent', partial: failures.length > 0 };
  }
  if (absences.length > 0) return { kind: 'failed', partial: false };
  if (failures.every((outcome) => outcome.code === 'busy')) return { kind: 'unavailable', partial: false };
  const isTimeout = failures.every((outcome) => outcome.code === 'timeout');
  return { kind: isTimeout ? 'timeout' : 'failed', partial: false };
}
