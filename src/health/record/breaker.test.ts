import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { healthDefaults } from '../test-options.ts';
import { Breaker, type BreakerChange, type BreakerSample } from './breaker.ts';

function breakerOf(options = healthDefaults.breaker) {
  const clock = new FakeClock();
  const changes: BreakerChange[] = [];
  const breaker = new Breaker({ clock, options: () => options, onChange: (change) => changes.push(change) });
  function record(isGood: boolean, more: Partial<BreakerSample> = {}): void {
    breaker.record({ isGood, isProbe: false, part: 'whole', askedAtMs: clock.monotonic(), ...more });
  }
  function times(count: number, isGood: boolean, more: Partial<BreakerSample> = {}): void {
    for (let nth = 0; nth < count; nth += 1) record(isGood, more);
  }
  return { clock, breaker, changes, record, times };
}

describe('a closed breaker', () => {
  it('opens at the ratio, not before the volume', () => {
    const { breaker, changes, times, record } = breakerOf();
    times(9, true);
    times(10, false);
    expect(breaker.state).toBe('closed');
    record(false);
    expect(breaker.state).toBe('open');
    expect(breaker.openUntilMs).toBe(30_000);
    expect(changes).toEqual([
      { from: 'closed', to: 'open', cause: '11 of 20 answers failed within 10 s', openMs: 30_000 },
    ]);
  });

  it('stays closed below the ratio', () => {
    const { breaker, times } = breakerOf();
    times(51, true);
    times(50, false);
    expect(breaker.state).toBe('closed');
  });

  it('forgets what is older than the window', async () => {
    const { clock, breaker, times, record } = breakerOf();
    times(19, false);
    await clock.advance(10_000);
    record(false);
    expect(breaker.state).toBe('closed');
  });

  it('is not opened by probes', () => {
    const { breaker, times } = breakerOf();
    times(50, false, { isProbe: true });
    expect(breaker.state).toBe('closed');
  });

  it('takes a body that fails for the answer that had begun well', () => {
    const { breaker, times } = breakerOf({ ...healthDefaults.breaker, errorRatio: 0.6 });
    times(25, true, { part: 'head' });
    times(14, false, { part: 'body' });
    expect(breaker.state).toBe('closed');
    times(1, false, { part: 'body' });
    expect(breaker.state).toBe('open');
  });

  it('does not count the end of a good body as one more answer', () => {
    const { breaker, times } = breakerOf();
    times(12, false);
    times(7, true, { part: 'head' });
    times(50, true, { part: 'body' });
    expect(breaker.state).toBe('closed');
    times(1, false);
    expect(breaker.state).toBe('open');
  });
});

describe('an open breaker', () => {
  async function halfOpen() {
    const all = breakerOf();
    all.times(20, false);
    await all.clock.advance(30_000);
    return all;
  }

  it('lets trials through after its time, seen without a tick and told at the tick', async () => {
    const { clock, breaker, changes, times } = breakerOf();
    times(20, false);
    await clock.advance(29_999);
    breaker.tick();
    expect(breaker.state).toBe('open');
    await clock.advance(1);
    expect(breaker.state).toBe('half_open');
    expect(breaker.openUntilMs).toBeUndefined();
    expect(changes).toHaveLength(1);
    breaker.tick();
    expect(changes.at(-1)).toMatchObject({ from: 'open', to: 'half_open' });
  });

  it('closes after three good trials in a row, probes among them', async () => {
    const { breaker, record, changes, times } = await halfOpen();
    record(true);
    record(true, { isProbe: true });
    expect(breaker.state).toBe('half_open');
    record(true);
    expect(breaker.state).toBe('closed');
    expect(changes.at(-1)).toMatchObject({ cause: '3 good trials in a row', openMs: undefined });
    times(19, false);
    expect(breaker.state).toBe('closed');
  });

  it('takes a good first byte for no trial yet', async () => {
    const { breaker, times } = await halfOpen();
    times(5, true, { part: 'head' });
    expect(breaker.state).toBe('half_open');
    times(3, true, { part: 'body' });
    expect(breaker.state).toBe('closed');
  });

  it('opens again for longer with each failed trial, up to the longest, and begins anew once closed', async () => {
    const { clock, breaker, record, changes, times } = await halfOpen();
    for (let nth = 0; nth < 5; nth += 1) {
      record(false);
      expect(breaker.state).toBe('open');
      await clock.advance(changes.at(-1)?.openMs ?? 0);
    }
    const openings = changes.filter((change) => change.to === 'open').map((change) => change.openMs);
    expect(openings).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
    times(3, true);
    expect(breaker.state).toBe('closed');
    times(20, false);
    expect(changes.at(-1)).toMatchObject({ to: 'open', openMs: 30_000 });
  });

  it('takes no notice of answers to what was asked before it opened', async () => {
    const { breaker, record } = await halfOpen();
    record(false, { askedAtMs: 0 });
    expect(breaker.state).toBe('half_open');
    record(false);
    expect(breaker.state).toBe('open');
  });

  it('is closed by hand', () => {
    const { breaker, changes, times } = breakerOf();
    times(20, false);
    breaker.clear('by hand');
    expect(breaker.state).toBe('closed');
    expect(changes.at(-1)).toMatchObject({ from: 'open', to: 'closed', cause: 'by hand' });
    breaker.clear('by hand');
    times(19, false);
    expect(changes).toHaveLength(2);
  });
});

it('only ever goes closed → open → half-open → open or closed, and never opens on less than its volume', async () => {
  const step = fc.record({
    isGood: fc.boolean(),
    isProbe: fc.boolean(),
    part: fc.constantFrom('whole', 'head', 'body'),
    stepMs: fc.nat(8_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 150 }), async (steps) => {
      const options = { ...healthDefaults.breaker, volume: 5 };
      const { clock, changes, record } = breakerOf(options);
      let requests = 0;
      for (const { stepMs, ...sample } of steps) {
        const opened = changes.filter((change) => change.from === 'closed').length;
        if (!sample.isProbe && !(sample.part === 'body' && sample.isGood)) requests += 1;
        record(sample.isGood, sample);
        if (changes.filter((change) => change.from === 'closed').length > opened) {
          expect(requests).toBeGreaterThanOrEqual(options.volume);
          requests = 0;
        }
        await clock.advance(stepMs);
      }
      const allowed = ['closed open', 'open half_open', 'half_open open', 'half_open closed'];
      for (const { from, to, openMs } of changes) {
        expect(allowed).toContain(`${from} ${to}`);
        expect(openMs ?? 0).toBeLessThanOrEqual(options.openMaxMs);
      }
      changes.reduce((state, change) => {
        expect(change.from).toBe(state);
        return change.to;
      }, 'closed');
    }),
    { numRuns: 30 },
  );
});
