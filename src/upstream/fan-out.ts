/**
 * Asks several upstreams for the same small thing and takes all that answer: list and @latest are unions. Public
 * ones that follow each other are asked together; one that keeps Go's `,` rule is a group of its own and a barrier
 * (ruling 2). The reserve is a group that is asked when the others brought neither an answer nor an absence.
 */
import { reasonOf } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { Notice } from '../lib/notice.ts';
import {
  failureFrom,
  hasTime,
  isBlameless,
  isOutOfTime,
  type Question,
  requestFor,
  timeMayComeAtMs,
} from './attempt.ts';
import type { Plan } from './plan.ts';
import { readBody } from './read-body.ts';
import { Roster, type Said, type Seat } from './roster.ts';
import { type SourceOutcome, type UpstreamAnswer, UpstreamError } from './types.ts';
import { isAbsence } from './verdict.ts';

export interface FanOutOptions<Value> extends Omit<Question, 'answerClass'> {
  /** Whom to ask, whom to wait for, how long. */
  readonly plan: Plan;
  /** Ends everything until `fanOut` has resolved; what is still asked for `onLate` then goes on without it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly limitBytes: number;
  /** How long the others are waited for once one has answered. Default 500. */
  readonly graceMs?: number;
  /** Judges and reads a body; what it throws refuses the source. */
  readonly read: (body: Buffer, upstream: string) => Value;
  /** As in the walk: after an absence the silent ones get their patience only, for a module that nobody knows. */
  readonly isKnown?: () => Promise<boolean>;
  /** A good answer that came after `fanOut` resolved. Without it, late ones are cancelled. */
  readonly onLate?: (upstream: string, value: Value) => void;
}

export interface FanOutResult<Value> {
  /** In the order of the plan. Empty: the outcomes say why. */
  readonly answers: readonly FanOutAnswer<Value>[];
  readonly outcomes: readonly SourceOutcome[];
}

export interface FanOutAnswer<Value> {
  readonly upstream: string;
  readonly value: Value;
}

/** Rejects only with the signal's reason, and not when that is a `TimeoutError`: then it is a result. */
export function fanOut<Value>(options: FanOutOptions<Value>): Promise<FanOutResult<Value>> {
  return new FanOut(options).run();
}

interface Asked<Value> {
  readonly seat: Seat;
  readonly controller: AbortController;
  readonly startedAtMs: number;
  /** Undefined while it is silent. */
  code: SourceOutcome['code'] | undefined;
  answer: FanOutAnswer<Value> | undefined;
  /** Ends one that goes on for `onLate`. */
  lateTimer: Timer | undefined;
}

class FanOut<Value> {
  readonly #options: FanOutOptions<Value>;
  readonly #question: Question;
  readonly #roster: Roster;
  readonly #notice = new Notice();
  readonly #asked: Asked<Value>[] = [];
  /** Became suspect meanwhile. */
  readonly #lost = new Set<string>();
  #isOver = false;
  #hasAskedIfKnown = false;
  #isUnknown = false;

  constructor(options: FanOutOptions<Value>) {
    this.#options = options;
    this.#question = { ...options, answerClass: 'meta' };
    this.#roster = new Roster(options.plan);
  }

