/**
 * How one request goes over its sources: in which order, with how much patience, who is not asked and why. `health/`
 * makes a plan for each request from what it knows; the walk and the fan-out follow it and know nothing of health.
 */
import type { AnswerClass, SourceOutcome, Upstream, UpstreamErrorCode } from './types.ts';

export interface Plan {
  /** Asked one after another, in this order. */
  readonly upstreams: readonly Upstream[];
  /**
   * Out, or with an open breaker: asked in this order, only when none of `upstreams` answered or said absent. What
   * they say about absence is doubtful (ruling 1).
   */
  readonly reserve: readonly Upstream[];
  /** Not asked in this request, and why: lines of the error text. Their code is `skipped`. */
  readonly skipped: readonly SourceOutcome[];
  /** Milliseconds an upstream may be silent before the next one is started beside it, without cancelling it. */
  patienceMs(upstream: Upstream): number;
  /** After this silence of a small answer the next one is asked as well, if `takeHedge` allows; undefined: never. */
  hedgeMs(upstream: Upstream): number | undefined;
  /** Takes one hedge out of the budget. False: nothing is left of it. */
  takeHedge(): boolean;
  /**
   * The same upstream again (ruling 18), only when no other is left: milliseconds to wait before repeat number `nth`
   * (from 1) after `error`, taken out of the budget; undefined: no repeat.
   */
  takeRepeat(upstream: Upstream, nth: number, error: FailedAttempt): number | undefined;
  /** False: once everybody else has answered, a fan-out does not wait for this one. */
  isWaitedFor(upstream: Upstream): boolean;
  /**
   * Tells when an upstream becomes suspect or out while the request is under way, so that it need not be waited for.
   * Returns the unsubscribe. Default: nothing is told.
   */
  onLost?(listener: (upstreamName: string) => void): () => void;
  /** True for one that is out or has an open breaker but is asked all the same: its absence makes no 404. */
  isDoubtful?(upstream: Upstream): boolean;
  /** Lower ones go first also where several are asked together. Default: all are of one level. */
  levelOf?(upstream: Upstream): number | undefined;
  /** How long the last one left may be silent. */
  readonly lastHopeMs: number;
}

export interface FailedAttempt {
  readonly code: UpstreamErrorCode;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
}

export interface PlainPlanOptions {
  readonly upstreams: readonly Upstream[];
  readonly answerClass: AnswerClass;
  /** Where an upstream has no `firstByteMs` of its own. */
  readonly firstByteMs: number;
  readonly lastHopeMs: number;
}

/** Everybody in the order given, with fixed patience, no hedge and no repeat: where nothing is known of health. */
export function plainPlan(options: PlainPlanOptions): Plan {
  const { upstreams, answerClass, firstByteMs, lastHopeMs } = options;
  return {
    upstreams,
    reserve: [],
    skipped: [],
    patienceMs: (upstream) => upstream.firstByteMs?.[answerClass] ?? firstByteMs,
    hedgeMs: () => undefined,
    takeHedge: () => false,
    takeRepeat: () => undefined,
    isWaitedFor: () => true,
    lastHopeMs,
  };
}
