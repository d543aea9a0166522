import { describe, expect, it } from 'vitest';
import { PlannerBench as Bench, benchOf, fakeCandidate, type PlannerBench } from './test-planner.ts';

const heldMs = 120_000;

function lastSwitch(bench: PlannerBench): string {
  const { from, to, cause } = bench.switches.at(-1) ?? {};
  return `${from} → ${to}: ${cause}`;
}

describe('favourite', () => {
  it('is told once, and again only when it changes', () => {
    const bench = benchOf('a', 'b');
    expect(bench.planner.favourite('public')).toBeUndefined();
    bench.plan();
    bench.plan();

    expect(bench.planner.favourite('public')).toBe('a');
    expect(bench.switches).toEqual([
      { route: 'public', from: undefined, to: 'a', cause: 'the first choice' },
    ]);
  });

  it('is each route’s own', () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    bench.plan({ route: 'private', upstreams: bench.candidates.slice(1) });

    expect([bench.planner.favourite('public'), bench.planner.favourite('private')]).toEqual(['a', 'b']);
  });

  for (const [what, ill, cause] of [
    [
      'suspect',
      { state: 'suspect', lastError: { code: 'reset', message: '', atMs: 0 } },
      'a: suspect: reset',
    ],
    ['out', { state: 'out' }, 'a: out'],
    ['resting', { restUntilMs: 2_000 }, 'a: asked for a pause, 2 s left'],
    ['behind an open breaker', { breaker: 'open' }, 'a: its breaker is open'],
    ['half-open', { breaker: 'half_open', hasTrialPlace: true }, 'a: its breaker is half-open'],
  ] as const) {
    it(`is left at once when it is ${what}, and returned to only after the hold`, async () => {
      const bench = benchOf('a', 'b');
      bench.plan();
      const { state, breaker, restUntilMs } = bench.health('a');

      Object.assign(bench.health('a'), ill);
      bench.plan();
      expect(lastSwitch(bench)).toBe(`a → b: ${cause}`);

      Object.assign(bench.health('a'), { state, breaker, restUntilMs });
      await bench.clock.advance(heldMs - 1);
      expect(bench.order()).toBe('b a');
      await bench.clock.advance(1);
      expect(bench.order()).toBe('a b');
      expect(lastSwitch(bench)).toBe('b → a: a is well and preferred to b');
      expect(bench.switches.length).toBe(3);
    });
  }

  it('is left at once again, however short ago the last change was', () => {
    const bench = benchOf('a', 'b', 'c');
    bench.plan();
    bench.health('a').state = 'suspect';
    bench.plan();
    bench.health('b').state = 'suspect';
    bench.plan();

    expect(bench.planner.favourite('public')).toBe('c');
  });

  it('stays when all are suspect, and when all are out', () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    bench.health('a').state = 'suspect';
    bench.plan();
    bench.health('b').state = 'suspect';
    expect(bench.order()).toBe('b a');
    for (const name of ['a', 'b']) bench.health(name).state = 'out';
    bench.plan();

    expect(bench.planner.favourite('public')).toBe('b');
    expect(bench.switches.length).toBe(2);
  });

  it('becomes a recovering one only while none is healthy', async () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    bench.health('a').state = 'suspect';
    bench.plan();
    Object.assign(bench.health('a'), { state: 'recovering', share: 0.1 });
    await bench.clock.advance(heldMs);
    bench.plan();
    expect(bench.planner.favourite('public')).toBe('b');

    bench.health('b').state = 'suspect';
    bench.plan();
    expect(bench.planner.favourite('public')).toBe('a');
  });

  it('is asked first while slow until a change by choice is due again', async () => {
    const bench = benchOf('a', 'b', 'c');
    bench.plan();
    bench.health('a').state = 'suspect';
    bench.plan();
    bench.health('a').state = 'healthy';
    bench.health('b').state = 'slow';
    expect(bench.order()).toBe('b a c');
    await bench.clock.advance(heldMs);
    expect(bench.order()).toBe('a c b');
    expect(lastSwitch(bench)).toBe('b → a: b is slow');
  });

  it('is left for being slow without delay when nothing was switched before', () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    bench.health('a').state = 'slow';

    expect(bench.order()).toBe('b a');
  });

  it('returns to a lower level by itself', async () => {
    const bench = new Bench([fakeCandidate('root', { level: 2 }), fakeCandidate('edge')]);
    bench.plan();
    bench.health('edge').state = 'out';
    bench.plan();
    expect(bench.planner.favourite('public')).toBe('root');
    bench.health('edge').state = 'healthy';
    await bench.clock.advance(heldMs);
    bench.plan();

    expect(lastSwitch(bench)).toBe('root → edge: edge of level 1 is well again');
  });

  it('changes at once when a reload takes it off the list', () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    bench.plan({ upstreams: bench.candidates.slice(1) });

    expect(lastSwitch(bench)).toBe('a → b: a may no longer be asked first');
  });
});

