/**
 * From the records of all upstreams to the plan of each request. It runs for every miss, so it looks at each upstream
 * a few times and keeps nothing but the favourite of each route, the order at a freeze and two budgets.
 */
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventBus } from '../../lib/event-bus.ts';
import type { Plan } from '../../upstream/plan.ts';
import type { AnswerClass, SourceOutcome, Upstream } from '../../upstream/types.ts';
import { activeControls } from '../controls-state.ts';
import type { Controls, HealthEvents, HealthOptions, RouteKind } from '../types.ts';
import { type Arrangement, arrange, newRoute, type RouteState } from './arrange.ts';
import { Budget, SlidingCount } from './budget.ts';
import { type Explained, explained } from './explained.ts';
import { hindranceText } from './reasons.ts';
import { type PlanTools, RoutePlan } from './route-plan.ts';
import { type Candidate, hindranceOf } from './standing.ts';
import { withTrial } from './trial.ts';

/** A few repeats a second are always allowed, so that a quiet server repeats too. */
const repeatFloorPerSecond = 3;

export interface PlannerDeps {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly events: EventBus<HealthEvents>;
  /** Asked at each plan, so that a reload holds from the next request on. */
  options(): HealthOptions;
  controls(): Controls;
}

export interface PlanRequest {
  readonly route: RouteKind;
  /** Each has a favourite of its own. Default: its kind. */
  readonly routeName?: string | undefined;
  /** How long the last one left may be silent, where it is not as usual. Milliseconds. */
  readonly lastHopeMs?: number | undefined;
  /** Of this route, in the order of the configuration. Names are unique. */
  readonly upstreams: readonly Candidate[];
  readonly answerClass: AnswerClass;
  readonly modulePath?: ModulePath | undefined;
  /** Look-ahead and the like: never hedged. Default false. */
  readonly isBackground?: boolean | undefined;
}

function nameOf({ route, routeName }: PlanRequest): string {
  return routeName ?? route;
}

export class Planner {
  readonly #deps: PlannerDeps;
  readonly #requests: SlidingCount;
  readonly #tools: PlanTools;
  /** Requests under way. */
  readonly #lostListeners = new Set<(upstreamName: string) => void>();
  /** By name. */
  readonly #routes = new Map<string, RouteState>();

  constructor(deps: PlannerDeps) {
    const { clock, random, events } = deps;
    this.#deps = deps;
    events.on('state', ({ upstream, to }) => {
      if (to === 'suspect' || to === 'out') this.#tellLost(upstream);
    });
    const requests = new SlidingCount(clock);
    this.#requests = requests;
    this.#tools = {
      random,
      hedges: new Budget({
        clock,
        requests,
        limits: () => {
          const { budgetRatio, floorPerSecond } = deps.options().hedge;
          return { ratio: budgetRatio, floorPerSecond };
        },
        onSpent: () => events.emit('budgetSpent', { what: 'hedge' }),
      }),
      repeats: new Budget({
        clock,
        requests,
        limits: () => ({
          ratio: deps.options().retry.budgetRatio,
          floorPerSecond: repeatFloorPerSecond,
        }),
        onSpent: () => events.emit('budgetSpent', { what: 'repeat' }),
      }),
      onHedge: (upstream) => events.emit('hedge', { upstream }),
      onRepeat: (upstream, nth) => events.emit('repeat', { upstream, nth }),
      onLost: (listener) => {
        this.#lostListeners.add(listener);
        return () => this.#lostListeners.delete(listener);
      },
    };
  }

  #tellLost(upstream: string): void {
    // A listener may begin another request: those are told nothing old.
    for (const listener of Array.from(this.#lostListeners)) listener(upstream);
  }

  /** Counts one request for the budgets and may change the favourite of the route (event `switched`). */
  plan(request: PlanRequest): Plan {
    const { answerClass, isBackground = false, lastHopeMs } = request;
    const general = this.#deps.options();
    const options = lastHopeMs === undefined ? general : { ...general, lastHopeMs };
    const controls = this.#controls();
    this.#requests.add();
    const common = { answerClass, isBackground, options };
    if (controls.mode === 'offline') {
      const skipped = request.upstreams.map(({ upstream }) => skip(upstream, 'offline mode'));
      return new RoutePlan({ ...common, asked: [], reserve: [], skipped }, this.#tools);
    }
    const { random, events } = this.#deps;
    const arranged = withTrial(this.#arrange(request, controls, random), request, controls);
    const route = nameOf(request);
    this.#routes.set(route, arranged.state);
    if (arranged.change !== undefined) events.emit('switched', { route, ...arranged.change });
    return new RoutePlan({ ...common, ...arranged, skipped: this.#skipped(arranged) }, this.#tools);
  }

  /** Forgets routes that are no more. */
  keepRoutes(names: ReadonlySet<string>): void {
    for (const name of this.#routes.keys()) if (!names.has(name)) this.#routes.delete(name);
  }

  /** Name of the upstream that requests of this route ask first; undefined before the first request. */
  favourite(route: string): string | undefined {
    return this.#routes.get(route)?.favourite.name;
  }

  /**
   * True when nothing is usable now: each one is out, rests, has an open breaker, was taken out or stands behind such
   * a one that keeps Go's `,` rule; or the mode is offline. Then what is stored is served without waiting for them. A
   * pin or a freeze makes nobody well.
   */
  unavailableFor(candidates: readonly Candidate[]): boolean {
    const controls = this.#controls();
    if (controls.mode === 'offline') return true;
    const nowMs = this.#deps.clock.monotonic();
    for (const { upstream, health } of candidates) {
      if (hindranceOf(health, controls.takenOut.includes(upstream.name), nowMs) === undefined) return false;
      if (upstream.stopsOnError) return true;
    }
    return true;
  }

  /** Who would be asked now, in which order and why. No draw, no budget, no event: nothing changes by asking. */
  explain(request: PlanRequest): Explained[] {
    const controls = this.#controls();
    if (controls.mode === 'offline') {
      return request.upstreams.map(({ upstream }) => ({
        name: upstream.name,
        place: undefined,
        why: 'offline mode',
      }));
    }
    const { strategy } = this.#deps.options();
    return explained(this.#arrange(request, controls, undefined), {
      strategy: strategy[request.route],
      nowMs: this.#deps.clock.monotonic(),
    });
  }

  #controls(): Controls {
    return activeControls(this.#deps.controls(), this.#deps.clock.now());
  }

  #arrange(request: PlanRequest, controls: Controls, random: (() => number) | undefined): Arrangement {
    const { clock } = this.#deps;
    return arrange(this.#routes.get(nameOf(request)) ?? newRoute, {
      ...request,
      controls,
      options: this.#deps.options(),
      random,
      nowMs: clock.monotonic(),
    });
  }

  #skipped({ standings, reserve }: Arrangement): SourceOutcome[] {
    const nowMs = this.#deps.clock.monotonic();
    return standings
      .filter((standing) => standing.hindrance !== undefined && !reserve.includes(standing))
      .map((standing) => {
        const line = skip(standing.candidate.upstream, hindranceText(standing, nowMs));
        // Those that are out are excused; one that asked for a pause is well, and may know.
        const mayKnow = standing.hindrance === 'resting' || standing.hindrance === 'behind';
        return mayKnow ? { ...line, mayKnow } : line;
      });
  }
}

function skip({ name, stopsOnError }: Upstream, message: string): SourceOutcome {
  const line = { source: name, code: 'skipped', message, tookMs: 0 } as const;
  return stopsOnError ? { ...line, isStrict: true } : line;
}
