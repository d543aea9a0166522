import { describe, expect, it } from 'vitest';
import type { FailedAttempt } from '../../upstream/plan.ts';
import { benchOf, fakeCandidate, fakeUpstream, modulePath, PlannerBench } from './test-planner.ts';

function failure(more: Partial<FailedAttempt> = {}): FailedAttempt {
  return { code: 'timeout', status: undefined, retryAfterMs: undefined, ...more };
}

describe('one that is out and never probed', () => {
  it('is asked first for a small file when a trial place is free, and a hedge is near', () => {
    const bench = new PlannerBench([{ ...fakeCandidate('a'), isProbed: false }, fakeCandidate('b')]);
    const names = (answerClass: 'meta' | 'zip') =>
      bench.plan({ answerClass }).upstreams.map(({ name }) => name);
    Object.assign(bench.health('a'), { state: 'out', hasTrialPlace: true });
    expect(names('meta')).toEqual(['a', 'b']);
    expect(bench.plan().hedgeMs(bench.upstream('a'))).toBe(100);
    expect(bench.plan().isDoubtful?.(bench.upstream('a'))).toBe(true);
    expect(names('zip')).toEqual(['b']);
    bench.health('a').hasTrialPlace = false;
    expect(names('meta')).toEqual(['b']);
  });

  it('is left to its probes when it has some', () => {
    const bench = benchOf('a', 'b');
    Object.assign(bench.health('a'), { state: 'out', hasTrialPlace: true });
    expect(bench.plan().upstreams.map(({ name }) => name)).toEqual(['b']);
  });
});

describe('zips that broke off', () => {
  it('cost an upstream its place for zips only', () => {
    const bench = benchOf('a', 'b');
    bench.health('a').isAvoidedForZips = true;
    const order = (answerClass: 'meta' | 'zip') =>
      bench.plan({ answerClass }).upstreams.map(({ name }) => name);

    expect(order('zip')).toEqual(['b', 'a']);
    expect(order('meta')).toEqual(['a', 'b']);
  });
});

describe('an upstream lost while a request is under way', () => {
  it('is told to those who listen, until they stop', () => {
    const bench = benchOf('a', 'b');
    const lost: string[] = [];
    const unlisten = bench.plan().onLost?.((name) => lost.push(name));
    const change = { upstream: 'a', from: 'healthy', cause: '', score: 0 } as const;
    bench.events.emit('state', { ...change, to: 'suspect' });
    bench.events.emit('state', { ...change, to: 'slow' });
    bench.events.emit('state', { ...change, to: 'out' });
    unlisten?.();
    bench.events.emit('state', { ...change, to: 'suspect' });

    expect(lost).toEqual(['a', 'a']);
  });
});

describe('patience', () => {
  it('is the configured first-byte timeout while little is known', () => {
    const bench = benchOf('a');
    Object.assign(bench.health('a'), { sampleCount: 19, quantilesMs: { 0.99: 1 } });

    expect(bench.plan().patienceMs(bench.upstream('a'))).toBe(5_000);
    expect(bench.plan({ answerClass: 'zip' }).patienceMs(bench.upstream('a'))).toBe(10_000);
  });

  it('is the latency bound for small answers of one in doubt', () => {
    const bench = benchOf('a', 'b');
    bench.health('a').isDoubted = true;
    Object.assign(bench.health('b'), { sampleCount: 5, quantilesMs: { 0.5: 30 } });

    expect(bench.plan().patienceMs(bench.upstream('a'))).toBe(230);
    expect(bench.plan({ answerClass: 'zip' }).patienceMs(bench.upstream('a'))).toBe(10_000);
  });

  it('is twice its own p99, within floor and ceiling', () => {
    const bench = benchOf('a');
    const seen = [10, 800, 9_000].map((p99Ms) => {
      Object.assign(bench.health('a'), { sampleCount: 20, quantilesMs: { 0.99: p99Ms } });
      return bench.plan().patienceMs(bench.upstream('a'));
    });

    expect(seen).toEqual([1_000, 1_600, 5_000]);
  });

  it('has the ceiling of the upstream’s own timeout, also for one in reserve and one not planned', () => {
    const upstream = fakeUpstream('own', { firstByteMs: { meta: 700 } });
    const bench = new PlannerBench([{ ...fakeCandidate('own'), upstream }]);
    expect(bench.plan().patienceMs(upstream)).toBe(700);
    Object.assign(bench.health('own'), { state: 'out', hasTrialPlace: true });

    expect(bench.plan().patienceMs(upstream)).toBe(700);
    expect(bench.plan({ upstreams: [] }).patienceMs(upstream)).toBe(700);
  });

  it('leaves a modferry the time to change its own source', () => {
    const bench = new PlannerBench([
      fakeCandidate('told', { isModferry: true, failoverMs: 12_000 }),
      fakeCandidate('untold', { isModferry: true }),
    ]);
    for (const name of ['told', 'untold']) {
      Object.assign(bench.health(name), { sampleCount: 50, quantilesMs: { 0.99: 20 } });
    }
    const plan = bench.plan();

    expect(plan.patienceMs(bench.upstream('told'))).toBe(12_000);
    expect(plan.patienceMs(bench.upstream('untold'))).toBe(10_000);
  });

  it('ends with the last hope of the options', () => {
    expect(benchOf('a').plan().lastHopeMs).toBe(60_000);
  });
});