describe('favourite under fastest', () => {
  function racing() {
    const bench = benchOf('a', 'b', 'c');
    bench.useStrategy('fastest');
    for (const name of ['a', 'b', 'c']) bench.health(name).costs = { meta: 100 };
    bench.plan();
    return bench;
  }

  it('changes when another is cheaper by a quarter for 10 s', async () => {
    const bench = racing();
    bench.health('c').costs = { meta: 74 };
    bench.plan();
    await bench.clock.advance(9_999);
    bench.plan();
    expect(bench.planner.favourite('public')).toBe('a');
    await bench.clock.advance(1);

    expect(bench.order()).toBe('c a b');
    expect(lastSwitch(bench)).toBe('a → c: c is cheaper by 26 %');
  });

  it('stays when the other is not cheaper by enough, and asks the rest by cost', async () => {
    const bench = racing();
    bench.health('c').costs = { meta: 76 };
    bench.plan();
    await bench.clock.advance(60_000);

    expect(bench.order()).toBe('a c b');
  });

  it('counts the 10 s anew after a break', async () => {
    const bench = racing();
    for (const cost of [50, 100, 50]) {
      bench.health('b').costs = { meta: cost };
      bench.plan();
      await bench.clock.advance(6_000);
    }
    bench.plan();

    expect(bench.planner.favourite('public')).toBe('a');
  });

  it('is not kept by two others that take turns at being cheapest', async () => {
    const bench = racing();
    for (let turn = 0; turn < 12; turn += 1) {
      bench.health('b').costs = { meta: turn % 2 === 0 ? 40 : 50 };
      bench.health('c').costs = { meta: turn % 2 === 0 ? 50 : 40 };
      bench.plan();
      await bench.clock.advance(1_000);
    }

    expect(bench.planner.favourite('public')).not.toBe('a');
  });

  it('waits for the hold after the last switch', async () => {
    const bench = racing();
    bench.health('a').state = 'suspect';
    bench.plan();
    bench.health('a').state = 'healthy';
    bench.health('a').costs = { meta: 10 };
    bench.plan();
    await bench.clock.advance(60_000);
    bench.plan();
    expect(bench.planner.favourite('public')).toBe('b');
    await bench.clock.advance(60_000);
    bench.plan();

    expect(bench.planner.favourite('public')).toBe('a');
  });
});

describe('orders of operators', () => {
  it('asks a pinned one first whatever its health, and tells of it', async () => {
    const bench = benchOf('a', 'b', 'c');
    bench.plan();
    Object.assign(bench.health('c'), { state: 'out', restUntilMs: 60_000 });
    bench.controls = { ...bench.controls, pinned: 'c' };

    expect(bench.order()).toBe('c a b');
    expect(lastSwitch(bench)).toBe('a → c: pinned by an operator');
    bench.controls = { ...bench.controls, pinned: undefined };
    expect(bench.order()).toBe('a b');
  });

  it('never asks one that is taken out, not even when all others are out', () => {
    const bench = benchOf('a', 'b');
    bench.plan();
    Object.assign(bench.health('a'), { state: 'out', hasTrialPlace: true });
    Object.assign(bench.health('b'), { state: 'out', hasTrialPlace: true });
    bench.controls = { ...bench.controls, takenOut: ['a'], pinned: 'a' };

    expect(bench.order()).toBe('| b');
    expect(bench.planner.favourite('public')).toBeUndefined();
    expect(lastSwitch(bench)).toBe('a → undefined: a: taken out by an operator');
  });

  it('asks nobody offline, until the mode ends by itself', async () => {
    const bench = benchOf('a', 'b');
    bench.controls = { ...bench.controls, mode: 'offline', modeUntilMs: bench.clock.now() + 1_000 };

    const plan = bench.plan();

    expect([...plan.upstreams, ...plan.reserve]).toEqual([]);
    expect(plan.skipped.map(({ source, message }) => `${source}: ${message}`)).toEqual([
      'a: offline mode',
      'b: offline mode',
    ]);
    await bench.clock.advance(1_000);
    expect(bench.order()).toBe('a b');
  });

  it('keeps the order while frozen, whatever the health, and moves on after', () => {
    const bench = benchOf('a', 'b', 'c');
    bench.plan();
    bench.health('b').state = 'suspect';
    bench.controls = { ...bench.controls, isFrozen: true };
    expect(bench.order()).toBe('a c b');

    bench.health('b').state = 'healthy';
    bench.health('a').state = 'out';
    bench.health('c').restUntilMs = 60_000;
    expect(bench.order()).toBe('a c b');
    expect(bench.switches.length).toBe(1);

    bench.controls = { ...bench.controls, isFrozen: false };
    expect(bench.order()).toBe('b');
  });

  it('leaves a taken-out one out while frozen, and puts it back in its old place', () => {
    const bench = benchOf('a', 'b', 'c');
    bench.controls = { ...bench.controls, isFrozen: true };
    expect(bench.order()).toBe('a b c');
    bench.controls = { ...bench.controls, takenOut: ['a'] };
    expect(bench.order()).toBe('b c');
    expect(bench.planner.favourite('public')).toBe('b');
    bench.controls = { ...bench.controls, takenOut: [] };
    expect(bench.order()).toBe('a b c');
  });
});
