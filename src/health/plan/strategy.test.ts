import { describe, expect, it } from 'vitest';
import { benchOf, fakeCandidate, PlannerBench } from './test-planner.ts';

describe('strategy weighted', () => {
  function canary(weight: number) {
    const bench = new PlannerBench([fakeCandidate('old', { weight: 90 }), fakeCandidate('new', { weight })]);
    bench.useStrategy('weighted');
    return bench;
  }

  it('draws the first by weight and asks the rest as listed', () => {
    const bench = canary(10);

    bench.draw = 0.89;
    expect(bench.order()).toBe('old new');
    bench.draw = 0.91;
    expect(bench.order()).toBe('new old');
    expect(bench.draws).toBe(2);
  });

  it('multiplies the weight of a recovering one by its share', () => {
    const bench = canary(90);
    Object.assign(bench.health('new'), { state: 'recovering', share: 0.1 });

    bench.draw = 90 / 99 - 0.01;
    expect(bench.order()).toBe('old new');
    bench.draw = 90 / 99 + 0.01;
    expect(bench.order()).toBe('new old');
  });

  it('asks weight 0 first only when nothing else is there', () => {
    const bench = canary(0);

    bench.draw = 0.9999;
    expect(bench.order()).toBe('old new');
    bench.health('old').state = 'slow';
    expect(bench.order()).toBe('old new');
    bench.health('old').state = 'suspect';
    expect(bench.order()).toBe('new old');
  });

  it('draws only from the lowest level that is well', () => {
    const bench = new PlannerBench([fakeCandidate('a', { weight: 1 }), fakeCandidate('b', { level: 2 })]);
    bench.useStrategy('weighted');
    bench.draw = 0.999;

    expect(bench.order()).toBe('a b');
  });

  it('does not tell of a switch at each draw', () => {
    const bench = canary(90);
    for (const draw of [0, 0.9, 0, 0.9]) {
      bench.draw = draw;
      bench.order();
    }

    expect(bench.switches).toEqual([
      { route: 'public', from: undefined, to: 'old', cause: 'the first choice' },
    ]);
  });
});

describe('strategy fastest', () => {
  it('orders by cost of the class asked for, unknown ones last', () => {
    const bench = benchOf('a', 'b', 'c', 'd');
    bench.useStrategy('fastest');
    bench.health('b').costs = { meta: 10, zip: 90 };
    bench.health('c').costs = { meta: 20, zip: 80 };
    bench.health('d').costs = { meta: 30, zip: 70 };

    expect(bench.order()).toBe('b c d a');
    expect(bench.order({ answerClass: 'zip' })).toBe('b d c a');
  });
});
