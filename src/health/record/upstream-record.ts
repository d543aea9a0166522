/**
 * The record of one upstream: takes what is seen of it, in probes and requests, and knows its figures, score, state
 * and breaker. It asks nobody and chooses nothing; what it concludes it tells on the bus.
 */
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventBus } from '../../lib/event-bus.ts';
import type { AnswerClass, UpstreamErrorCode } from '../../upstream/types.ts';
import type {
  BreakerState,
  HealthEvents,
  HealthOptions,
  HealthState,
  LastError,
  Observation,
  UpstreamFigures,
  UpstreamHealth,
} from '../types.ts';
import { AnswerStats } from './answer-stats.ts';
import { Breaker, type BreakerChange } from './breaker.ts';
import { Condition } from './condition.ts';
import { ModuleAvoidance } from './module-avoidance.ts';
import { causeOf, classOf, isModuleFailure, isNeutral, restOf } from './observed.ts';
import { scoreOf, starsOf } from './score.ts';
import { TrialPlace } from './trial-place.ts';

export interface UpstreamRecordOptions {
  readonly name: string;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly events: EventBus<HealthEvents>;
  /** The snapshot in force; read at each use. */
  options(): HealthOptions;
  /** What still counts as quick: half of the answers of the quickest begin within it, plus the allowance. Undefined: nothing to compare with. */
  latencyBoundMs(): number | undefined;
  /** Silence before another answered that makes it suspect, unless its own p95 is longer. Default 1000. */
  beatenIsSuspectAfterMs?(): number;
  /** It was beaten again and again without a word of its own: a probe would tell whether it is only slower. */
  onDoubt?(): void;
}

/** What its owner knows of it besides. */
export type OwnersFigures = Pick<
  UpstreamFigures,
  | 'url'
  | 'isPrivate'
  | 'level'
  | 'weight'
  | 'queued'
  | 'isTakenOut'
  | 'isPinned'
  | 'favouriteOf'
  | 'isModferry'
>;

/** The transfer was at fault, not what was sent. */
const brokenCodes: ReadonlySet<UpstreamErrorCode | 'ok'> = new Set(['timeout', 'truncated', 'reset']);
/** Stands for every zip. No module path has a space. */
const allZips = ' zips' as ModulePath;
const samplesToJudge = 5;
const panicApartMs = 2_000;
/** Hedges end most silences long before they tell anything: after so many in a row somebody should ask it. */
const beatenTooOften = 3;

export class UpstreamRecord implements UpstreamHealth {
  readonly name: string;
  readonly #options: UpstreamRecordOptions;
  readonly #clock: Clock;
  readonly #stats: AnswerStats;
  readonly #breaker: Breaker;
  readonly #condition: Condition;
  readonly #avoidance: ModuleAvoidance;
  readonly #zipAvoidance: ModuleAvoidance;
  readonly #trials: TrialPlace;
  #inFlight = 0;
  #beatenInARow = 0;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #lastFailureAtMs: number | undefined;
  #lastError: LastError | undefined;
  #lastProbe: UpstreamFigures['lastProbe'];

