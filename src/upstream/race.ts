/** The questions of one walk that are under way: asked together, one wins, the others are given up with a reason. */
import type { Clock } from '../lib/clock.ts';
import { failureFrom, type Question, type RangeWish, requestFor } from './attempt.ts';
import type { Roster, Said, Seat } from './roster.ts';
import { type Upstream, type UpstreamAnswer, UpstreamError } from './types.ts';

export interface Attempt {
  readonly seat: Seat;
  readonly controller: AbortController;
  readonly startedAtMs: number;
}

export interface RaceOptions {
  readonly question: Question;
  readonly clock: Clock;
  /** Hears of every outcome. */
  readonly roster: Roster;
  onAnswer(attempt: Attempt, answer: UpstreamAnswer): void;
  onFailure(): void;
}

export class Race {
  readonly #options: RaceOptions;
  readonly #running = new Set<Attempt>();

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#running.size;
  }

  /** The longest patience that any of them has left, milliseconds. */
  patienceLeftMs(patienceMs: (upstream: Upstream) => number): number {
    const nowMs = this.#options.clock.monotonic();
    const left = [...this.#running].map(
      ({ seat, startedAtMs }) => startedAtMs + patienceMs(seat.upstream) - nowMs,
    );
    return Math.max(0, ...left);
  }

  /** One of the main tier is still silent. */
  get hasMainTier(): boolean {
    return [...this.#running].some(({ seat }) => !seat.isReserve);
  }

  /** One that keeps Go's `,` rule is silent. */
  get asksStrictOne(): boolean {
    return [...this.#running].some(({ seat }) => seat.upstream.stopsOnError);
  }

  isAsking(seat: Seat): boolean {
    return [...this.#running].some((attempt) => attempt.seat === seat);
  }

  start(seat: Seat, range: RangeWish): void {
    const { question, clock, roster } = this.#options;
    const controller = new AbortController();
    const attempt: Attempt = { seat, controller, startedAtMs: clock.monotonic() };
    roster.take(seat);
    this.#running.add(attempt);
    const request = requestFor(question, clock, controller.signal, range);
    // `async` so that a throw before the first await is a failure of this source too.
    void (async () => seat.upstream.fetch(request))().then(
      (answer) => this.#answered(attempt, answer),
      (error: unknown) => this.#failed(attempt, error),
    );
  }

  /** Aborts all, with this as their outcome. `told`: the reason that whoever watches them hears. Default: the same. */
  giveUp(code: 'aborted' | 'beaten' | 'timeout', message: string, told: typeof code = code): void {
    const given = [...this.#running];
    this.#running.clear();
    for (const attempt of given) {
      this.note(attempt, { code, message, isFinal: true });
      attempt.controller.abort(new UpstreamError(attempt.seat.upstream.name, told, message));
    }
  }

  /** The same for those that may be asked again: they have said nothing yet. */
  giveBack(code: 'aborted' | 'beaten', message: string): void {
    const seats = [...this.#running].map(({ seat }) => seat);
    this.giveUp(code, message);
    for (const seat of seats) this.#options.roster.giveBack(seat);
  }

  note(attempt: Attempt, said: Omit<Said, 'tookMs'>): void {
    const tookMs = this.#options.clock.monotonic() - attempt.startedAtMs;
    this.#options.roster.note(attempt.seat, { ...said, tookMs });
  }

  #answered(attempt: Attempt, answer: UpstreamAnswer): void {
    // Given up while its answer was on the way.
    if (!this.#running.delete(attempt)) {
      answer.cancel();
      return;
    }
    this.note(attempt, { code: 'ok', message: 'answered' });
    this.#options.onAnswer(attempt, answer);
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (!this.#running.delete(attempt)) return;
    const { clock, roster } = this.#options;
    const failure = failureFrom(error, 'protocol');
    const isFinal =
      failure.isSourcesFault === true || roster.isFinal(failure, clock.monotonic() - attempt.startedAtMs);
    this.note(attempt, { ...failure, isFinal });
    this.#options.onFailure();
  }
}
