/**
 * The sources of one request and what each has said so far: who may be asked next, who has failed in a way that
 * may pass, and the lines of the error text. It keeps Go's `,` rule (ruling 2) and the two tiers of a plan, and
 * knows nothing of time.
 */
import type { Failure } from './attempt.ts';
import type { FailedAttempt, Plan } from './plan.ts';
import type { SourceOutcome, Upstream } from './types.ts';
import { isAbsence } from './verdict.ts';

/** One source's place in the list. */
export interface Seat {
  readonly upstream: Upstream;
  /** Out or with an open breaker: what it says about absence is doubtful. */
  readonly isReserve: boolean;
}

interface SeatState extends Seat {
  /** Not asked yet, or to be asked again. */
  isLeft: boolean;
  /** Has been put back once. */
  isPutBack: boolean;
  /** How often an answer of it was not needed after all. */
  released: number;
  repeats: number;
  outcome: SourceOutcome | undefined;
  failure: FailedAttempt | undefined;
}

/** What a source said, or why it was given up. */
export type Said = (Failure | { readonly code: 'ok'; readonly message: string }) & {
  readonly tookMs: number;
  /** It had all the time there is: asking it again would only double the wait. */
  readonly isFinal?: boolean;
  /** It was not asked. */
  readonly isTooLate?: boolean;
};

/** A caller that needs no answer, again and again, must come to an end. */
const maxReleases = 4;

