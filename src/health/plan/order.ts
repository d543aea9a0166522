/** The order of one request: pure functions from how the upstreams stand to who is asked when. */
import type { AnswerClass } from '../../upstream/types.ts';
import type { Strategy } from '../types.ts';
import { isLost, type Rank, ranks, type Standing } from './standing.ts';
import { weightedDraw } from './weighted-draw.ts';

export type Compare = (a: Standing, b: Standing) => number;

/**
 * By rank, level, and strategy; among equals as listed. One that keeps Go's `,` rule comes after those of its rank and
 * level that are listed before it: its error ends the walk, and they would have had no turn. `weighted` decides by a
 * draw for each request who is first (`firstOf`), so here it is the list's order.
 */
export function byHealth(strategy: Strategy, answerClass: AnswerClass): Compare {
  return (a, b) => a.rank - b.rank || byPreference(a, b, strategy, answerClass);
}

/** As `byHealth`, but one in its slow start counts as healthy: would it be first if it were? */
function asIfRecovered(strategy: Strategy, answerClass: AnswerClass): Compare {
  return (a, b) => settledRank(a) - settledRank(b) || byPreference(a, b, strategy, answerClass);
}

/** Who should be the favourite: as `byHealth`, and under `weighted` the greatest weight, whatever is drawn. */
export function byMerit(strategy: Strategy): Compare {
  return (a, b) =>
    a.rank - b.rank ||
    byLevel(a, b) ||
    byCommaRule(a, b) ||
    (strategy === 'weighted' ? b.candidate.weight - a.candidate.weight : 0) ||
    // Small answers and probes tell about all of them; zips differ too much in size to compare.
    byPreference(a, b, strategy, 'meta');
}

/** As at the freeze: by the names in that order; those that came later last, as listed. */
export function asFrozen(names: readonly string[]): Compare {
  return (a, b) => placeIn(names, a) - placeIn(names, b) || a.index - b.index;
}

/**
 * Everybody in `asked` (in the list's order) once: the pinned one, then `first`, then the others by `compare`. Nobody comes before one that is listed before it and keeps Go's `,` rule.
 */
export function inOrder(
  asked: readonly Standing[],
  first: Standing | undefined,
  compare: Compare,
): readonly Standing[] {
  const left = [...asked];
  const result: Standing[] = [];
  for (;;) {
    let best: Standing | undefined;
    for (const standing of left) {
      if (best === undefined || compareInRequest(standing, best, first, compare) < 0) best = standing;
      if (standing.candidate.upstream.stopsOnError) break;
    }
    if (best === undefined) return result;
    result.push(best);
    left.splice(left.indexOf(best), 1);
  }
}

export interface FirstContext {
  readonly strategy: Strategy;
  readonly answerClass: AnswerClass;
  readonly favourite: string | undefined;
  /** Called at most once; undefined: nothing is drawn. */
  readonly random: (() => number) | undefined;
}

/**
 * Who is asked first, apart from a pin; undefined: as `byHealth` says. `within`: those that may be first (the reach).
 * One in its slow start is first for its share of the requests only, while a settled one is there.
 */
export function firstOf(within: readonly Standing[], context: FirstContext): Standing | undefined {
  const { strategy, answerClass, random } = context;
  const usable = within.filter(isFit);
  if (strategy === 'weighted') return random === undefined ? undefined : drawn(usable, random());
  const favourite = usable.find(({ candidate }) => candidate.upstream.name === context.favourite);
  if (!usable.some(({ rank }) => rank === ranks.recovering)) return favourite;
  const isSettled = usable.some(({ rank }) => rank === ranks.healthy) || favourite?.rank === ranks.slow;
  if (!isSettled) return favourite;
  const starter =
    favourite?.rank === ranks.recovering ? favourite : leastBy(usable, asIfRecovered(strategy, answerClass));
  if (
    starter?.rank === ranks.recovering &&
    random !== undefined &&
    random() < starter.candidate.health.share
  ) {
    return starter;
  }
  return favourite?.rank === ranks.recovering ? undefined : favourite;
}

