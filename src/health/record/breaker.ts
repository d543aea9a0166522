/**
 * The sampling breaker of one upstream: opens when too many of the answers of a rolling window failed, lets trials
 * through after a while, and closes after a run of good ones. It only judges; who is asked is decided elsewhere.
 */
import type { Clock } from '../../lib/clock.ts';
import type { BreakerState, HealthOptions } from '../types.ts';
import { SlotRing } from './slot-ring.ts';

export type BreakerOptions = HealthOptions['breaker'];

export interface BreakerChange {
  readonly from: BreakerState;
  readonly to: BreakerState;
  readonly cause: string;
  /** How long it stays open; undefined for other changes. */
  readonly openMs: number | undefined;
}

export interface BreakerDeps {
  readonly clock: Clock;
  /** Read at each use. A new window length begins with an empty window. */
  options(): BreakerOptions;
  onChange(change: BreakerChange): void;
}

/** One judged thing. */
export interface BreakerSample {
  readonly isGood: boolean;
  /** Probes are trials, but never open a closed breaker. */
  readonly isProbe: boolean;
  /** `head`: a good first byte, no trial yet. `body`: what became of an answer counted before. */
  readonly part: 'whole' | 'head' | 'body';
  /** Monotonic: when it was asked. What was asked before the trials began is no trial. */
  readonly askedAtMs: number;
}

const buckets = 10;
const closed = { name: 'closed' } as const;
type State =
  | typeof closed
  | { readonly name: 'open'; readonly untilMs: number }
  | { readonly name: 'half_open'; readonly sinceMs: number; goodTrials: number };

export class Breaker {
  readonly #deps: BreakerDeps;
  #state: State = closed;
  #openedInARow = 0;
  #window: Window;

  constructor(deps: BreakerDeps) {
    this.#deps = deps;
    this.#window = new Window(deps.options().windowMs);
  }

  get state(): BreakerState {
    const state = this.#state;
    return state.name === 'open' && this.#nowMs() >= state.untilMs ? 'half_open' : state.name;
  }

  /** Monotonic: until when it is open; undefined in other states. */
  get openUntilMs(): number | undefined {
    return this.#state.name === 'open' && this.state === 'open' ? this.#state.untilMs : undefined;
  }

  record(sample: BreakerSample): void {
    this.tick();
    const state = this.#state;
    if (state.name === 'closed') this.#count(sample);
    else if (state.name === 'half_open' && sample.askedAtMs >= state.sinceMs) this.#tried(state, sample);
  }

  /** Lets trials through once it has been open long enough. Call it now and then. */
  tick(): void {
    const state = this.#state;
    if (state.name !== 'open' || this.state === 'open') return;
    this.#become({ name: 'half_open', sinceMs: state.untilMs, goodTrials: 0 }, 'it was open long enough');
  }

  /** Closes it and forgets what was counted. */
  clear(cause: string): void {
    this.#close(cause);
  }

  #count({ isGood, isProbe, part }: BreakerSample): void {
    const { windowMs, volume, errorRatio } = this.#deps.options();
    if (isProbe || (part === 'body' && isGood)) return;
    if (this.#window.windowMs !== windowMs) this.#window = new Window(windowMs);
    const counts = this.#window.add(this.#nowMs(), part === 'body' ? 0 : 1, isGood ? 0 : 1);
    if (isGood || counts.all < volume || counts.failed < counts.all * errorRatio) return;
    const seconds = Math.round(windowMs / 100) / 10;
    this.#open(`${counts.failed} of ${counts.all} answers failed within ${seconds} s`);
  }

  #tried(state: State & { name: 'half_open' }, { isGood, part }: BreakerSample): void {
    if (!isGood) {
      this.#open('a trial failed');
      return;
    }
    if (part === 'head') return;
    state.goodTrials += 1;
    if (state.goodTrials >= this.#deps.options().trials) {
      this.#close(`${state.goodTrials} good trials in a row`);
    }
  }

  #open(cause: string): void {
    const { openMs, openMaxMs } = this.#deps.options();
    const forMs = Math.min(openMs * 2 ** this.#openedInARow, Math.max(openMs, openMaxMs));
    this.#openedInARow += 1;
    this.#become({ name: 'open', untilMs: this.#nowMs() + forMs }, cause, forMs);
  }

  #close(cause: string): void {
    this.#openedInARow = 0;
    this.#window = new Window(this.#deps.options().windowMs);
    this.#become(closed, cause);
  }

  #become(state: State, cause: string, openMs?: number): void {
    const from = this.#state.name;
    this.#state = state;
    if (from !== state.name) this.#deps.onChange({ from, to: state.name, cause, openMs });
  }

  #nowMs(): number {
    return this.#deps.clock.monotonic();
  }
}

class Window {
  readonly windowMs: number;
  readonly #ring: SlotRing;
  readonly #all = new Uint32Array(buckets);
  readonly #failed = new Uint32Array(buckets);
  readonly #drop = (index: number): void => {
    this.#all[index] = 0;
    this.#failed[index] = 0;
  };

  constructor(windowMs: number) {
    this.windowMs = windowMs;
    this.#ring = new SlotRing(windowMs, buckets);
  }

  add(nowMs: number, all: number, failed: number): { readonly all: number; readonly failed: number } {
    const index = this.#ring.at(nowMs, this.#drop);
    this.#all[index] = (this.#all[index] ?? 0) + all;
    this.#failed[index] = (this.#failed[index] ?? 0) + failed;
    const sumFailed = this.#failed.reduce((sum, count) => sum + count, 0);
    // A failed body may be in the window while its first byte has left it.
    const sumAll = this.#all.reduce((sum, count) => sum + count, 0);
    return { all: Math.max(sumAll, sumFailed), failed: sumFailed };
  }
}
