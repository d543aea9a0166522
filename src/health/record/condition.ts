/**
 * The state of one upstream's health (rulings 16 and 17), by what is seen of it and by time:
 *
 * ```
 * healthy ⇄ slow            by half of its answers against a bound, after 10 s on the other side
 * healthy, slow, recovering → suspect      one failure
 * anything → out            failures in a row on two modules; a breaker or many avoided modules, told by the owner
 * suspect, out → recovering good answers in a row, and a stay that doubles with each loss within half an hour
 * recovering → healthy      at the end of the slow start
 * ```
 */
import type { Clock } from '../../lib/clock.ts';
import type { HealthOptions, HealthState } from '../types.ts';

export interface ConditionChange {
  readonly from: HealthState;
  readonly to: HealthState;
  readonly cause: string;
}

export interface ConditionDeps {
  readonly clock: Clock;
  readonly random: () => number;
  /** Read at each use. */
  options(): HealthOptions;
  /** False keeps it out although it could come back: its breaker is not closed. */
  mayReturn(): boolean;
  onChange(change: ConditionChange): void;
}

export interface Latency {
  /** Undefined with too few samples to judge. */
  readonly p50Ms: number | undefined;
  readonly boundMs: number | undefined;
}

const memoryMs = 1_800_000;
/** Far more than doubling needs to reach any longest stay. */
const maxRemembered = 32;
const slowAfterMs = 10_000;
const quickAgainRatio = 0.9;
const firstShare = 0.1;
const jitterRatio = 0.2;

export class Condition {
  readonly #deps: ConditionDeps;
  #state: HealthState = 'healthy';
  #cause = '';
  #sinceMs: number;
  #sinceWallMs: number;
  /** Least time in `suspect` or `out`, and good answers in a row that end it. */
  #stayMs = 0;
  #goodNeeded = 1;
  #goodInARow = 0;
  #failedInARow = 0;
  #failedOn: string | undefined;
  #failedOnSeveral = false;
  /** When it was lost from use, and when it went out, within the last half hour; oldest first. */
  #losses: number[] = [];
  #outs: number[] = [];
  /** Since when it has been on the other side of the latency bound. */
  #otherSideSinceMs: number | undefined;

  constructor(deps: ConditionDeps) {
    this.#deps = deps;
    this.#sinceMs = deps.clock.monotonic();
    this.#sinceWallMs = deps.clock.now();
  }

  get state(): HealthState {
    return this.#state;
  }

  /** Wall clock. */
  get sinceMs(): number {
    return this.#sinceWallMs;
  }

  /** Empty at the start. */
  get cause(): string {
    return this.#cause;
  }

  /** True when the last thing judged was good; at the start too. */
  get isLastGood(): boolean {
    return this.#failedInARow === 0;
  }

