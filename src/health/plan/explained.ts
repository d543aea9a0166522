/** The order of one request in words: for `modferry explain`. */

import type { Strategy } from '../types.ts';
import type { Arrangement } from './arrange.ts';
import { drawnFrom, drawWeight } from './order.ts';
import { hindranceText, stateText } from './reasons.ts';
import { ranks, type Standing } from './standing.ts';

export interface Explained {
  readonly name: string;
  /** From 1, in the order of asking, the reserve included; undefined: not asked. */
  readonly place: number | undefined;
  readonly why: string;
}

export interface ExplainContext {
  readonly strategy: Strategy;
  /** Monotonic. */
  readonly nowMs: number;
}

/** Those that are asked, then the reserve, then those that are not asked. */
export function explained(arrangement: Arrangement, context: ExplainContext): Explained[] {
  const { asked, reserve, standings } = arrangement;
  const rest = standings.filter(
    (standing) => standing.hindrance !== undefined && !reserve.includes(standing),
  );
  return [
    ...asked.map((standing, at) => ({
      name: nameOf(standing),
      place: at + 1,
      why: whyAsked(standing, arrangement, context),
    })),
    ...reserve.map((standing, at) => ({
      name: nameOf(standing),
      place: asked.length + at + 1,
      why: `only when no other answers: ${hindranceText(standing, context.nowMs)}`,
    })),
    ...rest.map((standing) => ({
      name: nameOf(standing),
      place: undefined,
      why: hindranceText(standing, context.nowMs),
    })),
  ];
}

function whyAsked(standing: Standing, arrangement: Arrangement, { strategy, nowMs }: ExplainContext): string {
  const { candidate, isPinned, isAvoided, rank } = standing;
  const { health, level, upstream } = candidate;
  const { favourite, frozen } = arrangement.state;
  const parts: string[] = [];
  if (isPinned) parts.push('pinned by an operator');
  else if (upstream.name === favourite.name) parts.push('the favourite');
  if (frozen !== undefined) parts.push('order frozen by an operator');
  parts.push(stateText(health, nowMs));
  if (frozen === undefined) {
    if (level > 1) parts.push(`level ${level}`);
    if (isAvoided) parts.push('asked last: failed on this module, or on zips, a short while ago');
    if (strategy === 'fastest') parts.push(costText(health.cost('meta')));
    if (strategy === 'weighted') parts.push(chanceText(standing, arrangement.within));
    else if (rank === ranks.recovering) parts.push(`in its slow start, share ${percent(health.share)}`);
  }
  if (upstream.stopsOnError) parts.push('an error of it ends the walk');
  return parts.join(', ');
}

function costText(cost: number | undefined): string {
  return cost === undefined ? 'cost not known yet' : `cost ${Math.round(cost)} ms`;
}

function chanceText(standing: Standing, within: readonly Standing[]): string {
  const pool = drawnFrom(within);
  const total = pool.reduce((sum, each) => sum + drawWeight(each), 0);
  const own = pool.includes(standing) && total > 0 ? drawWeight(standing) / total : 0;
  return `drawn first for ${percent(own)} of requests`;
}

function percent(ratio: number): string {
  return `${Math.round(100 * ratio)} %`;
}

function nameOf({ candidate }: Standing): string {
  return candidate.upstream.name;
}
