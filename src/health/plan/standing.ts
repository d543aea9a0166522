/** How one upstream of a route stands for one request: its rank by health, or why it is not asked. */
import type { ModulePath } from '../../gomod/types.ts';
import type { AnswerClass, Upstream } from '../../upstream/types.ts';
import type { Controls, RouteKind, UpstreamHealth } from '../types.ts';

/** One upstream of a route, in the order of the configuration. */
export interface Candidate {
  readonly upstream: Upstream;
  readonly health: CandidateHealth;
  /** 1 is asked first; higher ones when nothing below them is well. */
  readonly level: number;
  /** Its share under the strategy `weighted`; 0 is first only when nothing else is there. */
  readonly weight: number;
  /** Asked when everybody else has answered or failed, never because they are slow. Default false. */
  readonly isLastResort?: boolean | undefined;
  /** It answers as a modferry. Default false. */
  readonly isModferry?: boolean | undefined;
  /** False: no probe tells when it is well again, so real requests must. Default true. */
  readonly isProbed?: boolean | undefined;
  /** How long that modferry may need to change its own source; undefined: it has not told. */
  readonly failoverMs?: number | undefined;
}

/** What texts use besides, where the record has it. */
export interface CandidateHealth extends UpstreamHealth {
  /** Monotonic: until when its breaker stays open. */
  readonly breakerUntilMs?: number | undefined;
}

/** Lower is asked earlier. `lost`: out or with an open breaker, asked last on a private route. */
export const ranks = { healthy: 0, recovering: 1, slow: 2, suspect: 3, lost: 4 } as const;
export type Rank = (typeof ranks)[keyof typeof ranks];

/**
 * Why it is not among those asked in order. `trying`: its half-open breaker is busy with another request. `behind`:
 * one that keeps Go's `,` rule stands before it and is not asked (ruling 2).
 */
export type Hindrance = 'taken_out' | 'resting' | 'out' | 'open' | 'trying' | 'behind';

export interface Standing {
  readonly candidate: Candidate;
  /** Place in the configured list, from 0. */
  readonly index: number;
  readonly rank: Rank;
  readonly hindrance: Hindrance | undefined;
  readonly isPinned: boolean;
  /** It failed on this very module, or on any zip where a zip is asked, a short while ago. */
  readonly isAvoided: boolean;
}

export interface StandingContext {
  readonly route: RouteKind;
  readonly answerClass: AnswerClass;
  readonly controls: Controls;
  readonly modulePath?: ModulePath | undefined;
  /** Monotonic. */
  readonly nowMs: number;
}

/** By health and orders alone, without regard to the others. */
export function hindranceOf(
  health: UpstreamHealth,
  isTakenOut: boolean,
  nowMs: number,
): Hindrance | undefined {
  if (isTakenOut) return 'taken_out';
  if (health.restUntilMs !== undefined && health.restUntilMs > nowMs) return 'resting';
  if (health.state === 'out') return 'out';
  if (health.breaker === 'open') return 'open';
  if (health.breaker === 'half_open' && !health.hasTrialPlace) return 'trying';
  return undefined;
}

/** True for those whom only their health keeps out: they are asked when nobody else answers. */
export function isLost(hindrance: Hindrance | undefined): boolean {
  return hindrance === 'out' || hindrance === 'open' || hindrance === 'trying';
}

function rankOf(health: UpstreamHealth): Rank {
  if (health.state === 'out' || health.breaker === 'open') return ranks.lost;
  if (health.breaker === 'half_open') return health.hasTrialPlace ? ranks.suspect : ranks.lost;
  return ranks[health.state];
}

/** All candidates, in the order of the list. */
export function standingsOf(candidates: readonly Candidate[], context: StandingContext): Standing[] {
  const { route, answerClass, controls, modulePath, nowMs } = context;
  let isShut = false;
  return candidates.map((candidate, index) => {
    const { health, upstream } = candidate;
    const isPinned = controls.pinned === upstream.name;
    const isTakenOut = controls.takenOut.includes(upstream.name);
    let hindrance = hindranceOf(health, isTakenOut, nowMs);
    const isOrdered = isPinned || controls.isFrozen;
    // Every source of a private route must be asked (ruling 1).
    const isNeeded = route === 'private' && isLost(hindrance);
    if (hindrance !== 'taken_out' && (isOrdered || isNeeded)) hindrance = undefined;
    if (isShut && hindrance !== 'taken_out') hindrance = 'behind';
    if (upstream.stopsOnError && hindrance !== undefined) isShut = true;
    return {
      candidate,
      index,
      rank: rankOf(health),
      hindrance,
      isPinned,
      isAvoided:
        (answerClass === 'zip' && health.isAvoidedForZips) ||
        (modulePath !== undefined && health.isAvoided(modulePath)),
    };
  });
}

/**
 * Index of the last one that may be asked first: the first that keeps Go's `,` rule, or the end of the list. Nobody
 * behind it is asked before it.
 */
export function reachOf(candidates: readonly Candidate[]): number {
  const barrier = candidates.findIndex(({ upstream }) => upstream.stopsOnError);
  return barrier < 0 ? candidates.length - 1 : barrier;
}
