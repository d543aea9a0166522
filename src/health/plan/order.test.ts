import { describe, expect, it } from 'vitest';
import { benchOf, fakeCandidate, modulePath, PlannerBench } from './test-planner.ts';

describe('order by health', () => {
  it('asks healthy before recovering before slow before suspect, each as listed', () => {
    const bench = benchOf('a', 'b', 'c', 'd', 'e');
    bench.health('a').state = 'suspect';
    bench.health('b').state = 'slow';
    Object.assign(bench.health('c'), { state: 'recovering', share: 0.1 });
    bench.draw = 0.999;

    expect(bench.order()).toBe('d e c b a');
  });

  it('asks a healthy one of a higher level before a suspect one of a lower', () => {
    const bench = new PlannerBench([fakeCandidate('edge'), fakeCandidate('root', { level: 2 })]);

    expect(bench.order()).toBe('edge root');
    bench.health('edge').state = 'suspect';
    expect(bench.order()).toBe('root edge');
  });

  it('asks a level only after the one below, whatever the list says', () => {
    const bench = new PlannerBench([fakeCandidate('root', { level: 2 }), fakeCandidate('edge')]);

    expect(bench.order()).toBe('edge root');
  });

  it('asks one that failed on the module last for that module, but not for others', () => {
    const bench = benchOf('a', 'b', 'c');
    bench.health('a').avoids = true;

    expect(bench.order({ modulePath })).toBe('b c a');
    expect(bench.order()).toBe('a b c');
    expect(bench.switches.length).toBe(1);
  });

  it('counts a half-open breaker with a free trial place as suspect, and without as not to be asked', () => {
    const bench = benchOf('a', 'b');
    const a = bench.health('a');
    a.breaker = 'half_open';
    a.hasTrialPlace = true;

    expect(bench.order()).toBe('b a');
    a.hasTrialPlace = false;
    const plan = bench.plan();
    expect(plan.upstreams.map(({ name }) => name)).toEqual(['b']);
    expect(plan.skipped).toEqual([
      {
        source: 'a',
        code: 'skipped',
        message: 'its breaker is half-open and busy with another trial',
        tookMs: 0,
      },
    ]);
  });
});

describe('those not asked in order', () => {
  it('keeps those out with a trial place in reserve, the oldest failure first', () => {
    const bench = benchOf('a', 'b', 'c', 'd');
    for (const [name, failedAtMs] of [
      ['a', 300],
      ['b', 100],
      ['c', 200],
    ] as const) {
      Object.assign(bench.health(name), { state: 'out', hasTrialPlace: true, lastFailureAtMs: failedAtMs });
    }

    expect(bench.order()).toBe('d | b c a');
  });

  it('tells of each of the others why', async () => {
    const bench = benchOf('out', 'open', 'resting', 'taken');
    await bench.clock.advance(100_000);
    Object.assign(bench.health('out'), {
      state: 'out',
      lastFailureAtMs: 60_000,
      lastError: { code: 'timeout', message: 'no first byte', atMs: 0 },
    });
    Object.assign(bench.health('open'), { breaker: 'open', breakerUntilMs: 112_000 });
    bench.health('resting').restUntilMs = 120_000;
    bench.controls = { ...bench.controls, takenOut: ['taken'] };

    const plan = bench.plan();

    expect([...plan.upstreams, ...plan.reserve]).toEqual([]);
    expect(plan.skipped.map(({ source, message }) => `${source}: ${message}`)).toEqual([
      'out: out, failed 40 s ago: timeout',
      'open: its breaker is open for 12 s more',
      'resting: asked for a pause, 20 s left',
      'taken: taken out by an operator',
    ]);
  });

  it('asks one again when its rest is over', async () => {
    const bench = benchOf('a');
    bench.health('a').restUntilMs = 5_000;

    expect(bench.order()).toBe('');
    await bench.clock.advance(5_000);
    expect(bench.order()).toBe('a');
  });

  it('asks every source of a private route, those out last, and leaves only resting and taken out ones', () => {
    const bench = benchOf('out', 'open', 'resting', 'taken', 'well', 'avoided');
    bench.health('out').state = 'out';
    Object.assign(bench.health('open'), { breaker: 'open', hasTrialPlace: true });
    bench.health('resting').restUntilMs = 1_000;
    bench.health('avoided').avoids = true;
    bench.controls = { ...bench.controls, takenOut: ['taken'] };

    const plan = bench.plan({ route: 'private', modulePath });

    expect(plan.upstreams.map(({ name }) => name)).toEqual(['well', 'avoided', 'out', 'open']);
    expect(plan.reserve).toEqual([]);
    expect(plan.skipped.map(({ source }) => source)).toEqual(['resting', 'taken']);
    expect(bench.planner.favourite('private')).toBe('well');
  });
});

