/** The plan of one request: what the planner arranged, with the delays and budgets that belong to it. */
import type { FailedAttempt, Plan } from '../../upstream/plan.ts';
import type { AnswerClass, SourceOutcome, Upstream } from '../../upstream/types.ts';
import type { HealthOptions } from '../types.ts';
import type { Budget } from './budget.ts';
import { hedgeMs, patienceMs } from './delays.ts';
import { latencyBoundMs } from './latency-bound.ts';
import { repeatDelayMs } from './repeat-delay.ts';
import { ranks, type Standing } from './standing.ts';

/** What all plans share. */
export interface PlanTools {
  readonly hedges: Budget;
  readonly repeats: Budget;
  readonly random: () => number;
  onHedge(upstream: string): void;
  onRepeat(upstream: string, nth: number): void;
  /** Returns the unsubscribe. */
  onLost(listener: (upstreamName: string) => void): () => void;
}

export interface PlanFacts {
  readonly asked: readonly Standing[];
  readonly reserve: readonly Standing[];
  readonly skipped: readonly SourceOutcome[];
  readonly answerClass: AnswerClass;
  readonly isBackground: boolean;
  readonly options: HealthOptions;
}

/** Public mirrors fetch on demand; a repository is cloned for nothing when they are only slow. */
const beforeLastResortMs = 30_000;

export class RoutePlan implements Plan {
  readonly upstreams: readonly Upstream[];
  readonly reserve: readonly Upstream[];
  readonly skipped: readonly SourceOutcome[];
  readonly lastHopeMs: number;
  readonly #facts: PlanFacts;
  readonly #tools: PlanTools;
  /** Nobody quick is there: then everybody is waited for. */
  readonly #isAnybodyQuick: boolean;
  /** The upstream whose silence was asked about last: the one a hedge is taken for. */
  #silent: Upstream | undefined;

  constructor(facts: PlanFacts, tools: PlanTools) {
    this.#facts = facts;
    this.#tools = tools;
    this.upstreams = facts.asked.map(upstreamOf);
    this.reserve = facts.reserve.map(upstreamOf);
    this.skipped = facts.skipped;
    this.lastHopeMs = facts.options.lastHopeMs;
    this.#isAnybodyQuick = facts.asked.some(isQuick);
  }

  patienceMs(upstream: Upstream): number {
    const { answerClass, options } = this.#facts;
    const standing = this.#asked(upstream) ?? find(this.#facts.reserve, upstream);
    if (standing !== undefined && this.#isBeforeLastResort(standing)) return beforeLastResortMs;
    if (standing !== undefined) {
      return patienceMs(standing.candidate, answerClass, options, () => this.#boundMs());
    }
    return upstream.firstByteMs?.[answerClass] ?? options.firstByteMs[answerClass];
  }

  hedgeMs(upstream: Upstream): number | undefined {
    const { answerClass, asked, isBackground, options } = this.#facts;
    this.#silent = upstream;
    if (answerClass !== 'meta' || isBackground || !options.hedge.enabled) return undefined;
    const standing = this.#asked(upstream);
    if (standing === undefined || this.#isBeforeLastResort(standing)) return undefined;
    return hedgeMs(standing, asked, answerClass, options.hedge);
  }

  takeHedge(): boolean {
    if (!this.#tools.hedges.take()) return false;
    this.#tools.onHedge(this.#silent?.name ?? '');
    return true;
  }

  takeRepeat(upstream: Upstream, nth: number, error: FailedAttempt): number | undefined {
    const delayMs = repeatDelayMs(nth, error, this.#facts.options.retry, () => this.#tools.random());
    if (delayMs === undefined || !this.#tools.repeats.take()) return undefined;
    this.#tools.onRepeat(upstream.name, nth);
    return delayMs;
  }

  isWaitedFor(upstream: Upstream): boolean {
    if (!this.#isAnybodyQuick) return true;
    const standing = this.#asked(upstream);
    return standing === undefined || isQuick(standing);
  }

  isDoubtful(upstream: Upstream): boolean {
    return this.#asked(upstream)?.rank === ranks.lost;
  }

  levelOf(upstream: Upstream): number | undefined {
    return this.#asked(upstream)?.candidate.level;
  }

  onLost(listener: (upstreamName: string) => void): () => void {
    return this.#tools.onLost(listener);
  }

  /** Whoever would be asked beside it is a last resort, and it is none itself. */
  #isBeforeLastResort(standing: Standing): boolean {
    const { asked } = this.#facts;
    const next = asked[asked.indexOf(standing) + 1];
    return next?.candidate.isLastResort === true && standing.candidate.isLastResort !== true;
  }

  #boundMs(): number | undefined {
    const { asked, options } = this.#facts;
    return latencyBoundMs(
      asked.map(({ candidate }) => candidate.health),
      options,
    );
  }

  #asked(upstream: Upstream): Standing | undefined {
    return find(this.#facts.asked, upstream);
  }
}

function isQuick({ rank, isAvoided }: Standing): boolean {
  return rank <= ranks.recovering && !isAvoided;
}

function upstreamOf({ candidate }: Standing): Upstream {
  return candidate.upstream;
}

function find(standings: readonly Standing[], upstream: Upstream): Standing | undefined {
  return standings.find(({ candidate }) => candidate.upstream === upstream);
}
