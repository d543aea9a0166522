import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { healthDefaults } from '../test-options.ts';
import type { BreakerState, HealthState, Strategy } from '../types.ts';
import { type FakeCandidate, fakeCandidate, modulePath, PlannerBench } from './test-planner.ts';

interface Fate {
  readonly state: HealthState;
  readonly breaker: BreakerState;
  readonly share: number;
  readonly hasTrialPlace: boolean;
  readonly avoids: boolean;
  readonly restsForMs: number;
  readonly cost: number | undefined;
  readonly lastFailureAtMs: number | undefined;
}

const fate: fc.Arbitrary<Fate> = fc.record({
  state: fc.constantFrom<HealthState>('healthy', 'healthy', 'slow', 'recovering', 'suspect', 'out'),
  breaker: fc.constantFrom<BreakerState>('closed', 'closed', 'closed', 'open', 'half_open'),
  share: fc.double({ min: 0.1, max: 1, noNaN: true }),
  hasTrialPlace: fc.boolean(),
  avoids: fc.boolean(),
  restsForMs: fc.constantFrom(0, 0, 0, 5_000),
  cost: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
  lastFailureAtMs: fc.option(fc.integer({ min: 0, max: 1_000 }), { nil: undefined }),
});

const strategies = fc.constantFrom<Strategy>('priority', 'fastest', 'weighted');

interface Listed {
  readonly level: number;
  readonly weight: number;
  readonly stopsOnError: boolean;
}

const listed: fc.Arbitrary<Listed> = fc.record({
  level: fc.integer({ min: 1, max: 3 }),
  weight: fc.constantFrom(0, 1, 100),
  stopsOnError: fc.constantFrom(false, false, false, true),
});

function benchFor(list: readonly Listed[], strategy: Strategy): PlannerBench {
  const bench = new PlannerBench(list.map((more, at) => fakeCandidate(`u${at}`, more)));
  bench.useStrategy(strategy);
  return bench;
}

function befall({ health }: FakeCandidate, what: Fate, nowMs: number): void {
  const { restsForMs, cost, ...rest } = what;
  Object.assign(health, rest, {
    restUntilMs: restsForMs === 0 ? undefined : nowMs + restsForMs,
    costs: cost === undefined ? {} : { meta: cost, zip: cost },
  });
}

const step = fc.record({
  waitMs: fc.constantFrom(0, 100, 1_000, 5_000, 11_000, 60_000, 130_000),
  fates: fc.array(fate, { minLength: 5, maxLength: 5 }),
  draw: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
  takenOut: fc.subarray(['u0', 'u1', 'u2', 'u3', 'u4'], { maxLength: 2 }),
  pinned: fc.constantFrom(undefined, undefined, undefined, 'u1', 'u3'),
  isFrozen: fc.constantFrom(false, false, false, true),
  route: fc.constantFrom('public' as const, 'private' as const),
});

describe('any plan', () => {
  it('holds each upstream once, none taken out, and keeps to Go’s comma rule', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(listed, { minLength: 1, maxLength: 5 }),
        strategies,
        fc.array(step, { minLength: 1, maxLength: 6 }),
        async (list, strategy, steps) => {
          const bench = benchFor(list, strategy);
          for (const { waitMs, fates, draw, route, ...orders } of steps) {
            await bench.clock.advance(waitMs);
            bench.candidates.forEach((candidate, at) => {
              const what = fates[at];
              if (what !== undefined) befall(candidate, what, bench.clock.monotonic());
            });
            bench.draw = draw;
            bench.controls = { ...bench.controls, ...orders };
            const foretold = bench.planner.explain(bench.request({ route, modulePath }));
            const before = bench.draws;

            const plan = bench.plan({ route, modulePath });

            expect(bench.draws - before).toBeLessThanOrEqual(1);
            const asked = [...plan.upstreams, ...plan.reserve].map(({ name }) => name);
            const skipped = plan.skipped.map(({ source }) => source);
            const all = bench.candidates.map(({ upstream }) => upstream.name);
            expect([...asked, ...skipped].sort()).toEqual(all);
            expect(foretold.map(({ name }) => name).sort()).toEqual(all);
            for (const { name, place } of foretold) expect(place !== undefined).toBe(asked.includes(name));
            for (const name of orders.takenOut) expect(asked).not.toContain(name);
            for (const [at, { stopsOnError }] of list.entries()) {
              if (!stopsOnError) continue;
              const place = plan.upstreams.findIndex(({ name }) => name === `u${at}`);
              const behind = all.slice(at + 1);
              const early =
                place < 0
                  ? asked
                  : [...plan.upstreams.slice(0, place), ...plan.reserve].map((one) => one.name);
              for (const name of behind) expect(early).not.toContain(name);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('has a reserve when all are out and a trial place is free', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }), strategies, (places, strategy) => {
        const bench = benchFor(
          places.map(() => ({ level: 1, weight: 100, stopsOnError: false })),
          strategy,
        );
        places.forEach((hasTrialPlace, at) => {
          Object.assign(bench.health(`u${at}`), { state: 'out', hasTrialPlace });
        });

        const plan = bench.plan();

        expect(plan.upstreams).toEqual([]);
        expect(plan.reserve.length).toBe(places.filter(Boolean).length);
        expect(plan.reserve.length + plan.skipped.length).toBe(places.length);
      }),
    );
  });
});