describe("Go's comma rule", () => {
  function withBarrier() {
    return new PlannerBench([
      fakeCandidate('a'),
      fakeCandidate('corp', { stopsOnError: true }),
      fakeCandidate('c'),
      fakeCandidate('d'),
    ]);
  }

  it('asks nobody listed behind before it, even when it is suspect', () => {
    const bench = withBarrier();
    bench.health('corp').state = 'suspect';
    bench.health('a').state = 'suspect';

    expect(bench.order()).toBe('a corp c d');
  });

  it('lets it pass a suspect one that is listed before it', () => {
    const bench = withBarrier();
    bench.health('a').state = 'suspect';

    expect(bench.order()).toBe('corp c d a');
  });

  it('asks nobody behind when it is not asked itself, for each reason there is', () => {
    for (const reason of [
      { state: 'out', hasTrialPlace: true },
      { state: 'out' },
      { breaker: 'open' },
      { restUntilMs: 1_000 },
    ]) {
      const bench = withBarrier();
      Object.assign(bench.health('corp'), reason);
      Object.assign(bench.health('d'), { state: 'out', hasTrialPlace: true });

      const plan = bench.plan();

      expect(plan.upstreams.map(({ name }) => name)).toEqual(['a']);
      expect(plan.reserve.map(({ name }) => name)).not.toContain('d');
      expect(
        plan.skipped.filter(({ message }) => message.includes('stands behind')).map(({ source }) => source),
      ).toEqual(['c', 'd']);
    }
  });

  it('leaves out of the reserve who stands behind one that is asked: its error ends the walk', () => {
    const bench = withBarrier();
    Object.assign(bench.health('a'), { state: 'out', hasTrialPlace: true });
    Object.assign(bench.health('c'), { state: 'out', hasTrialPlace: true });

    expect(bench.order()).toBe('corp d | a');
  });

  it('holds against a pin', () => {
    const bench = withBarrier();
    bench.controls = { ...bench.controls, pinned: 'd' };

    expect(bench.order()).toBe('a corp d c');
  });

  it('gives those listed before it their turn under fastest and weighted', () => {
    const bench = withBarrier();
    for (const name of ['a', 'c', 'd']) bench.health(name).costs = { meta: 50 };
    bench.health('corp').costs = { meta: 1 };
    bench.useStrategy('fastest');
    expect(bench.order()).toBe('a corp c d');
    bench.useStrategy('weighted');
    bench.draw = 0.999;
    expect(bench.order()).toBe('a corp c d');
  });
});

describe('slow start', () => {
  it('gives a recovering one first place for its share of the requests, by one draw', () => {
    const bench = benchOf('a', 'b');
    Object.assign(bench.health('a'), { state: 'recovering', share: 0.4 });

    bench.draw = 0.39;
    expect(bench.order()).toBe('a b');
    bench.draw = 0.41;
    expect(bench.order()).toBe('b a');
    expect(bench.draws).toBe(2);
    expect(bench.planner.favourite('public')).toBe('b');
  });

  it('draws for none that would not be first if it were healthy', () => {
    const bench = benchOf('a', 'b');
    Object.assign(bench.health('b'), { state: 'recovering', share: 1 });
    bench.draw = 0;

    expect(bench.order()).toBe('a b');
  });

  it('draws nothing when all recover: the favourite is first', () => {
    const bench = benchOf('a', 'b');
    for (const name of ['a', 'b']) Object.assign(bench.health(name), { state: 'recovering', share: 0.1 });

    expect(bench.order()).toBe('a b');
    expect(bench.draws).toBe(0);
  });

  it('asks a recovering favourite after the healthy ones unless it is drawn', () => {
    const bench = benchOf('a', 'b');
    bench.order();
    Object.assign(bench.health('a'), { state: 'recovering', share: 0.4 });
    bench.options = { ...bench.options, switchBackAfterMs: 120_000 };
    bench.health('b').state = 'suspect';
    bench.order();
    bench.health('b').state = 'healthy';

    bench.draw = 0.9;
    expect(bench.order()).toBe('b a');
    bench.draw = 0.1;
    expect(bench.order()).toBe('a b');
  });
});
