/**
 * The walk over the sources of one artifact (rulings 1, 2, 18, 19): one after another, the next one started when
 * the one before is absent, fails, or does not begin to answer in time. The first good answer wins. It judges no
 * bytes; the caller who refuses a body says so and asks for the next answer.
 */
import { reasonOf } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import {
  hasTime,
  isBlameless,
  isOutOfTime,
  type Question,
  type RangeWish,
  timeMayComeAtMs,
} from './attempt.ts';
import type { Plan } from './plan.ts';
import { type Attempt, Race } from './race.ts';
import { Roster, type Seat } from './roster.ts';
import type { SourceOutcome, UpstreamAnswer, UpstreamErrorCode } from './types.ts';

export interface WalkOptions extends Question {
  /** Whom to ask, in which order, with how much patience. For a private path: private ones only (ruling 3). */
  readonly plan: Plan;
  /** Ends everything. A reason named `TimeoutError` counts as out of time, any other as the caller's leaving. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /**
   * Has any source shown the module before? Asked at most once: when one says absent while others are silent. For a
   * module that nobody knows they then get their patience only, because an agreed 404 is enough (ruling 1); `go get`
   * asks for every prefix of a package path. Default: it may exist, and they get the last hope.
   */
  readonly isKnown?: () => Promise<boolean>;
}

interface Waiting extends PromiseWithResolvers<UpstreamAnswer | undefined> {
  /** The answer in hand goes on meanwhile: only the main tier is asked, and nobody twice. */
  readonly isBeside: boolean;
}

