/** Upstreams whose health a test writes down, and a planner over them. */
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ModulePath } from '../../gomod/types.ts';
import { EventBus } from '../../lib/event-bus.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { AnswerClass, Upstream, UpstreamAnswer } from '../../upstream/types.ts';
import { healthDefaults } from '../test-options.ts';
import {
  type BreakerState,
  type Controls,
  type HealthEvents,
  type HealthOptions,
  type HealthState,
  type LastError,
  noControls,
  type UpstreamHealth,
} from '../types.ts';
import { Planner, type PlanRequest } from './planner.ts';
import type { Candidate } from './standing.ts';

export const modulePath = parseModulePath('example.com/m');

export class FakeHealth implements UpstreamHealth {
  readonly name: string;
  state: HealthState = 'healthy';
  breaker: BreakerState = 'closed';
  breakerUntilMs: number | undefined;
  restUntilMs: number | undefined;
  share = 1;
  hasTrialPlace = false;
  lastFailureAtMs: number | undefined;
  lastError: LastError | undefined;
  costs: Partial<Record<AnswerClass, number>> = {};
  /** By quantile: the same for both classes. */
  quantilesMs: Readonly<Record<number, number>> = {};
  sampleCount = 0;
  avoids = false;
  isAvoidedForZips = false;
  isDoubted = false;

  constructor(name: string) {
    this.name = name;
  }

  cost(answerClass: AnswerClass): number | undefined {
    return this.costs[answerClass];
  }

  quantileMs(_answerClass: AnswerClass, q: number): number | undefined {
    return this.quantilesMs[q];
  }

  samples(): number {
    return this.sampleCount;
  }

  isAvoided(path: ModulePath): boolean {
    return this.avoids && path === modulePath;
  }
}

/** `more.stopsOnError`: keeps Go's `,` rule. */
export function fakeUpstream(
  name: string,
  more: Partial<Pick<Upstream, 'stopsOnError' | 'firstByteMs'>> = {},
): Upstream {
  return {
    name,
    isPrivate: false,
    stopsOnError: false,
    ...more,
    fetch: (): Promise<UpstreamAnswer> => Promise.reject(new Error('a plan asks nobody')),
    close: () => Promise.resolve(),
  };
}

export type FakeCandidate = Candidate & { readonly health: FakeHealth };

export function fakeCandidate(
  name: string,
  more: Partial<Omit<Candidate, 'upstream' | 'health'>> & { stopsOnError?: boolean } = {},
): FakeCandidate {
  const { stopsOnError = false, ...rest } = more;
  return {
    upstream: fakeUpstream(name, { stopsOnError }),
    health: new FakeHealth(name),
    level: 1,
    weight: 100,
    ...rest,
  };
}

/** A planner whose options, orders and dice a test may change between plans. */
export class PlannerBench {
  readonly clock = new FakeClock();
  readonly events = new EventBus<HealthEvents>();
  readonly switches: HealthEvents['switched'][] = [];
  readonly candidates: readonly FakeCandidate[];
  readonly planner: Planner;
  options: HealthOptions = healthDefaults;
  controls: Controls = noControls;
  /** What the dice show next; how often they were thrown. */
  draw = 0.5;
  draws = 0;

  constructor(candidates: readonly FakeCandidate[]) {
    this.candidates = candidates;
    this.events.on('switched', (event) => this.switches.push(event));
    this.planner = new Planner({
      clock: this.clock,
      random: () => {
        this.draws += 1;
        return this.draw;
      },
      events: this.events,
      options: () => this.options,
      controls: () => this.controls,
    });
  }

  request(more: Partial<PlanRequest> = {}): PlanRequest {
    return { route: 'public', upstreams: this.candidates, answerClass: 'meta', ...more };
  }

  plan(more: Partial<PlanRequest> = {}) {
    return this.planner.plan(this.request(more));
  }

  /** Names in the order they would be asked, the reserve behind a bar: `a b | c`. */
  order(more: Partial<PlanRequest> = {}): string {
    const { upstreams, reserve } = this.plan(more);
    const names = upstreams.map(({ name }) => name);
    return (reserve.length === 0 ? names : [...names, '|', ...reserve.map(({ name }) => name)]).join(' ');
  }

  health(name: string): FakeHealth {
    return this.#candidate(name).health;
  }

  upstream(name: string): Upstream {
    return this.#candidate(name).upstream;
  }

  useStrategy(strategy: HealthOptions['strategy']['public']): void {
    this.options = { ...this.options, strategy: { public: strategy, private: strategy } };
  }

  #candidate(name: string): FakeCandidate {
    const found = this.candidates.find(({ upstream }) => upstream.name === name);
    if (found === undefined) throw new Error(`no candidate ${name}`);
    return found;
  }
}

export function benchOf(...names: string[]): PlannerBench {
  return new PlannerBench(names.map((name) => fakeCandidate(name)));
}
