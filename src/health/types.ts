/**
 * The border inside `health/`: what one upstream's record knows (`UpstreamHealth`), what the planner makes of all of
 * them, what operators ordered, and the events that log, metrics and history listen to.
 */
import type { ModulePath } from '../gomod/types.ts';
import type { AnswerClass, UpstreamErrorCode } from '../upstream/types.ts';

/**
 * `healthy`: asked first by its strategy. `slow`: healthy but slower than the quickest allows (ruling 17).
 * `recovering`: good again, in its slow start. `suspect`: one failure since, no first place (ruling 16). `out`: only
 * asked when nobody else is left. A rest asked for by Retry-After, an open breaker and an operator's hand are apart.
 */
export type HealthState = 'healthy' | 'slow' | 'recovering' | 'suspect' | 'out';

export type BreakerState = 'closed' | 'open' | 'half_open';

/** All in milliseconds unless a name says otherwise. One immutable snapshot; a reload brings another. */
export interface HealthOptions {
  readonly probe: {
    readonly everyMs: number;
    readonly idleEveryMs: number;
    readonly outEveryMs: number;
    readonly timeoutMs: number;
    readonly path: string;
    readonly sha256: string;
  };
  readonly latencyAllowanceMs: number;
  readonly latencyLimitMs: number | undefined;
  readonly outAfter: number;
  readonly outForMs: number;
  readonly outForMaxMs: number;
  readonly goodProbes: number;
  readonly slowStartMs: number;
  readonly switchBackAfterMs: number;
  readonly betterByRatio: number;
  readonly avoidModuleMs: number;
  readonly breaker: {
    readonly windowMs: number;
    readonly volume: number;
    readonly errorRatio: number;
    readonly openMs: number;
    readonly openMaxMs: number;
    readonly trials: number;
  };
  readonly retry: {
    readonly repeats: number;
    readonly budgetRatio: number;
    readonly baseMs: number;
    readonly capMs: number;
  };
  readonly hedge: {
    readonly enabled: boolean;
    readonly minMs: number;
    readonly unknownMs: number;
    readonly budgetRatio: number;
    readonly floorPerSecond: number;
  };
  readonly firstByteMs: { readonly meta: number; readonly zip: number };
  readonly firstByteFloorMs: number;
  readonly lastHopeMs: number;
  readonly strategy: { readonly [Kind in RouteKind]: Strategy };
}

export type Strategy = 'priority' | 'fastest' | 'weighted';
/** Of the modules of a route: what is asked for private ones must be known by every source. */
export type RouteKind = 'public' | 'private';

/** One thing seen of an upstream. A probe, an answer's first byte, the end of a body, or a failure of either. */
export interface Observation {
  readonly kind: 'probe' | AnswerClass;
  /**
   * `head`: a good first byte whose body is still to come; its credit for state, trials and avoided modules comes with
   * `body`, what became of it. Default `whole`: all there is to say.
   */
  readonly part?: 'whole' | 'head' | 'body';
  /** `ok`: a good first byte, or a good probe. Absences are good answers but tell nothing of latency. */
  readonly code: UpstreamErrorCode | 'ok';
  /** To the status line; for a failure or a beaten one: how long it was waited for. */
  readonly tookMs: number;
  readonly message?: string;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly isSourcesFault?: boolean;
  readonly modulePath?: ModulePath | undefined;
}

/** Figures of one window of time. */
export interface WindowFigures {
  /** Judged: answers and failures, probes included. */
  readonly answers: number;
  readonly failures: number;
  /** 0 to 1; undefined without answers. */
  readonly successRate: number | undefined;
  /** To the first byte, of small answers and probes; undefined without samples. */
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Of bodies over 256 KiB; undefined without one. */
  readonly bytesPerSecond: number | undefined;
  /** Body bytes received. */
  readonly bytes: number;
}

export type WindowName = '5m' | '1h' | '24h';

export interface LastError {
  readonly code: UpstreamErrorCode;
  readonly message: string;
  /** Wall clock. */
  readonly atMs: number;
}

