import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventBus } from '../../lib/event-bus.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { BreakerState, HealthState } from '../types.ts';
import { Prober } from './prober.ts';
import { answer, FakeTarget, options, rightFile, setUp, silence } from './test-prober.ts';

/** Differences between times that follow each other. */
function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
}

describe('when probes go out', () => {
  it('asks each upstream right after the start, spread over 100 ms, and then at its interval', async () => {
    const draws = [0.1, 0.9, 0.5];
    const { clock, prober, targets, target } = setUp({ random: () => draws.shift() ?? 0.5 });
    const second = new FakeTarget('second', clock);
    targets.push(second);
    prober.start();
    prober.start();
    await clock.advance(100);
    expect([target.askedAtMs, second.askedAtMs]).toEqual([[10], [90]]);
    expect(target.requests[0]).toMatchObject({ answerClass: 'meta', priority: 'low', target: options.path });

    await clock.advance(25_000);
    expect(gaps(target.askedAtMs)).toEqual([10_000, 10_000]);
    expect(target.seen[0]).toEqual({ kind: 'probe', code: 'ok', tookMs: 7 });
  });

  it('keeps within a fifth of the interval, whatever is drawn', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 0.999_999, noNaN: true })), async (draws) => {
        const clock = new FakeClock();
        const target = new FakeTarget('up', clock);
        const prober = new Prober({
          clock,
          random: () => draws.pop() ?? 0.5,
          events: new EventBus(),
          options: () => options,
          targets: () => [target],
          isPaused: () => false,
        });
        prober.start();
        await clock.advance(50_000);
        prober.stop();
        expect(target.askedAtMs[0]).toBeLessThanOrEqual(100);
        for (const gap of gaps(target.askedAtMs)) {
          expect(gap).toBeGreaterThanOrEqual(7_999.99);
          expect(gap).toBeLessThanOrEqual(12_000.01);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('asks seldom once no client has asked for a minute, and soon again when one does', async () => {
    const { clock, prober, target } = setUp();
    prober.start();
    await clock.advance(300_000);
    expect(gaps(target.askedAtMs)).toEqual([...Array(5).fill(10_000), ...Array(4).fill(60_000)]);

    const before = target.requests.length;
    await clock.advance(30_000);
    prober.noteTraffic();
    await clock.advance(1_000);
    expect(target.requests.length).toBe(before + 1);
    await clock.advance(20_000);
    expect(gaps(target.askedAtMs).slice(-2)).toEqual([10_000, 10_000]);
  });

  it.each([
    ['suspect', 'closed'],
    ['out', 'closed'],
    ['healthy', 'open'],
    ['healthy', 'half_open'],
  ] as [HealthState, BreakerState][])(
    'asks more often while %s with the breaker %s',
    async (state, breaker) => {
      const { clock, prober, target } = setUp();
      Object.assign(target, { state, breaker });
      prober.start();
      await clock.advance(120_000);
      expect(new Set(gaps(target.askedAtMs))).toEqual(new Set([5_000]));
    },
  );

  it('leaves one that rests alone until its rest is over', async () => {
    const { clock, prober, target } = setUp();
    prober.start();
    await clock.advance(1_000);
    target.restUntilMs = 45_000;
    await clock.advance(43_999);
    expect(target.requests).toHaveLength(1);
    await clock.advance(1);
    expect(target.askedAtMs).toEqual([50, 45_000]);
  });

  it('asks nothing in offline mode, by hand neither, and again within a second after it', async () => {
    const { clock, prober, target, state } = setUp();
    state.isPaused = true;
    prober.start();
    await clock.advance(300_000);
    expect(await prober.probeNow()).toMatchObject([{ name: 'up', code: 'skipped' }]);
    expect(target.requests).toEqual([]);
    state.isPaused = false;
    await clock.advance(1_000);
    expect(target.requests).toHaveLength(1);
  });

  it('never probes one whose entry says so', async () => {
    const { clock, prober, target } = setUp();
    target.probe = 'off';
    prober.start();
    prober.poke('up');
    await clock.advance(300_000);
    expect(await prober.probeNow('up')).toMatchObject([
      { code: 'skipped', message: 'it is not probed: taken out, or probes are off' },
    ]);
    expect(target.requests).toEqual([]);
  });

  it('follows upstreams that a reload adds and removes', async () => {
    const { clock, prober, target, targets } = setUp();
    prober.start();
    await clock.advance(500);
    const added = new FakeTarget('added', clock);
    targets.splice(0, 1, added);
    await clock.advance(30_000);
    expect(target.requests).toHaveLength(1);
    expect(added.requests.length).toBeGreaterThanOrEqual(2);
    expect(added.askedAtMs[0]).toBeLessThanOrEqual(1_600);
  });

  it('takes new intervals into use at once', async () => {
    const { clock, prober, target, state } = setUp();
    prober.start();
    await clock.advance(1_000);
    state.options = { ...options, everyMs: 200 };
    await clock.advance(2_000);
    expect(gaps(target.askedAtMs).slice(1)).toEqual(
      Array.from({ length: target.requests.length - 2 }, () => 200),
    );
    expect(target.requests.length).toBeGreaterThan(5);
  });

  it('lets time pass for the health records at least once a second', async () => {
    const { clock, prober, target } = setUp();
    prober.start();
    await clock.advance(30_000);
    expect(target.ticks).toBeGreaterThanOrEqual(30);
  });
});