  async run(): Promise<FanOutResult<Value>> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#notice.raise();
    signal.addEventListener('abort', onAbort, { once: true });
    const unlisten = this.#options.plan.onLost?.((name) => {
      this.#lost.add(name);
      this.#notice.raise();
    });
    try {
      while (!signal.aborted && !this.#hasAnswer) {
        let group = this.#nextGroup();
        if (group.length === 0) group = await this.#nextRepeat();
        if (group.length === 0) break;
        await this.#hear(group.map((seat) => this.#ask(seat)));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      unlisten?.();
      this.#isOver = true;
    }
    if (signal.aborted && !isOutOfTime(signal)) throw reasonOf(signal);
    return { answers: this.#answers(), outcomes: this.#roster.outcomes };
  }

  get #hasAnswer(): boolean {
    return this.#asked.some(({ answer }) => answer !== undefined);
  }

  #answers(): FanOutAnswer<Value>[] {
    const { upstreams, reserve } = this.#options.plan;
    const bySource = new Map(this.#asked.map(({ seat, answer }) => [seat.upstream, answer]));
    return [...upstreams, ...reserve].flatMap((upstream) => bySource.get(upstream) ?? []);
  }

  /** Those asked together next. Empty: nobody is left, or no time. */
  #nextGroup(): Seat[] {
    const group: Seat[] = [];
    if (!hasTime(this.#question, this.#options.clock)) return group;
    for (let seat = this.#roster.first(); seat !== undefined; seat = this.#roster.first()) {
      const [head] = group;
      const fits = head === undefined || this.#areTogether(head, seat);
      if (!fits) break;
      this.#roster.take(seat);
      group.push(seat);
    }
    return group;
  }

  #areTogether(head: Seat, seat: Seat): boolean {
    const { plan } = this.#options;
    const isSameLevel = plan.levelOf?.(head.upstream) === plan.levelOf?.(seat.upstream);
    return isSameLevel && !seat.upstream.stopsOnError && seat.isReserve === head.isReserve;
  }

  /** The one to ask again after its pause; empty: none. */
  async #nextRepeat(): Promise<Seat[]> {
    const { clock, signal } = this.#options;
    if (!hasTime(this.#question, clock)) {
      this.#roster.noteTooLate();
      return [];
    }
    const repeat = this.#roster.takeRepeat();
    if (repeat === undefined || !hasTime(this.#question, clock, repeat.waitMs)) return [];
    const untilMs = clock.monotonic() + repeat.waitMs;
    while (!signal.aborted && clock.monotonic() < untilMs) await this.#changedOr(untilMs);
    return signal.aborted ? [] : [repeat.seat];
  }

  #ask(seat: Seat): Asked<Value> {
    const { clock, limitBytes, read } = this.#options;
    const { upstream } = seat;
    const one: Asked<Value> = {
      seat,
      controller: new AbortController(),
      startedAtMs: clock.monotonic(),
      code: undefined,
      answer: undefined,
      lateTimer: undefined,
    };
    this.#asked.push(one);
    const { signal } = one.controller;
    const run = async (): Promise<void> => {
      let answer: UpstreamAnswer | undefined;
      try {
        answer = await upstream.fetch(requestFor(this.#question, clock, signal));
        if (signal.aborted) {
          answer.cancel();
          return;
        }
        const body = await readBody(answer, limitBytes, { clock, withinMs: this.#options.plan.lastHopeMs });
        if (!signal.aborted) this.#answered(one, read(body, upstream.name));
      } catch (error) {
        if (signal.aborted) return;
        const failure = failureFrom(error, 'refused');
        if (!isBlameless(failure.code)) answer?.blame?.(failure.code, failure.message);
        const isFinal =
          failure.isSourcesFault === true ||
          this.#roster.isFinal(failure, clock.monotonic() - one.startedAtMs);
        this.#settled(one, { ...failure, isFinal });
      }
    };
    void run();
    return one;
  }

  #answered(one: Asked<Value>, value: Value): void {
    const upstream = one.seat.upstream.name;
    one.answer = { upstream, value };
    this.#settled(one, { code: 'ok', message: 'answered' });
    if (!this.#isOver) return;
    try {
      this.#options.onLate?.(upstream, value);
    } catch {
      // The answer was good: a fault of the one who is told is neither the source's nor a reason to end the process.
    }
  }

  #settled(one: Asked<Value>, said: Omit<Said, 'tookMs'>): void {
    one.code = said.code;
    one.lateTimer?.cancel();
    if (!this.#isOver) this.#note(one, said);
    this.#notice.raise();
  }

  /**
   * Returns when all have settled or no more is to be gained from those who have not; these are given up. When nobody
   * has answered in the group's usual time, the next group is asked beside it.
   */
  async #hear(first: readonly Asked<Value>[]): Promise<void> {
    const { clock, signal, graceMs = 500 } = this.#options;
    const group = [...first];
    let helpAtMs = this.#patienceEndsAtMs(first);
    let graceEndsAtMs: number | undefined;
    for (;;) {
      const silent = group.filter(({ code }) => code === undefined);
      this.#askIfKnown(group);
      if (this.#hasAnswer) graceEndsAtMs ??= clock.monotonic() + graceMs;
      if (silent.length === 0) return;
      if (!this.#hasAnswer && clock.monotonic() >= helpAtMs) {
        const helpers = this.#helpers();
        group.push(...helpers);
        const laterMs = timeMayComeAtMs(this.#question, clock) ?? Number.POSITIVE_INFINITY;
        helpAtMs = helpers.length === 0 ? laterMs : this.#patienceEndsAtMs(helpers);
        continue;
      }
      const untilMs = graceEndsAtMs ?? Math.min(this.#hopeEndsAtMs(group), helpAtMs);
      const mayEndNow = graceEndsAtMs !== undefined && !silent.some((one) => this.#isWaitedFor(one));
      const isOver = clock.monotonic() >= (graceEndsAtMs ?? this.#hopeEndsAtMs(group));
      if (signal.aborted || mayEndNow || isOver) {
        const isAgreed = this.#isAbsenceAgreed(group);
        for (const one of silent) this.#giveUp(one, isAgreed);
        return;
      }
      await this.#changedOr(untilMs);
    }
  }

  /** The next group, asked now; none of the reserve, which is for when the others have ended. */
  #helpers(): Asked<Value>[] {
    const next = this.#roster.first();
    if (next === undefined || next.isReserve) return [];
    return this.#nextGroup().map((seat) => this.#ask(seat));
  }

  #patienceEndsAtMs(group: readonly Asked<Value>[]): number {
    const { plan } = this.#options;
    return Math.max(...group.map(({ seat, startedAtMs }) => startedAtMs + plan.patienceMs(seat.upstream)));
  }

  #isWaitedFor({ seat }: Asked<Value>): boolean {
    const { upstream } = seat;
    return !this.#lost.has(upstream.name) && this.#options.plan.isWaitedFor(upstream);
  }

  #askIfKnown(group: readonly Asked<Value>[]): void {
    const { isKnown } = this.#options;
    if (isKnown === undefined || this.#hasAskedIfKnown || !this.#roster.hasAbsence) return;
    // Whoever keeps Go's `,` rule must have its say.
    if (group.some(({ seat, code }) => code === undefined && seat.upstream.stopsOnError)) return;
    this.#hasAskedIfKnown = true;
    isKnown().then(
      (known) => {
        this.#isUnknown = !known;
        this.#notice.raise();
      },
      () => {},
    );
  }

  /** Silence is then agreed to mean nothing: those who are silent get their usual time to object, and no blame. */
  #isAbsenceAgreed(group: readonly Asked<Value>[]): boolean {
    if (this.#isUnknown && this.#roster.hasAbsence) return true;
    const waitedFor = group.filter((one) => this.#isWaitedFor(one));
    return (
      waitedFor.every(({ code }) => code !== undefined) &&
      waitedFor.some(({ code, seat }) => isAbsence(code) && !seat.isReserve)
    );
  }

  /** How long nobody's answer is hoped for. */
  #hopeEndsAtMs(group: readonly Asked<Value>[]): number {
    const { plan } = this.#options;
    const isKnownAbsent = this.#isAbsenceAgreed(group);
    const ends = group
      .filter(({ code }) => code === undefined)
      .map(({ seat, startedAtMs }) => {
        const patienceMs = isKnownAbsent ? plan.patienceMs(seat.upstream) : plan.lastHopeMs;
        return startedAtMs + Math.min(patienceMs, plan.lastHopeMs);
      });
    return Math.max(...ends);
  }

  #giveUp(one: Asked<Value>, isAbsenceAgreed: boolean): void {
    const { plan, clock, signal, onLate } = this.#options;
    const { name } = one.seat.upstream;
    const late = new UpstreamError(name, 'timeout', 'no answer in time');
    if (signal.aborted) {
      const reason = isOutOfTime(signal)
        ? new UpstreamError(name, 'timeout', 'no answer before the deadline')
        : new UpstreamError(name, 'aborted', 'the request was given up');
      // The asker's time is over, or it left: that is nobody's fault.
      this.#drop(one, reason, 'aborted');
    } else if (!this.#hasAnswer) {
      // Mirrors look everywhere before they say 404: being slow with one is no fault of theirs.
      this.#drop(one, late, isAbsenceAgreed ? 'aborted' : 'timeout');
    } else if (onLate === undefined) {
      const beaten = new UpstreamError(name, 'beaten', 'others answered first');
      this.#drop(one, beaten, this.#isWaitedFor(one) ? 'beaten' : 'aborted');
    } else {
      this.#note(one, { code: 'beaten', message: 'others answered first' });
      one.lateTimer = clock.setTimeout(() => one.controller.abort(late), plan.lastHopeMs);
    }
  }

  /** `told`: the code that whoever watches it hears. */
  #drop(one: Asked<Value>, reason: UpstreamError, told: 'aborted' | 'beaten' | 'timeout'): void {
    const { code, message, upstream } = reason;
    this.#note(one, { code, message, isFinal: true });
    one.controller.abort(new UpstreamError(upstream, told, message));
  }

  #note(one: Asked<Value>, said: Omit<Said, 'tookMs'>): void {
    this.#roster.note(one.seat, { ...said, tookMs: this.#options.clock.monotonic() - one.startedAtMs });
  }

  /** Resolves at the next change, or at that time. Nothing may have changed. */
  async #changedOr(untilMs: number): Promise<void> {
    const { clock } = this.#options;
    const { changed } = this.#notice;
    const timer = clock.setTimeout(() => this.#notice.raise(), untilMs - clock.monotonic());
    try {
      await changed;
    } finally {
      timer.cancel();
    }
  }
}
