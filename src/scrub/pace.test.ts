import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { Pace } from './pace.ts';

const { signal } = new AbortController();

describe('a pace', () => {
  it('lets through what its rate allows, over any time', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1_000);
    let taken = 0;
    const taker = (async () => {
      for (;;) {
        await pace.take(100, signal);
        taken += 100;
      }
    })();
    taker.catch(() => {});

    await clock.advance(10_000);

    // The burst of a quarter of a second, and what may be owed.
    expect(taken).toBeGreaterThanOrEqual(10_000);
    expect(taken).toBeLessThanOrEqual(10_000 + 250 + 200);
  });

  it('makes whoever comes behind a large share wait for all of it', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1_000);
    await pace.take(10_250, signal);
    let isThrough = false;
    void pace.take(1, signal).then(() => (isThrough = true));

    await clock.advance(9_999);
    expect(isThrough).toBe(false);
    await clock.advance(2);
    expect(isThrough).toBe(true);
  });

  it('does not save up while nobody takes', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1_000);
    await clock.advance(3_600_000);
    await pace.take(1_250, signal);
    let isThrough = false;
    void pace.take(1, signal).then(() => (isThrough = true));

    await clock.advance(999);
    expect(isThrough).toBe(false);
    await clock.advance(2);
    expect(isThrough).toBe(true);
  });

  it('without a rate holds nobody, but for who has left', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 0);

    await pace.take(1e12, signal);

    expect(clock.timers).toBe(0);
    await expect(pace.take(1, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
  });

  it('ends the wait of who leaves, and leaves no timer', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 1);
    const leaver = new AbortController();
    await pace.take(100, signal);
    const waiting = pace.take(1, leaver.signal);
    await clock.advance(10);

    leaver.abort(new Error('left'));

    await expect(waiting).rejects.toThrow('left');
    expect(clock.timers).toBe(0);
  });
});