  constructor(options: UpstreamRecordOptions) {
    const { clock, random, events, name } = options;
    this.name = name;
    this.#options = options;
    this.#clock = clock;
    this.#stats = new AnswerStats(clock);
    this.#trials = new TrialPlace(clock);
    this.#breaker = new Breaker({
      clock,
      options: () => options.options().breaker,
      onChange: (change) => this.#breakerChanged(change),
    });
    this.#condition = new Condition({
      clock,
      random,
      options: () => options.options(),
      mayReturn: () => this.#breaker.state === 'closed',
      onChange: (change) => events.emit('state', { upstream: name, ...change, score: this.score }),
    });
    const avoidance = { clock, avoidMs: () => options.options().avoidModuleMs };
    this.#avoidance = new ModuleAvoidance(avoidance);
    this.#zipAvoidance = new ModuleAvoidance(avoidance);
  }

  get state(): HealthState {
    return this.#condition.state;
  }

  get breaker(): BreakerState {
    return this.#breaker.state;
  }

  /** Monotonic; undefined while it is not open. */
  get breakerUntilMs(): number | undefined {
    return this.#breaker.openUntilMs;
  }

  get restUntilMs(): number | undefined {
    return this.#clock.monotonic() < this.#restUntilMs ? this.#restUntilMs : undefined;
  }

  get share(): number {
    return this.#condition.share;
  }

  /** 0 to 100. */
  get score(): number {
    const p50Ms = this.quantileMs('meta', 0.5);
    return scoreOf({ success: this.#stats.success, p50Ms, boundMs: this.#boundMs() });
  }

  /** Requests whose answer, body included, has not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Of bodies over 256 KiB, the latest counting most; undefined without one. */
  get bytesPerSecond(): number | undefined {
    return this.#stats.bytesPerSecond;
  }

  get lastFailureAtMs(): number | undefined {
    return this.#lastFailureAtMs;
  }

  get lastError(): LastError | undefined {
    return this.#lastError;
  }

  /**
   * Half-open: one trial at a time. Out: one at a time, 2 s apart, so that with nobody left something is still tried
   * (panic rule); once a good answer has come these limits would only keep clients waiting, so they fall.
   */
  get hasTrialPlace(): boolean {
    const { breaker } = this;
    if (breaker === 'half_open') return this.#trials.isFree(0);
    if (this.state !== 'out') return false;
    const { isLastGood } = this.#condition;
    return (isLastGood && breaker === 'closed') || this.#trials.isFree(isLastGood ? 0 : panicApartMs);
  }

  /** Takes the place. The release is idempotent; undefined: none is free, or nothing is to be tried. */
  tryTakeTrial(): (() => void) | undefined {
    return this.hasTrialPlace ? this.#trials.take() : undefined;
  }

  cost(answerClass: AnswerClass): number | undefined {
    const other = answerClass === 'meta' ? 'zip' : 'meta';
    const peakMs = this.#stats.peakMs(answerClass) ?? this.#stats.peakMs(other);
    if (peakMs === undefined) return undefined;
    return (peakMs * (this.#inFlight + 1)) / Math.max(this.#stats.success, 0.05) ** 2;
  }

  quantileMs(answerClass: AnswerClass, q: number): number | undefined {
    return this.#stats.quantileMs(answerClass, q);
  }

  samples(answerClass: AnswerClass): number {
    return this.#stats.samples(answerClass);
  }

  get isDoubted(): boolean {
    return this.#beatenInARow >= beatenTooOften;
  }

  get isAvoidedForZips(): boolean {
    return this.#zipAvoidance.isAvoided(allZips);
  }

  isAvoided(path: ModulePath): boolean {
    return this.#avoidance.isAvoided(path);
  }

  /** Counts a request as in flight until the function it returns is called; that is idempotent. */
  begin(): () => void {
    let isOver = false;
    this.#inFlight += 1;
    return () => {
      if (!isOver) this.#inFlight -= 1;
      isOver = true;
    };
  }

  /** How much of a body came, and how long after the status line it ended. */
  bodyEnded(sizeBytes: number, tookMs: number, isComplete: boolean): void {
    this.#stats.body(sizeBytes, tookMs, isComplete);
  }

  observe(seen: Observation): void {
    if (isNeutral(seen)) return;
    const isGood = seen.code === 'ok' || seen.code === 'absent' || seen.code === 'gone';
    if (seen.kind === 'probe') {
      this.#lastProbe = { atMs: this.#clock.now(), ok: isGood, tookMs: seen.tookMs };
    }
    const restMs = restOf(seen);
    if (restMs !== undefined) this.#rest(restMs, seen);
    else if (seen.code === 'beaten') this.#beaten(seen);
    else if (isGood) this.#good(seen);
    else this.#failed(seen, seen.code);
  }

  /** What time alone changes. Call it about once a second. */
  tick(): void {
    this.#breaker.tick();
    const isEnough = this.samples('meta') >= samplesToJudge;
    this.#condition.tick({
      p50Ms: isEnough ? this.quantileMs('meta', 0.5) : undefined,
      boundMs: this.#boundMs(),
    });
  }

  /** By hand: forgets breaker, rest, avoided modules, and that it was ever suspect or out. The figures stay. */
  clear(): void {
    const cause = 'cleared by an operator';
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
    this.#avoidance.clear();
    this.#zipAvoidance.clear();
    this.#breaker.clear(cause);
    this.#condition.clear(cause);
  }

  figures(owners: OwnersFigures): UpstreamFigures {
    const wallMinusMonotonicMs = this.#clock.now() - this.#clock.monotonic();
    const { score, state, breakerUntilMs, restUntilMs } = this;
    return {
      ...owners,
      name: this.name,
      state,
      sinceMs: this.#condition.sinceMs,
      cause: this.#condition.cause,
      score,
      stars: starsOf(score, state),
      windows: this.#stats.windows(),
      ttfbMs: { meta: this.#stats.peakMs('meta'), zip: this.#stats.peakMs('zip') },
      jitterMs: this.#stats.jitterMs,
      inFlight: this.#inFlight,
      breaker: this.breaker,
      breakerUntilMs: breakerUntilMs === undefined ? undefined : breakerUntilMs + wallMinusMonotonicMs,
      restUntilMs: restUntilMs === undefined ? undefined : restUntilMs + wallMinusMonotonicMs,
      lastError: this.#lastError,
      lastProbe: this.#lastProbe,
      avoidedModules: this.#avoidance.size,
    };
  }

  #good(seen: Observation): void {
    const { kind, part = 'whole', tookMs, modulePath } = seen;
    this.#beatenInARow = 0;
    if (part !== 'body') {
      this.#stats.answered(true, kind === 'probe');
      // Mirrors fetch on demand before they say 404, so only what they have tells how quick they are.
      if (seen.code === 'ok') this.#stats.firstByte(classOf(seen), tookMs);
    }
    this.#sample(seen, true);
    if (part === 'head') return;
    if (modulePath !== undefined) this.#avoidance.good(modulePath);
    if (kind === 'zip') this.#zipAvoidance.good(allZips);
    this.#condition.good();
  }

  #failed(seen: Observation, code: UpstreamErrorCode): void {
    const { kind, part = 'whole', modulePath } = seen;
    this.#lastFailureAtMs = this.#clock.monotonic();
    this.#noteError(seen, code);
    if (part === 'body') this.#stats.turnedBad();
    else this.#stats.answered(false, kind === 'probe');
    this.#sample(seen, false);
    const cause = causeOf(seen);
    // A module path is never an empty word, so these two are modules of their own.
    const subject = kind === 'probe' ? ' probe' : (modulePath ?? ' none');
    this.#condition.failed(subject, cause, this.#askedAtMs(seen));
    if (kind !== 'probe' && modulePath !== undefined && isModuleFailure(code)) this.#avoid(modulePath, cause);
    // Probes are small: they say nothing of a line that cannot carry zips.
    if (kind === 'zip' && part === 'body' && brokenCodes.has(code)) this.#zipAvoidance.failed(allZips);
  }

  #avoid(path: ModulePath, cause: string): void {
    const forMs = this.#avoidance.failed(path);
    if (forMs === undefined) return;
    this.#options.events.emit('avoided', { upstream: this.name, path, forMs, cause });
    if (!this.#avoidance.isMany) return;
    this.#avoidance.forgetLatest();
    this.#condition.takeOut(`it failed on 10 modules within 5 min, the last: ${path}: ${cause}`);
  }

  #sample(seen: Observation, isGood: boolean): void {
    const { kind, part = 'whole' } = seen;
    this.#breaker.record({ isGood, part, isProbe: kind === 'probe', askedAtMs: this.#askedAtMs(seen) });
  }

  #beaten(seen: Observation): void {
    const { tookMs } = seen;
    const usualMs = this.quantileMs(classOf(seen), 0.95) ?? 0;
    this.#stats.silentFor(classOf(seen), tookMs);
    this.#beatenInARow += 1;
    // In doubt, what is slower than the quickest allows is proof enough (ruling 17).
    const doubtMs = this.isDoubted ? this.#boundMs() : undefined;
    const isLong =
      tookMs > Math.max(usualMs, this.#options.beatenIsSuspectAfterMs?.() ?? 1000) ||
      (doubtMs !== undefined && tookMs > doubtMs);
    if (!isLong) {
      if (this.#beatenInARow % beatenTooOften === 0) this.#options.onDoubt?.();
      return;
    }
    const cause = `beaten: silent for ${Math.round(tookMs)} ms while another answered`;
    this.#condition.suspected(cause, this.#askedAtMs(seen));
  }

  #rest(forMs: number, seen: Observation): void {
    this.#noteError(seen, 'status');
    const wasResting = this.restUntilMs !== undefined;
    this.#restUntilMs = Math.max(this.#restUntilMs, this.#clock.monotonic() + forMs);
    // Many requests may hear the same at once.
    if (!wasResting) this.#options.events.emit('rest', { upstream: this.name, forMs, status: seen.status });
  }

  #noteError(seen: Observation, code: UpstreamErrorCode): void {
    this.#lastError = { code, message: (seen.message ?? code).slice(0, 300), atMs: this.#clock.now() };
  }

  #breakerChanged(change: BreakerChange): void {
    this.#options.events.emit('breaker', { upstream: this.name, ...change });
    if (change.to === 'open') this.#condition.takeOut(`its breaker opened: ${change.cause}`);
  }

  #boundMs(): number | undefined {
    return this.#options.options().latencyLimitMs ?? this.#options.latencyBoundMs();
  }

  #askedAtMs({ tookMs }: Observation): number {
    return this.#clock.monotonic() - tookMs;
  }
}