describe('hedge delay', () => {
  function timed(own: number | undefined, other: number | undefined) {
    const bench = benchOf('a', 'b');
    if (own !== undefined) bench.health('a').quantilesMs = { 0.95: own };
    if (other !== undefined) bench.health('b').quantilesMs = { 0.95: other };
    return bench.plan().hedgeMs(bench.upstream('a'));
  }

  it('is the smaller of the own p95 and twice that of the quickest other, with a floor', () => {
    expect(timed(400, 300)).toBe(400);
    expect(timed(3_000, 150)).toBe(300);
    expect(timed(20, 30)).toBe(100);
    expect(timed(undefined, 200)).toBe(400);
    expect(timed(500, undefined)).toBe(500);
    expect(timed(undefined, undefined)).toBe(300);
  });

  it('is the floor for a suspect, and takes no suspect as measure', () => {
    const bench = benchOf('a', 'b');
    bench.health('a').quantilesMs = { 0.95: 900 };
    Object.assign(bench.health('b'), { state: 'suspect', quantilesMs: { 0.95: 10 } });
    expect(bench.plan().hedgeMs(bench.upstream('a'))).toBe(900);
    bench.health('a').state = 'suspect';
    const plan = bench.plan();

    expect(plan.upstreams[0]?.name).toBe('a');
    expect(plan.hedgeMs(bench.upstream('a'))).toBe(100);
  });

  it('is none for zips, background work, the last one, the reserve, and when switched off', () => {
    const bench = benchOf('a', 'b');
    const a = bench.upstream('a');
    expect(bench.plan().hedgeMs(a)).toBe(300);
    expect(bench.plan({ answerClass: 'zip' }).hedgeMs(a)).toBeUndefined();
    expect(bench.plan({ isBackground: true }).hedgeMs(a)).toBeUndefined();
    expect(bench.plan().hedgeMs(bench.upstream('b'))).toBeUndefined();
    Object.assign(bench.health('b'), { state: 'out', hasTrialPlace: true });
    expect(bench.plan().hedgeMs(a)).toBeUndefined();
    expect(bench.plan().hedgeMs(bench.upstream('b'))).toBeUndefined();
    bench.health('b').state = 'healthy';
    bench.options = { ...bench.options, hedge: { ...bench.options.hedge, enabled: false } };
    expect(bench.plan().hedgeMs(a)).toBeUndefined();
  });

  it("is none for one that keeps Go's comma rule", () => {
    const bench = new PlannerBench([fakeCandidate('corp', { stopsOnError: true }), fakeCandidate('b')]);

    expect(bench.plan().hedgeMs(bench.upstream('corp'))).toBeUndefined();
  });

  it('takes hedges from the budget and names the silent one', () => {
    const bench = benchOf('a', 'b');
    const told: string[] = [];
    bench.events.on('hedge', ({ upstream }) => told.push(upstream));
    bench.events.on('budgetSpent', ({ what }) => told.push(`spent ${what}`));
    const plan = bench.plan();
    plan.hedgeMs(bench.upstream('a'));

    expect([1, 2, 3, 4, 5].map(() => plan.takeHedge())).toEqual([true, true, true, false, false]);
    expect(told).toEqual(['a', 'a', 'a', 'spent hedge']);
  });
});

