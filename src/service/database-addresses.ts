/**
 * The own addresses of checksum databases, watched as upstreams are: one that is out or keeps failing is asked beside
 * whoever else can answer and holds nobody up. They are no upstreams: no probes, no orders, no place in the figures.
 */

import type { ModulePath } from '../gomod/types.ts';
import { Planner } from '../health/plan/planner.ts';
import { type Candidate } from '../health/plan/standing.ts';
import { UpstreamRecord } from '../health/record/upstream-record.ts';
import { WatchedUpstream } from '../health/record/watched-upstream.ts';
import { type Controls, type HealthEvents, type HealthOptions, noControls } from '../health/types.ts';
import type { Clock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { Plan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';

export interface DatabaseAddressesDeps {
  readonly clock: Clock;
  readonly random: () => number;
  /** States and breakers are told here. */
  readonly events: EventBus<HealthEvents>;
  options(): HealthOptions;
  controls(): Controls;
}

export class DatabaseAddresses {
  readonly #deps: DatabaseAddressesDeps;
  readonly #candidates = new WeakMap<Upstream, Candidate>();
  readonly #planner: Planner;

  constructor(deps: DatabaseAddressesDeps) {
    this.#deps = deps;
    this.#planner = new Planner({
      clock: deps.clock,
      random: deps.random,
      // Who is asked first among one is no news.
      events: new EventBus(),
      options: () => deps.options(),
      controls: () => ({ ...noControls, mode: deps.controls().mode }),
    });
  }

  plan(address: Upstream): Plan {
    return this.#planner.plan({
      route: 'public',
      upstreams: [this.#candidate(address)],
      answerClass: 'meta',
      // A hedge would be for somebody else beside it, and there is nobody in this plan.
      isBackground: true,
    });
  }

  #candidate(address: Upstream): Candidate {
    let candidate = this.#candidates.get(address);
    if (candidate === undefined) {
      candidate = this.#watch(address);
      this.#candidates.set(address, candidate);
    }
    return candidate;
  }

  #watch(inner: Upstream): Candidate {
    const { clock, random, events } = this.#deps;
    const health = new UpstreamRecord({
      name: inner.name,
      clock,
      random,
      events,
      options: () => this.#deps.options(),
      latencyBoundMs: () => undefined,
    });
    const upstream = new WatchedUpstream({
      inner,
      health,
      clock,
      events,
      isOffline: () => this.#deps.controls().mode === 'offline',
      isAskedAnyway: () => false,
    });
    // Without probes only real questions tell when it is well again.
    return { upstream: byQuestion(upstream), health, level: 1, weight: 100, isProbed: false };
  }
}

/**
 * An upstream is out when it has failed on two modules; here each question stands for one, since most of them, tiles
 * and heads, are about none.
 */
function byQuestion(upstream: WatchedUpstream): Upstream {
  return {
    name: upstream.name,
    isPrivate: upstream.isPrivate,
    stopsOnError: upstream.stopsOnError,
    firstByteMs: upstream.firstByteMs,
    fetch: (request) => upstream.fetch({ ...request, modulePath: request.target as ModulePath }),
    close: () => upstream.close(),
  };
}
