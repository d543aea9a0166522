/**
 * The favourite of a route: whom its requests ask first. It is left at once when it is ill, and by choice (a better
 * place in the list, a lower cost, slowness) only some time after the last change, so that a flapping upstream does
 * not make the order flap (ruling 16).
 */

import type { Strategy } from '../types.ts';
import { byMerit, type Compare, leastBy } from './order.ts';
import { hindranceText } from './reasons.ts';
import { ranks, type Standing } from './standing.ts';

/** How long another one must be cheaper under `fastest`. */
const cheaperForMs = 10_000;

export interface FavouriteState {
  readonly name: string | undefined;
  /** Monotonic: the last change; undefined before the first. The first choice is none. */
  readonly switchedAtMs: number | undefined;
  /** Under `fastest`: others that are cheaper by enough, and since when (monotonic). */
  readonly cheaperSinceMs: ReadonlyMap<string, number>;
}

const noneCheaper: ReadonlyMap<string, number> = new Map();

export const noFavourite: FavouriteState = {
  name: undefined,
  switchedAtMs: undefined,
  cheaperSinceMs: noneCheaper,
};

export interface FavouriteContext {
  /** Those that may be asked first, in the list's order, hindered ones included. */
  readonly within: readonly Standing[];
  readonly strategy: Strategy;
  /** Order as at the freeze; undefined: not frozen. */
  readonly frozen: Compare | undefined;
  readonly switchBackAfterMs: number;
  readonly betterByRatio: number;
  /** Monotonic. */
  readonly nowMs: number;
}

export interface FavouriteChange {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly cause: string;
}

export interface FavouriteChoice {
  readonly state: FavouriteState;
  readonly change: FavouriteChange | undefined;
}

/** The favourite from now on. Changes nothing by itself; gives back `before` where nothing is new. */
export function chooseFavourite(before: FavouriteState, context: FavouriteContext): FavouriteChoice {
  const { within, frozen, strategy } = context;
  const incumbent = within.find((standing) => nameOf(standing) === before.name);
  const pinned = within.find(({ isPinned, hindrance }) => isPinned && hindrance === undefined);
  if (pinned !== undefined) return moved(before, pinned, 'pinned by an operator', context);

  // While frozen only orders count, so those that are lost are still there.
  const usable = within.filter(
    ({ hindrance, rank }) => hindrance === undefined && (frozen !== undefined || rank < ranks.lost),
  );
  const best = leastBy(usable, frozen ?? byMerit(strategy));
  if (before.name === undefined) return moved(before, best, 'the first choice', context);
  const parting = partingCause(before.name, incumbent, context);
  if (incumbent === undefined || incumbent.hindrance === 'taken_out') {
    return moved(before, best, parting, context);
  }
  // Nobody else is there: an ill favourite is as good as none, and leaving it would only make noise.
  if (best === undefined || best === incumbent) return stayed(before);
  if (!usable.includes(incumbent)) return moved(before, best, parting, context);
  if (frozen !== undefined) return stayed(before);
  if (incumbent.rank >= ranks.suspect) {
    return best.rank < incumbent.rank ? moved(before, best, parting, context) : stayed(before);
  }
  return byChoice(before, incumbent, best, usable, context);
}

function byChoice(
  before: FavouriteState,
  incumbent: Standing,
  best: Standing,
  usable: readonly Standing[],
  context: FavouriteContext,
): FavouriteChoice {
  const { strategy, nowMs, switchBackAfterMs } = context;
  const mayChange = before.switchedAtMs === undefined || nowMs - before.switchedAtMs >= switchBackAfterMs;
  if (strategy !== 'fastest' || !isPeer(best, incumbent)) {
    return mayChange ? moved(before, best, betterCause(best, incumbent), context) : stayed(before);
  }
  const cheaperSinceMs = cheaperOnes(before, incumbent, usable, context);
  const proven = usable.filter(
    (standing) => nowMs - (cheaperSinceMs.get(nameOf(standing)) ?? nowMs) >= cheaperForMs,
  );
  const cheapest = leastBy(proven, byMerit(strategy));
  if (cheapest !== undefined && mayChange) {
    return moved(before, cheapest, betterCause(cheapest, incumbent), context);
  }
  return { state: { ...before, cheaperSinceMs }, change: undefined };
}

function cheaperOnes(
  before: FavouriteState,
  incumbent: Standing,
  usable: readonly Standing[],
  { betterByRatio, nowMs }: FavouriteContext,
): ReadonlyMap<string, number> {
  const costNow = incumbent.candidate.health.cost('meta');
  if (costNow === undefined) return noneCheaper;
  const cheaper = new Map<string, number>();
  for (const standing of usable) {
    if (standing === incumbent || !isPeer(standing, incumbent)) continue;
    const cost = standing.candidate.health.cost('meta');
    if (cost === undefined || !(cost <= costNow * (1 - betterByRatio) && cost < costNow)) continue;
    const name = nameOf(standing);
    cheaper.set(name, before.cheaperSinceMs.get(name) ?? nowMs);
  }
  return cheaper;
}

/** Only the cost tells them apart. */
function isPeer(a: Standing, b: Standing): boolean {
  return (
    a.rank === b.rank &&
    a.candidate.level === b.candidate.level &&
    a.candidate.upstream.stopsOnError === b.candidate.upstream.stopsOnError
  );
}

function moved(
  before: FavouriteState,
  to: Standing | undefined,
  cause: string,
  { nowMs }: FavouriteContext,
): FavouriteChoice {
  const name = to === undefined ? undefined : nameOf(to);
  if (name === before.name) return stayed(before);
  const isFirst = before.name === undefined && before.switchedAtMs === undefined;
  const switchedAtMs = isFirst ? undefined : nowMs;
  return {
    state: { name, switchedAtMs, cheaperSinceMs: noneCheaper },
    change: { from: before.name, to: name, cause },
  };
}

function stayed(before: FavouriteState): FavouriteChoice {
  // Being cheaper must last without a break.
  const state = before.cheaperSinceMs.size === 0 ? before : { ...before, cheaperSinceMs: noneCheaper };
  return { state, change: undefined };
}

function partingCause(name: string, incumbent: Standing | undefined, { nowMs }: FavouriteContext): string {
  if (incumbent === undefined) return `${name} may no longer be asked first`;
  return `${name}: ${hindranceText(incumbent, nowMs)}`;
}

function betterCause(to: Standing, from: Standing): string {
  const [name, other] = [nameOf(to), nameOf(from)];
  if (to.rank < from.rank) {
    return from.rank === ranks.slow ? `${other} is slow` : `${name} is well, ${other} still recovers`;
  }
  if (to.candidate.level < from.candidate.level)
    return `${name} of level ${to.candidate.level} is well again`;
  const cost = to.candidate.health.cost('meta');
  const otherCost = from.candidate.health.cost('meta');
  if (isPeer(to, from) && cost !== undefined && otherCost !== undefined && to.index > from.index) {
    return `${name} is cheaper by ${Math.round(100 * (1 - cost / otherCost))} %`;
  }
  return `${name} is well and preferred to ${other}`;
}

function nameOf({ candidate }: Standing): string {
  return candidate.upstream.name;
}