describe('repeats', () => {
  it('wait a random part of a pause that doubles up to the cap', () => {
    const bench = benchOf('a');
    bench.options = { ...bench.options, retry: { ...bench.options.retry, repeats: 6, budgetRatio: 100 } };
    const plan = bench.plan();

    const waits = [1, 2, 3, 4, 5, 6, 7].map((nth) => plan.takeRepeat(bench.upstream('a'), nth, failure()));

    expect(waits).toEqual([50, 100, 200, 400, 500, 500, undefined]);
  });

  it('follow a short Retry-After and give up before a long one', () => {
    const bench = benchOf('a');
    const plan = bench.plan();
    const a = bench.upstream('a');

    expect(plan.takeRepeat(a, 1, failure({ code: 'status', status: 503, retryAfterMs: 2_000 }))).toBe(2_000);
    expect(
      plan.takeRepeat(a, 1, failure({ code: 'status', status: 429, retryAfterMs: 2_001 })),
    ).toBeUndefined();
  });

  it('are refused where asking again would change nothing', () => {
    const bench = benchOf('a');
    const plan = bench.plan();
    const a = bench.upstream('a');
    const finals = [
      'absent',
      'gone',
      'refused',
      'loop',
      'proxy_auth',
      'skipped',
      'beaten',
      'aborted',
    ] as const;
    for (const code of [...finals, 'redirect', 'tls'] as const) {
      expect(plan.takeRepeat(a, 1, failure({ code }))).toBeUndefined();
    }
    for (const status of [400, 401, 403, 451]) {
      expect(plan.takeRepeat(a, 1, failure({ code: 'status', status }))).toBeUndefined();
    }
    // The refusals above must have taken nothing: there are three places a second.
    for (const status of [408, 425, 500]) {
      expect(plan.takeRepeat(a, 1, failure({ code: 'status', status }))).toBe(50);
    }
  });

  it('end with the budget, told once, and each is an event', () => {
    const bench = benchOf('a');
    const told: string[] = [];
    bench.events.on('repeat', ({ upstream, nth }) => told.push(`${upstream} ${nth}`));
    bench.events.on('budgetSpent', ({ what }) => told.push(`spent ${what}`));
    const plan = bench.plan();
    const a = bench.upstream('a');

    const waits = [1, 2, 1, 2, 1].map((nth) => plan.takeRepeat(a, nth, failure()));

    expect(waits).toEqual([50, 100, 50, undefined, undefined]);
    expect(told).toEqual(['a 1', 'a 2', 'a 1', 'spent repeat']);
  });
});

describe('who is waited for', () => {
  it('is neither a suspect nor a slow one, nor one that failed on the module', () => {
    const bench = benchOf('well', 'recovering', 'slow', 'suspect', 'avoided', 'out');
    for (const state of ['recovering', 'slow', 'suspect', 'out'] as const) bench.health(state).state = state;
    bench.health('avoided').avoids = true;
    bench.health('out').hasTrialPlace = true;
    const plan = bench.plan({ modulePath });

    const waited = bench.candidates.filter(({ upstream }) => plan.isWaitedFor(upstream));

    expect(waited.map(({ upstream }) => upstream.name)).toEqual(['well', 'recovering', 'out']);
  });

  it('is everybody when nobody quick is there', () => {
    const bench = benchOf('slow', 'suspect', 'avoided');
    for (const state of ['slow', 'suspect'] as const) bench.health(state).state = state;
    bench.health('avoided').avoids = true;
    const plan = bench.plan({ modulePath });

    expect(bench.candidates.every(({ upstream }) => plan.isWaitedFor(upstream))).toBe(true);
  });
});

describe('unavailableFor', () => {
  it('is true only when each one is out, open, resting or taken out', () => {
    const bench = benchOf('out', 'open', 'resting', 'taken', 'suspect');
    bench.health('out').state = 'out';
    bench.health('open').breaker = 'open';
    bench.health('resting').restUntilMs = 1_000;
    bench.controls = { ...bench.controls, takenOut: ['taken'] };
    bench.health('suspect').state = 'suspect';

    expect(bench.planner.unavailableFor(bench.candidates)).toBe(false);
    bench.health('suspect').state = 'out';
    expect(bench.planner.unavailableFor(bench.candidates)).toBe(true);
  });

  it('is true offline', () => {
    const bench = benchOf('a');
    bench.controls = { ...bench.controls, mode: 'offline' };

    expect(bench.planner.unavailableFor(bench.candidates)).toBe(true);
  });

  it("is true when the one that is well stands behind one with Go's comma rule that is out", () => {
    const bench = new PlannerBench([fakeCandidate('corp', { stopsOnError: true }), fakeCandidate('b')]);
    bench.health('corp').state = 'out';

    expect(bench.planner.unavailableFor(bench.candidates)).toBe(true);
  });
});