export class Roster {
  readonly #plan: Plan;
  readonly #seats: readonly SeatState[];
  /** Repeats in this request, whomever they were made of. */
  #repeats = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#seats = [
      ...plan.upstreams.map((upstream) => newSeat(upstream, false)),
      ...plan.reserve.map((upstream) => newSeat(upstream, true)),
    ];
  }

  /** One line for each source that was heard or given up, in the order of the plan, the reserve even when it was not asked; then those the plan leaves out. */
  get outcomes(): readonly SourceOutcome[] {
    const heard = this.#seats.flatMap((seat) => seat.outcome ?? (seat.isReserve ? notAsked(seat) : []));
    return [...heard, ...this.#plan.skipped];
  }

  /** Somebody who can know has said absent. */
  get hasAbsence(): boolean {
    return this.#seats.some(({ outcome }) => isAbsence(outcome?.code) && outcome?.isDoubtful !== true);
  }

  /**
   * The first one that may be asked now. A source that keeps Go's `,` rule must have said "absent" before anyone
   * behind it hears the name. The reserve is not for paths that a source of the main tier has called absent. None
   * of it, and nobody who was in vain twice, is asked beside an answer (`isBeside`).
   */
  first(isBeside = false): Seat | undefined {
    for (const seat of this.#seats) {
      const isSpared = isBeside && (seat.isReserve || seat.released > 1);
      if (seat.isLeft && !isSpared) return seat.isReserve && this.hasAbsence ? undefined : seat;
      if (stops(seat)) return undefined;
    }
    return undefined;
  }

  /** The seat's question is on its way. */
  take(seat: Seat): void {
    this.#stateOf(seat).isLeft = false;
  }

  /** Was given up without having said anything: it may be asked again. */
  giveBack(seat: Seat): void {
    this.#stateOf(seat).isLeft = true;
  }

  /** Lets one that has had its say be asked once more. False: it was before. */
  putBack(seat: Seat): boolean {
    const state = this.#stateOf(seat);
    if (state.isPutBack || state.isLeft) return false;
    state.isPutBack = true;
    state.isLeft = true;
    return true;
  }

  /** Its answer was good but not needed: it stays a hope, though not without end. */
  release(seat: Seat): void {
    const state = this.#stateOf(seat);
    state.released += 1;
    state.isLeft = state.released <= maxReleases;
  }

  named(upstreamName: string): Seat | undefined {
    return this.#seats.find(({ upstream }) => upstream.name === upstreamName);
  }

  /** A silence as long as that of a last hope: whoever ended it, a repeat would only double the wait. */
  isFinal({ code }: Failure, tookMs: number): boolean {
    return code === 'timeout' && tookMs >= this.#plan.lastHopeMs;
  }

  /** Nobody is asked any more. */
  clear(): void {
    for (const seat of this.#seats) seat.isLeft = false;
  }

  note(seat: Seat, said: Said): void {
    const state = this.#stateOf(seat);
    const { code, message, tookMs } = said;
    const failure = said.code === 'ok' ? undefined : said;
    state.failure =
      failure === undefined || said.isFinal === true
        ? undefined
        : { code: failure.code, status: failure.status, retryAfterMs: failure.retryAfterMs };
    state.outcome = {
      source: state.upstream.name,
      code,
      message: `${message}${afterRepeats(state.repeats)}`,
      tookMs: Math.round(tookMs),
      ...(failure?.status === undefined ? {} : { status: failure.status }),
      ...(this.#isDoubtful(state) && isAbsence(code) ? { isDoubtful: true } : {}),
      ...(failure?.isPartial === true ? { isPartial: true } : {}),
      ...(state.upstream.stopsOnError ? { isStrict: true } : {}),
      ...(said.isTooLate === true ? { isTooLate: true } : {}),
    };
  }

  /** Those that could have been asked were not, because too little time was left. */
  noteTooLate(): void {
    for (let seat = this.first(); seat !== undefined; seat = this.first()) {
      this.take(seat);
      if (this.#stateOf(seat).outcome !== undefined) continue;
      const message = 'not asked: too little time was left';
      this.note(seat, { code: 'timeout', message, tookMs: 0, isTooLate: true });
    }
  }

  /**
   * The source to ask again, now that nobody else is left (ruling 18), and the wait before it: the first of those
   * whose failure may pass and for whom the plan has a repeat. Undefined also when a source has said absent.
   */
  takeRepeat(): { readonly seat: Seat; readonly waitMs: number } | undefined {
    if (this.hasAbsence) return undefined;
    const failed = this.#failed();
    const mayPass = failed.filter(({ failure }) => isPassing(failure));
    const others = failed.filter(({ failure }) => !isPassing(failure));
    for (const { seat, failure } of [...mayPass, ...others]) {
      const waitMs = this.#plan.takeRepeat(seat.upstream, this.#repeats + 1, failure);
      if (waitMs === undefined) continue;
      this.#repeats += 1;
      seat.repeats += 1;
      return { seat, waitMs };
    }
    return undefined;
  }

  #failed(): { seat: SeatState; failure: FailedAttempt }[] {
    const failed: { seat: SeatState; failure: FailedAttempt }[] = [];
    for (const seat of this.#seats) {
      const { failure } = seat;
      if (failure !== undefined && !isAbsence(failure.code)) failed.push({ seat, failure });
      if (stops(seat)) break;
    }
    return failed;
  }

  #isDoubtful({ isReserve, upstream }: Seat): boolean {
    return isReserve || this.#plan.isDoubtful?.(upstream) === true;
  }

  #stateOf(seat: Seat): SeatState {
    const state = this.#seats.find((one) => one === seat);
    if (state === undefined) throw new TypeError('a seat of another request');
    return state;
  }
}

/** It might have known better: an absence without it is good for a short time only (ruling 1). */
function notAsked({ upstream }: Seat): SourceOutcome {
  const { name: source, stopsOnError } = upstream;
  const line = { source, code: 'skipped', message: 'not asked: it is out', tookMs: 0 } as const;
  return stopsOnError ? { ...line, isStrict: true } : line;
}

function newSeat(upstream: Upstream, isReserve: boolean): SeatState {
  return {
    upstream,
    isReserve,
    isLeft: true,
    isPutBack: false,
    released: 0,
    repeats: 0,
    outcome: undefined,
    failure: undefined,
  };
}

/** Nobody behind it may be asked: it keeps Go's `,` rule and has not said absent. */
function stops({ upstream, outcome }: SeatState): boolean {
  return upstream.stopsOnError && !isAbsence(outcome?.code);
}

const passing: ReadonlySet<string> = new Set(['reset', 'truncated', 'connect', 'timeout']);

function isPassing({ code, status }: FailedAttempt): boolean {
  return passing.has(code) || (code === 'status' && status !== undefined && status >= 500);
}

function afterRepeats(count: number): string {
  if (count === 0) return '';
  return count === 1 ? ' (after 1 repeat)' : ` (after ${count} repeats)`;
}