describe('any sequence of states', () => {
  it('changes the favourite by choice at most once per hold, and only ever to one that is usable', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(listed, { minLength: 2, maxLength: 5 }),
        strategies,
        fc.array(step, { minLength: 5, maxLength: 40 }),
        async (list, strategy, steps) => {
          const bench = benchFor(list, strategy);
          let lastAtMs = Number.NEGATIVE_INFINITY;
          for (const { waitMs, fates, draw } of steps) {
            await bench.clock.advance(waitMs);
            const nowMs = bench.clock.monotonic();
            bench.candidates.forEach((candidate, at) => {
              const what = fates[at];
              if (what !== undefined) befall(candidate, what, nowMs);
            });
            bench.draw = draw;
            const before = bench.planner.favourite('public');
            const told = bench.switches.length;

            bench.plan();

            const after = bench.planner.favourite('public');
            const news = bench.switches.slice(told);
            expect(news.map(({ from, to }) => [from, to])).toEqual(before === after ? [] : [[before, after]]);
            if (before === after || after === undefined) continue;
            const { state, breaker, restUntilMs, hasTrialPlace } = bench.health(after);
            expect(state).not.toBe('out');
            expect(breaker === 'closed' || (breaker === 'half_open' && hasTrialPlace)).toBe(true);
            expect(restUntilMs).toBeUndefined();
            if (before === undefined) continue;
            const left = bench.health(before);
            const wasIll =
              left.state === 'suspect' ||
              left.state === 'out' ||
              left.breaker !== 'closed' ||
              left.restUntilMs !== undefined;
            if (!wasIll) expect(nowMs - lastAtMs).toBeGreaterThanOrEqual(healthDefaults.switchBackAfterMs);
            lastAtMs = nowMs;
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('switches at most once a minute in the long run when one flaps every 2 s', async () => {
    const bench = benchFor(
      [0, 1, 2].map(() => ({ level: 1, weight: 100, stopsOnError: false })),
      'priority',
    );
    const minutes = 20;
    for (let second = 0; second < minutes * 60; second += 1) {
      bench.health('u0').state = second % 4 < 2 ? 'healthy' : 'suspect';
      bench.plan();
      await bench.clock.advance(1_000);
    }

    // Two for each hold of two minutes: there and back.
    expect(bench.switches.length).toBeGreaterThan(4);
    expect(bench.switches.length).toBeLessThanOrEqual(minutes + 2);
  });
});

describe('extra questions', () => {
  it('stay within share and floor, hedges and repeats each by its own', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ waitMs: fc.integer({ min: 0, max: 2_000 }), plans: fc.integer({ min: 0, max: 60 }) }),
          { minLength: 1, maxLength: 30 },
        ),
        async (steps) => {
          const bench = benchFor(
            [0, 1].map(() => ({ level: 1, weight: 100, stopsOnError: false })),
            'priority',
          );
          const hedges: number[] = [];
          const repeats: number[] = [];
          const plans: number[] = [];
          bench.events.on('hedge', () => hedges.push(bench.clock.monotonic()));
          bench.events.on('repeat', () => repeats.push(bench.clock.monotonic()));
          for (const { waitMs, plans: count } of steps) {
            await bench.clock.advance(waitMs);
            const nowMs = bench.clock.monotonic();
            for (let nth = 0; nth < count; nth += 1) {
              const plan = bench.plan();
              plans.push(nowMs);
              plan.takeHedge();
              plan.takeRepeat(bench.upstream('u0'), 1, {
                code: 'reset',
                status: undefined,
                retryAfterMs: undefined,
              });
            }
            const planned = plans.filter((atMs) => atMs > nowMs - 19_900).length;
            const recent = (times: readonly number[]) => times.filter((atMs) => atMs > nowMs - 9_900).length;
            expect(recent(hedges)).toBeLessThanOrEqual(0.05 * planned + 11 * 3);
            expect(recent(repeats)).toBeLessThanOrEqual(0.2 * planned + 11 * 3);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('weighted', () => {
  it('asks each first as often as its weight and share say', () => {
    const bench = new PlannerBench([
      fakeCandidate('old', { weight: 90 }),
      fakeCandidate('new', { weight: 10 }),
      fakeCandidate('back', { weight: 100 }),
    ]);
    bench.useStrategy('weighted');
    Object.assign(bench.health('back'), { state: 'recovering', share: 0.5 });
    const counts: Record<string, number> = {};
    for (let nth = 0; nth < 3_000; nth += 1) {
      bench.draw = (nth + 0.5) / 3_000;
      const first = bench.plan().upstreams[0]?.name ?? '';
      counts[first] = (counts[first] ?? 0) + 1;
    }

    expect(counts['old']).toBeCloseTo(1_800, -1);
    expect(counts['new']).toBeCloseTo(200, -1);
    expect(counts['back']).toBeCloseTo(1_000, -1);
  });
});
