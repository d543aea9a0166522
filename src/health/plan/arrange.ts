/** Brings the parts together for one request: how each stands, the favourite, the order, the reserve. Pure. */
import type { ModulePath } from '../../gomod/types.ts';
import type { AnswerClass } from '../../upstream/types.ts';
import type { Controls, HealthOptions, RouteKind } from '../types.ts';
import { chooseFavourite, type FavouriteChange, type FavouriteState, noFavourite } from './favourite.ts';
import { asFrozen, avoidedLast, byHealth, firstOf, inOrder, reserveOf } from './order.ts';
import { type Candidate, reachOf, type Standing, standingsOf } from './standing.ts';

/** What is remembered of a route from one request to the next. */
export interface RouteState {
  readonly favourite: FavouriteState;
  /** Names in the order at the freeze; undefined while not frozen. */
  readonly frozen: readonly string[] | undefined;
}

export const newRoute: RouteState = { favourite: noFavourite, frozen: undefined };

export interface ArrangeContext {
  readonly route: RouteKind;
  readonly upstreams: readonly Candidate[];
  readonly answerClass: AnswerClass;
  readonly modulePath?: ModulePath | undefined;
  readonly options: HealthOptions;
  readonly controls: Controls;
  /** Undefined: nothing is drawn, for who only wants to know. */
  readonly random: (() => number) | undefined;
  /** Monotonic. */
  readonly nowMs: number;
}

export interface Arrangement {
  readonly asked: readonly Standing[];
  readonly reserve: readonly Standing[];
  /** All of them, in the list's order. */
  readonly standings: readonly Standing[];
  /** Those of them that may be first. */
  readonly within: readonly Standing[];
  /** What to remember for the next request. */
  readonly state: RouteState;
  readonly change: FavouriteChange | undefined;
}

export function arrange(before: RouteState, context: ArrangeContext): Arrangement {
  const { controls, options, route, upstreams } = context;
  const standings = standingsOf(upstreams, context);
  const reached = standings.slice(0, reachOf(upstreams) + 1);
  const within = beforeLastResorts(reached);
  const frozen = controls.isFrozen ? (before.frozen ?? orderAtFreeze(before, context)) : undefined;
  const { state: favourite, change } = chooseFavourite(before.favourite, {
    within,
    strategy: options.strategy[route],
    frozen: frozen === undefined ? undefined : asFrozen(frozen),
    switchBackAfterMs: options.switchBackAfterMs,
    betterByRatio: options.betterByRatio,
    nowMs: context.nowMs,
  });
  return {
    asked: orderOf({ standings, within, favourite: favourite.name, frozen }, context),
    reserve: reserveOf(reached),
    standings,
    within,
    state: { favourite, frozen },
    change,
  };
}

function orderOf(
  of: {
    readonly standings: readonly Standing[];
    readonly within: readonly Standing[];
    readonly favourite: string | undefined;
    readonly frozen: readonly string[] | undefined;
  },
  { options, route, answerClass, random }: ArrangeContext,
): readonly Standing[] {
  const asked = of.standings.filter(({ hindrance }) => hindrance === undefined);
  if (of.frozen !== undefined) return lastResortsLast(inOrder(asked, undefined, asFrozen(of.frozen)));
  const strategy = options.strategy[route];
  const first = firstOf(of.within, { strategy, answerClass, favourite: of.favourite, random });
  return lastResortsLast(inOrder(asked, first, avoidedLast(byHealth(strategy, answerClass))));
}

/** Who may be first: a last resort only where there is nobody else, however ill the others are. */
function beforeLastResorts(standings: readonly Standing[]): readonly Standing[] {
  const others = standings.filter((standing) => !isLastResort(standing));
  return others.some(({ hindrance }) => hindrance !== 'taken_out') ? others : standings;
}

function lastResortsLast(asked: readonly Standing[]): readonly Standing[] {
  return [...asked.filter((standing) => !isLastResort(standing)), ...asked.filter(isLastResort)];
}

function isLastResort({ candidate }: Standing): boolean {
  return candidate.isLastResort === true;
}

/** As of the first request of the freeze, for a module that nobody failed on; those not asked then come last. */
function orderAtFreeze({ favourite }: RouteState, context: ArrangeContext): readonly string[] {
  const { upstreams, controls } = context;
  const standings = standingsOf(upstreams, {
    ...context,
    controls: { ...controls, isFrozen: false },
    answerClass: 'meta',
    modulePath: undefined,
  });
  const reached = standings.slice(0, reachOf(upstreams) + 1);
  const asked = orderOf(
    { standings, within: beforeLastResorts(reached), favourite: favourite.name, frozen: undefined },
    { ...context, answerClass: 'meta', random: undefined },
  );
  const names = [...asked, ...reserveOf(reached), ...standings].map(
    ({ candidate }) => candidate.upstream.name,
  );
  return [...new Set(names)];
}