/** One upstream as status, pages and metrics show it. Plain data. */
export interface UpstreamFigures {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  readonly isPrivate: boolean;
  readonly level: number;
  readonly weight: number;
  readonly state: HealthState;
  /** Wall clock: since when in this state. */
  readonly sinceMs: number;
  /** Why it came into this state, e.g. `timeout: no first byte within 5 s`. Empty at the start. */
  readonly cause: string;
  /** 0 to 100, and as stars 0 to 5. */
  readonly score: number;
  readonly stars: number;
  readonly windows: { readonly [Name in WindowName]: WindowFigures };
  /** Peak EWMA to the first byte. */
  readonly ttfbMs: { readonly meta: number | undefined; readonly zip: number | undefined };
  /** EWMA of differences between first-byte times that follow each other. */
  readonly jitterMs: number | undefined;
  readonly inFlight: number;
  readonly queued: number;
  readonly breaker: BreakerState;
  /** Wall clock, while open. */
  readonly breakerUntilMs: number | undefined;
  /** Wall clock: the upstream asked for a pause until then. */
  readonly restUntilMs: number | undefined;
  readonly lastError: LastError | undefined;
  readonly lastProbe: { readonly atMs: number; readonly ok: boolean; readonly tookMs: number } | undefined;
  readonly avoidedModules: number;
  /** Taken out by an operator. */
  readonly isTakenOut: boolean;
  readonly isPinned: boolean;
  /** The routes it is the favourite of. */
  /** Names of routes. */
  readonly favouriteOf: readonly string[];
  /** True when it answers as a modferry. */
  readonly isModferry: boolean;
}

/** What the planner asks of one upstream's record. Cheap: read several times for each request. */
export interface UpstreamHealth {
  readonly name: string;
  readonly state: HealthState;
  readonly breaker: BreakerState;
  /** Monotonic; undefined when it does not rest. */
  readonly restUntilMs: number | undefined;
  /** 0.1 to 1: share of first places in its slow start; 1 in every other state. */
  readonly share: number;
  /** True when its half-open breaker, or being out, has a free trial place now. Does not take it. */
  readonly hasTrialPlace: boolean;
  /** Peak EWMA × (in flight + 1) ÷ success²; undefined while nothing is known. */
  cost(answerClass: AnswerClass): number | undefined;
  /** To the first byte over the last 5 min; undefined below 1 sample. `q` from 0 to 1. */
  quantileMs(answerClass: AnswerClass, q: number): number | undefined;
  samples(answerClass: AnswerClass): number;
  isAvoided(path: ModulePath): boolean;
  /** Beaten several times in a row without a word of its own: perhaps slow, perhaps only slower. */
  readonly isDoubted: boolean;
  /** Its zips broke off or came too slowly a short while ago, whatever small answers and probes say. */
  readonly isAvoidedForZips: boolean;
  /** Monotonic time of the last failure; undefined when there was none. */
  readonly lastFailureAtMs: number | undefined;
  readonly lastError: LastError | undefined;
}

/** What operators ordered. Kept in the data folder, shared by its processes. */
export interface Controls {
  readonly mode: Mode;
  /** Wall clock: when the mode returns to normal by itself; undefined: never. */
  readonly modeUntilMs: number | undefined;
  /** Names of upstreams taken out by hand. */
  readonly takenOut: readonly string[];
  readonly pinned: string | undefined;
  /** No automatic change of order; each request may still go on to the next upstream. */
  readonly isFrozen: boolean;
}

/** `direct`: what is not stored comes from repositories, not from upstreams. */
export type Mode = 'normal' | 'offline' | 'direct';

export const noControls: Controls = {
  mode: 'normal',
  modeUntilMs: undefined,
  takenOut: [],
  pinned: undefined,
  isFrozen: false,
};

export interface HealthEvents {
  state: { upstream: string; from: HealthState; to: HealthState; cause: string; score: number };
  breaker: {
    upstream: string;
    from: BreakerState;
    to: BreakerState;
    cause: string;
    openMs: number | undefined;
  };
  /** A change of favourite. `from` undefined: the first one. */
  switched: { route: string; from: string | undefined; to: string | undefined; cause: string };
  rest: { upstream: string; forMs: number; status: number | undefined };
  avoided: { upstream: string; path: ModulePath; forMs: number; cause: string };
  /** Each attempt of a request, for metrics. */
  attempt: { upstream: string; answerClass: AnswerClass; code: UpstreamErrorCode | 'ok'; tookMs: number };
  body: { upstream: string; answerClass: AnswerClass; bytes: number; tookMs: number; isComplete: boolean };
  probe: { upstream: string; code: UpstreamErrorCode | 'ok'; tookMs: number; message: string };
  hedge: { upstream: string };
  repeat: { upstream: string; nth: number };
  /** A budget is used up: told once until it has room again. */
  budgetSpent: { what: 'hedge' | 'repeat' };
}
