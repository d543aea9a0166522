import { describe, expect, it } from 'vitest';
import { fakeCandidate, modulePath, PlannerBench } from './test-planner.ts';

describe('explain', () => {
  it('tells place and reason of each, and changes nothing', () => {
    const bench = new PlannerBench([
      fakeCandidate('recovering'),
      fakeCandidate('well'),
      fakeCandidate('parent', { level: 2 }),
      fakeCandidate('avoided'),
      fakeCandidate('out'),
      fakeCandidate('resting'),
    ]);
    Object.assign(bench.health('recovering'), { state: 'recovering', share: 0.4 });
    bench.health('avoided').avoids = true;
    Object.assign(bench.health('out'), {
      state: 'out',
      hasTrialPlace: true,
      lastError: { code: 'dns', message: '', atMs: 0 },
    });
    bench.health('resting').restUntilMs = 3_000;

    const told = bench.planner.explain(bench.request({ modulePath }));

    expect(told).toEqual([
      { name: 'well', place: 1, why: 'the favourite, healthy' },
      { name: 'parent', place: 2, why: 'healthy, level 2' },
      { name: 'recovering', place: 3, why: 'recovering, in its slow start, share 40 %' },
      {
        name: 'avoided',
        place: 4,
        why: 'healthy, asked last: failed on this module, or on zips, a short while ago',
      },
      { name: 'out', place: 5, why: 'only when no other answers: out: dns' },
      { name: 'resting', place: undefined, why: 'asked for a pause, 3 s left' },
    ]);
    expect([bench.draws, bench.switches, bench.planner.favourite('public')]).toEqual([0, [], undefined]);
  });

  it('tells chances, costs, orders and the comma rule', () => {
    const bench = new PlannerBench([
      fakeCandidate('a', { weight: 30 }),
      fakeCandidate('b', { weight: 10 }),
      fakeCandidate('corp', { stopsOnError: true }),
    ]);
    bench.useStrategy('weighted');
    expect(bench.planner.explain(bench.request()).map(({ why }) => why)).toEqual([
      'the favourite, healthy, drawn first for 75 % of requests',
      'healthy, drawn first for 25 % of requests',
      'healthy, drawn first for 0 % of requests, an error of it ends the walk',
    ]);

    bench.useStrategy('fastest');
    bench.health('b').costs = { meta: 12.4 };
    bench.controls = { ...bench.controls, pinned: 'a' };
    expect(bench.planner.explain(bench.request()).map(({ name, why }) => `${name}: ${why}`)).toEqual([
      'a: pinned by an operator, healthy, cost not known yet',
      'b: healthy, cost 12 ms',
      'corp: healthy, cost not known yet, an error of it ends the walk',
    ]);

    bench.controls = { ...bench.controls, pinned: undefined, isFrozen: true, takenOut: ['b'] };
    expect(bench.planner.explain(bench.request()).map(({ why }) => why)).toEqual([
      'the favourite, order frozen by an operator, healthy',
      'order frozen by an operator, healthy, an error of it ends the walk',
      'taken out by an operator',
    ]);
    bench.controls = { ...bench.controls, mode: 'offline' };
    expect(bench.planner.explain(bench.request())[0]).toEqual({
      name: 'a',
      place: undefined,
      why: 'offline mode',
    });
  });
});