  /** Part of the first places it should get: grows from 0.1 to 1 while recovering, 1 in every other state. */
  get share(): number {
    if (this.#state !== 'recovering') return 1;
    const { slowStartMs } = this.#deps.options();
    const elapsedMs = this.#nowMs() - this.#sinceMs;
    return elapsedMs >= slowStartMs ? 1 : firstShare + (1 - firstShare) * (elapsedMs / slowStartMs);
  }

  /**
   * A failure. `subject`: the module, or a word for what belongs to none. `askedAtMs`, monotonic: an answer to what
   * was asked before it began to recover is old news and changes nothing.
   */
  failed(subject: string, cause: string, askedAtMs: number): void {
    if (this.#isOldNews(askedAtMs)) return;
    this.#goodInARow = 0;
    this.#failedInARow += 1;
    if (this.#failedInARow === 1) this.#failedOn = subject;
    else if (this.#failedOn !== subject) this.#failedOnSeveral = true;
    if (this.#isInUse()) this.#lose(cause);
    if (this.#failedInARow >= this.#deps.options().outAfter && this.#failedOnSeveral) {
      this.takeOut(`${this.#failedInARow} failures in a row, the last: ${cause}`);
    }
  }

  /** No failure, but it was silent for too long: no first place until a good answer, never out by that. */
  suspected(cause: string, askedAtMs: number): void {
    if (this.#isOldNews(askedAtMs)) return;
    this.#goodInARow = 0;
    if (this.#isInUse()) this.#lose(cause);
  }

  good(): void {
    this.#failedInARow = 0;
    this.#failedOnSeveral = false;
    this.#goodInARow += 1;
    this.#settle();
  }

  /** Out, whatever was before. Nothing happens when it is out already. */
  takeOut(cause: string): void {
    if (this.#state === 'out') return;
    const nowMs = this.#nowMs();
    if (this.#isInUse()) this.#losses = remember(this.#losses, nowMs);
    this.#outs = remember(this.#outs, nowMs);
    const { outForMs, outForMaxMs, goodProbes } = this.#deps.options();
    const stayMs = grown(outForMs, this.#outs.length - 1, outForMaxMs);
    this.#stayMs = stayMs * (1 - jitterRatio + 2 * jitterRatio * this.#deps.random());
    this.#goodNeeded = goodProbes;
    this.#goodInARow = 0;
    this.#become('out', cause);
  }

  /** What time alone changes. Call it about once a second. */
  tick(latency: Latency): void {
    this.#settle();
    this.#judgeLatency(latency);
  }

  /** Healthy again with no past, by hand. */
  clear(cause: string): void {
    this.#losses = [];
    this.#outs = [];
    this.#failedInARow = 0;
    this.#failedOnSeveral = false;
    this.#goodInARow = 0;
    if (this.#state !== 'healthy') this.#become('healthy', cause);
  }

  #isInUse(): boolean {
    return this.#state !== 'suspect' && this.#state !== 'out';
  }

  #isOldNews(askedAtMs: number): boolean {
    return this.#state === 'recovering' && askedAtMs < this.#sinceMs;
  }

  #lose(cause: string): void {
    const { outForMs, outForMaxMs, goodProbes } = this.#deps.options();
    this.#losses = remember(this.#losses, this.#nowMs());
    const nth = this.#losses.length;
    this.#stayMs = nth === 1 ? 0 : grown(outForMs, nth - 2, outForMaxMs);
    this.#goodNeeded = nth === 1 ? 1 : goodProbes;
    this.#become('suspect', cause);
  }

  #settle(): void {
    const elapsedMs = this.#nowMs() - this.#sinceMs;
    if (this.#state === 'suspect' || this.#state === 'out') {
      if (this.#goodInARow < this.#goodNeeded || elapsedMs < this.#stayMs) return;
      if (this.#state === 'out' && !this.#deps.mayReturn()) return;
      const count = this.#goodInARow;
      this.#become('recovering', count === 1 ? 'a good answer' : `${count} good answers in a row`);
      this.#settle();
    } else if (this.#state === 'recovering' && elapsedMs >= this.#deps.options().slowStartMs) {
      this.#become('healthy', 'its slow start is over');
    }
  }

  #judgeLatency({ p50Ms, boundMs }: Latency): void {
    if (this.#state !== 'healthy' && this.#state !== 'slow') return;
    const isSlow = this.#state === 'slow';
    const limitMs =
      boundMs === undefined ? Number.POSITIVE_INFINITY : boundMs * (isSlow ? quickAgainRatio : 1);
    // An upstream of which too little is known is not called slow: else one that nobody asks would stay so.
    const isOtherSide = isSlow
      ? p50Ms === undefined || p50Ms < limitMs
      : p50Ms !== undefined && p50Ms > limitMs;
    if (!isOtherSide) {
      this.#otherSideSinceMs = undefined;
      return;
    }
    this.#otherSideSinceMs ??= this.#nowMs();
    if (this.#nowMs() - this.#otherSideSinceMs < slowAfterMs) return;
    if (isSlow) this.#become('healthy', 'quick again');
    else this.#become('slow', `half of its answers begin later than ${Math.round(limitMs)} ms`);
  }

  #become(to: HealthState, cause: string): void {
    const from = this.#state;
    this.#state = to;
    this.#cause = cause;
    this.#sinceMs = this.#nowMs();
    this.#sinceWallMs = this.#deps.clock.now();
    this.#otherSideSinceMs = undefined;
    this.#deps.onChange({ from, to, cause });
  }

  #nowMs(): number {
    return this.#deps.clock.monotonic();
  }
}

function remember(times: readonly number[], nowMs: number): number[] {
  return [...times.filter((atMs) => nowMs - atMs < memoryMs), nowMs].slice(-maxRemembered);
}

function grown(firstMs: number, doublings: number, longestMs: number): number {
  return Math.min(firstMs * 2 ** doublings, Math.max(firstMs, longestMs));
}