export class Walk {
  readonly #options: WalkOptions;
  readonly #roster: Roster;
  readonly #race: Race;
  /** Whose answer is whose; until it is refused. */
  readonly #given = new Map<UpstreamAnswer, Attempt>();
  #current: UpstreamAnswer | undefined;
  /** Came by `nextBeside` and is not adopted yet. */
  #offered: UpstreamAnswer | undefined;
  #waiting: Waiting | undefined;
  #range: RangeWish = {};
  #timer: { handle: Timer; isLastHope: boolean } | undefined;
  #closed = false;
  #hasAskedIfKnown = false;
  #lostTimer: Timer | undefined;
  readonly #unlisten: (() => void) | undefined;
  readonly #onAbort = (): void => this.#aborted();

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#roster = new Roster(options.plan);
    this.#race = new Race({
      question: options,
      clock: options.clock,
      roster: this.#roster,
      onAnswer: (attempt, answer) => this.#answered(attempt, answer),
      onFailure: () => {
        this.#advance();
        this.#endLongWait();
      },
    });
    this.#unlisten = options.plan.onLost?.((name) => this.#lost(name));
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * One line for each source that was asked and has said something or was given up, in the order of the plan
   * (reserve behind), then one for each that the plan leaves out.
   */
  get outcomes(): readonly SourceOutcome[] {
    return this.#roster.outcomes;
  }

  /** How long the source of the answer in hand may be silent; undefined without an answer. */
  get patienceMs(): number | undefined {
    const attempt = this.#current === undefined ? undefined : this.#given.get(this.#current);
    return attempt === undefined ? undefined : this.#options.plan.patienceMs(attempt.seat.upstream);
  }

  /**
   * The next good answer; undefined when no source is left or time is out (`outcomes` say why). Rejects with the
   * signal's reason when the caller left. After an answer, call `refuse` before asking for another. The sources are
   * asked for the bytes `range` wants; a `nextBeside` still open resolves to undefined.
   */
  next(range: RangeWish = {}): Promise<UpstreamAnswer | undefined> {
    if (this.#waiting?.isBeside === false) return this.#waiting.promise;
    const over = this.#over();
    if (over !== undefined) return over;
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
    this.#current?.cancel();
    this.#offered?.cancel();
    this.#current = undefined;
    this.#offered = undefined;
    // What was asked beside goes on, unless the bytes wanted now are others.
    if (!isSameRange(range, this.#range)) this.#race.giveBack('aborted', 'asked again for other bytes');
    return this.#wait(range, false);
  }

  /**
   * Asks the next source of the main tier beside the answer in hand, which is left as it is. Never one that has
   * answered or failed. Resolves to the answer, for `adopt` or `refuse`; to undefined when nobody is left or none
   * of them answers. Rejects as `next`.
   */
  nextBeside(range: RangeWish = {}): Promise<UpstreamAnswer | undefined> {
    if (this.#waiting !== undefined) {
      return this.#waiting.isBeside ? this.#waiting.promise : Promise.resolve(undefined);
    }
    return this.#over() ?? this.#wait(range, true);
  }

  /** The answer of `nextBeside` is now the one in hand. The caller cancels or refuses the one before. */
  adopt(answer: UpstreamAnswer): void {
    if (this.#offered !== answer) return;
    this.#offered = undefined;
    this.#current = answer;
  }

  /**
   * The caller could not use the body of this answer: why, for the record and for who watches the upstream. Cancels
   * it. With `beaten` it was merely not needed: the source stays a hope, and may be asked beside once more.
   */
  refuse(answer: UpstreamAnswer, code: UpstreamErrorCode, message: string): void {
    const attempt = this.#given.get(answer);
    // Told before it is cancelled, while the one who watches still follows this body.
    if (attempt !== undefined && !isBlameless(code)) answer.blame?.(code, message);
    answer.cancel();
    if (attempt === undefined) return;
    this.#given.delete(answer);
    if (this.#current === answer) this.#current = undefined;
    if (this.#offered === answer) this.#offered = undefined;
    this.#race.note(attempt, { code, message });
    if (code === 'beaten') this.#roster.release(attempt.seat);
  }

  /**
   * Lets a source be asked once more that answered or failed, e.g. whole after it did not grant a range. Once for
   * each source in a walk: false when it was before, is being asked, or its answer is not refused yet.
   */
  askAgain(upstreamName: string): boolean {
    const seat = this.#roster.named(upstreamName);
    if (seat === undefined || this.#isOver || this.#race.isAsking(seat)) return false;
    if ([...this.#given.values()].some((attempt) => attempt.seat === seat)) return false;
    return this.#roster.putBack(seat);
  }

  /** Gives up what is still asked, and the answers in hand. Call it when done; idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#unlisten?.();
    this.#lostTimer?.cancel();
    this.#race.giveUp('aborted', 'no longer needed');
    this.#current?.cancel();
    this.#offered?.cancel();
    this.#settle(undefined);
  }

  get #isOver(): boolean {
    return this.#closed || this.#options.signal.aborted;
  }

  #over(): Promise<undefined> | undefined {
    const { signal } = this.#options;
    if (signal.aborted && !isOutOfTime(signal)) return Promise.reject(reasonOf(signal));
    return this.#isOver ? Promise.resolve(undefined) : undefined;
  }

  #wait(range: RangeWish, isBeside: boolean): Promise<UpstreamAnswer | undefined> {
    const waiting = { ...Promise.withResolvers<UpstreamAnswer | undefined>(), isBeside };
    // Who asks beside may have stopped listening when the request ends.
    waiting.promise.catch(() => {});
    this.#waiting = waiting;
    this.#range = range;
    if (this.#race.size === 0) this.#advance();
    return waiting.promise;
  }

  #advance(): void {
    const seat = this.#startable();
    if (seat !== undefined) this.#start(seat);
    else if (this.#race.size === 0) this.#exhausted();
    else if (this.#timer?.isLastHope !== true) this.#armLastHope();
  }

  /** The only one asked has become suspect meanwhile: the next one need not wait for its patience to end. */
  #lost(name: string): void {
    const seat = this.#roster.named(name);
    if (seat === undefined || !this.#isAlone(seat)) return;
    // Perhaps it became suspect by failing in this very request: that failure is on its way here and goes on by itself.
    this.#lostTimer ??= this.#options.clock.setTimeout(() => {
      this.#lostTimer = undefined;
      if (this.#isAlone(seat) && this.#startable() !== undefined) this.#advance();
    }, 0);
  }

  #isAlone(seat: Seat): boolean {
    return this.#waiting !== undefined && this.#race.size === 1 && this.#race.isAsking(seat);
  }

  #startable(): Seat | undefined {
    const { clock } = this.#options;
    const seat = this.#roster.first(this.#waiting?.isBeside);
    if (seat === undefined || !hasTime(this.#options, clock)) return undefined;
    return seat.isReserve && this.#race.hasMainTier ? undefined : seat;
  }

  #start(seat: Seat): void {
    this.#race.start(seat, this.#range);
    this.#arm(seat);
  }

  /** When the next one is started beside the one just asked. */
  #arm({ upstream }: Seat): void {
    const { plan, answerClass } = this.#options;
    const beside = this.#startable();
    if (beside === undefined) {
      this.#armLastHope();
      return;
    }
    const patienceMs = plan.patienceMs(upstream);
    // The reserve is on trial, it does not help out.
    const mayHedge = answerClass === 'meta' && !beside.isReserve;
    const hedgeMs = mayHedge ? plan.hedgeMs(upstream) : undefined;
    if (hedgeMs === undefined || hedgeMs >= patienceMs) {
      this.#after(patienceMs, () => this.#advance());
      return;
    }
    this.#after(hedgeMs, () => {
      const next = this.#startable();
      if (next !== undefined && plan.takeHedge()) this.#start(next);
      else this.#after(patienceMs - hedgeMs, () => this.#advance());
    });
  }

  #armLastHope(): void {
    const { plan, clock } = this.#options;
    const againAtMs = timeMayComeAtMs(this.#options, clock);
    if (againAtMs === undefined) this.#after(plan.lastHopeMs, () => this.#outOfTime(), true);
    else this.#after(againAtMs - clock.monotonic(), () => this.#advance());
  }

  /** After an absence nobody is waited for longer than their patience, unless the module is known to exist. */
  #endLongWait(): void {
    const { isKnown, plan } = this.#options;
    const waiting = this.#waiting;
    if (isKnown === undefined || this.#hasAskedIfKnown || waiting === undefined || waiting.isBeside) return;
    if (this.#race.size === 0 || this.#startable() !== undefined || !this.#roster.hasAbsence) return;
    // Whoever keeps Go's `,` rule must have its say.
    if (this.#race.asksStrictOne) return;
    this.#hasAskedIfKnown = true;
    isKnown().then(
      (known) => {
        if (known || this.#waiting !== waiting || this.#race.size === 0) return;
        const leftMs = this.#race.patienceLeftMs((upstream) => plan.patienceMs(upstream));
        // Mirrors look everywhere before they say 404: being slow with one is no fault of theirs.
        const end = (): void => {
          this.#race.giveUp('timeout', 'silent while another said not found', 'aborted');
          this.#advance();
        };
        this.#after(leftMs, end, true);
      },
      () => {},
    );
  }

  #after(delayMs: number, then: () => void, isLastHope = false): void {
    this.#disarm();
    const handle = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      then();
    }, delayMs);
    this.#timer = { handle, isLastHope };
  }

  #disarm(): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
  }

  /** Nobody is left who has not spoken: the same one again, or the end. */
  #exhausted(): void {
    const { clock } = this.#options;
    if (this.#waiting?.isBeside === false) {
      if (!hasTime(this.#options, clock)) this.#roster.noteTooLate();
      const repeat = hasTime(this.#options, clock) ? this.#roster.takeRepeat() : undefined;
      if (repeat !== undefined && hasTime(this.#options, clock, repeat.waitMs)) {
        this.#after(repeat.waitMs, () => this.#start(repeat.seat));
        return;
      }
    }
    this.#settle(undefined);
  }

  #answered(attempt: Attempt, answer: UpstreamAnswer): void {
    // The others have said nothing yet: if this one's bytes are bad they are hopes again.
    this.#race.giveBack('beaten', `${attempt.seat.upstream.name} answered first`);
    this.#given.set(answer, attempt);
    if (this.#waiting?.isBeside === true) this.#offered = answer;
    else this.#current = answer;
    this.#settle(answer);
  }

  #outOfTime(): void {
    const seconds = Math.round(this.#options.plan.lastHopeMs / 100) / 10;
    this.#race.giveUp('timeout', `no answer within ${seconds} s`);
    this.#advance();
  }

  #aborted(): void {
    const { signal } = this.#options;
    const late = isOutOfTime(signal);
    this.#roster.clear();
    this.#race.giveUp(
      late ? 'timeout' : 'aborted',
      late ? 'no answer before the deadline' : 'the request was given up',
      // The asker's time is over: that is nobody's fault.
      'aborted',
    );
    this.#current?.cancel();
    this.#offered?.cancel();
    if (late) this.#settle(undefined);
    else this.#settle(undefined, reasonOf(signal));
  }

  #settle(answer: UpstreamAnswer | undefined, error?: Error): void {
    this.#disarm();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(error);
  }
}

function isSameRange(one: RangeWish, other: RangeWish): boolean {
  return (one.fromByte ?? 0) === (other.fromByte ?? 0) && one.ifRange === other.ifRange;
}