describe('poke', () => {
  it('probes at once, and at most once a second', async () => {
    const { clock, prober, target } = setUp();
    prober.start();
    await clock.advance(5_000);
    prober.poke('up');
    await clock.advance(0);
    expect(target.askedAtMs).toEqual([50, 5_000]);
    for (let ms = 0; ms < 1_000; ms += 50) {
      prober.poke('up');
      await clock.advance(50);
    }
    expect(target.askedAtMs).toEqual([50, 5_000, 6_000]);
    prober.poke('nobody');
  });

  it('does not break into a rest', async () => {
    const { clock, prober, target } = setUp();
    prober.start();
    await clock.advance(1_000);
    target.restUntilMs = 30_000;
    prober.poke('up');
    await clock.advance(28_000);
    expect(target.requests).toHaveLength(1);
  });
});

describe('probeNow', () => {
  it('probes now, joins a probe under way, and knows its names', async () => {
    const { clock, prober, target, targets } = setUp();
    const gate = Promise.withResolvers<void>();
    target.script = async () => {
      await gate.promise;
      return answer(rightFile);
    };
    targets.push(new FakeTarget('second', clock));
    target.restUntilMs = 1_000_000;
    const first = prober.probeNow();
    const again = prober.probeNow('up');
    gate.resolve();
    expect(await first).toEqual([
      { name: 'up', code: 'ok', tookMs: 7, message: '' },
      { name: 'second', code: 'ok', tookMs: 7, message: '' },
    ]);
    expect(await again).toHaveLength(1);
    expect(target.requests).toHaveLength(1);
    await expect(prober.probeNow('nobody')).rejects.toMatchObject({
      code: 'unknown_upstream',
      message: 'no upstream is called "nobody"; there are: up, second',
    });
  });
});

describe('stop', () => {
  it('gives up what is under way, tells nothing of it, and leaves no timer', async () => {
    const { clock, prober, target, probes } = setUp();
    target.script = silence;
    prober.start();
    await clock.advance(100);
    prober.stop();
    prober.stop();
    await clock.advance(0);
    expect(target.requests[0]?.signal.aborted).toBe(true);
    expect(target.inFlight).toBe(0);
    expect(clock.timers).toBe(0);
    prober.start();
    prober.poke('up');
    expect(await prober.probeNow()).toMatchObject([{ code: 'skipped' }]);
    await clock.advance(100_000);
    expect([target.requests.length, target.seen, probes]).toEqual([1, [], []]);
  });
});