/** Those that `weighted` draws from, of the whole `within`; the chances are `drawWeight`. */
export function drawnFrom(within: readonly Standing[]): readonly Standing[] {
  const usable = within.filter(isFit);
  const well = usable.filter(({ rank }) => rank <= ranks.recovering);
  const pool = lowestLevel(well.filter(hasWeight));
  if (pool.length > 0) return pool;
  // Weight 0 is first only when nothing else is there; a slow one is something.
  const slow = leastBy(
    usable.filter((standing) => standing.rank === ranks.slow && hasWeight(standing)),
    byLevel,
  );
  return slow === undefined ? [] : [slow];
}

/** Weight times share of the slow start. */
export function drawWeight({ candidate }: Standing): number {
  return candidate.weight * candidate.health.share;
}

/** Asked when nobody else answered: the least bad first, which is the one whose last failure is the oldest. */
export function reserveOf(within: readonly Standing[]): Standing[] {
  return within
    .filter(({ hindrance, candidate }) => isLost(hindrance) && candidate.health.hasTrialPlace)
    .sort((a, b) => lastFailureAtMs(a) - lastFailureAtMs(b) || a.index - b.index);
}

/** The least one; undefined of none. */
export function leastBy(standings: readonly Standing[], compare: Compare): Standing | undefined {
  let least: Standing | undefined;
  for (const standing of standings) {
    if (least === undefined || compare(standing, least) < 0) least = standing;
  }
  return least;
}

function isFit({ hindrance, rank, isAvoided }: Standing): boolean {
  return hindrance === undefined && rank < ranks.lost && !isAvoided;
}

function drawn(usable: readonly Standing[], draw: number): Standing | undefined {
  return weightedDraw(drawnFrom(usable), drawWeight, draw);
}

function hasWeight({ candidate }: Standing): boolean {
  return candidate.weight > 0;
}

/** Of the level that the healthy ones begin with, and what is in its slow start on a lower one. */
function lowestLevel(well: readonly Standing[]): readonly Standing[] {
  const healthy = well.filter(({ rank }) => rank === ranks.healthy);
  const settled = healthy.length > 0 ? healthy : well;
  const level = Math.min(...settled.map(({ candidate }) => candidate.level));
  const pool = well.filter(({ candidate }) => candidate.level <= level);
  const open = pool.filter(({ candidate }) => !candidate.upstream.stopsOnError);
  return open.some(({ rank }) => rank === ranks.healthy) ? open : pool;
}

function compareInRequest(a: Standing, b: Standing, first: Standing | undefined, compare: Compare): number {
  if (a.isPinned !== b.isPinned) return a.isPinned ? -1 : 1;
  if (a === first || b === first) return a === first ? -1 : 1;
  return compare(a, b);
}

/** Puts those that failed on the module behind all others but the lost ones. */
export function avoidedLast(compare: Compare): Compare {
  return (a, b) =>
    Number(a.rank === ranks.lost) - Number(b.rank === ranks.lost) ||
    Number(a.isAvoided) - Number(b.isAvoided) ||
    compare(a, b);
}

function byPreference(a: Standing, b: Standing, strategy: Strategy, answerClass: AnswerClass): number {
  return (
    byLevel(a, b) ||
    byCommaRule(a, b) ||
    (strategy === 'fastest' ? byCost(a, b, answerClass) : 0) ||
    a.index - b.index
  );
}

function byLevel(a: Standing, b: Standing): number {
  return a.candidate.level - b.candidate.level;
}

/** An error of one that keeps Go's `,` rule ends the walk: the others of its kind before it must have had their turn. */
function byCommaRule(a: Standing, b: Standing): number {
  return Number(a.candidate.upstream.stopsOnError) - Number(b.candidate.upstream.stopsOnError);
}

/** Those of which nothing is known come last, as listed. */
function byCost(a: Standing, b: Standing, answerClass: AnswerClass): number {
  const costA = a.candidate.health.cost(answerClass);
  const costB = b.candidate.health.cost(answerClass);
  if (costA === undefined || costB === undefined)
    return Number(costA === undefined) - Number(costB === undefined);
  return costA - costB;
}

function settledRank({ rank }: Standing): Rank {
  return rank === ranks.recovering ? ranks.healthy : rank;
}

function placeIn(names: readonly string[], { candidate }: Standing): number {
  const place = names.indexOf(candidate.upstream.name);
  return place < 0 ? names.length : place;
}

function lastFailureAtMs({ candidate }: Standing): number {
  return candidate.health.lastFailureAtMs ?? -1;
}
