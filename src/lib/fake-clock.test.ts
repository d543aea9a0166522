import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';

describe('FakeClock', () => {
  it('fires timers in the order they are due and shows each its own time', async () => {
    const clock = new FakeClock(1000);
    const seen: string[] = [];
    clock.setTimeout(() => seen.push(`late ${clock.now()}`), 20);
    clock.setTimeout(() => seen.push(`early ${clock.now()}`), 10);
    clock.setTimeout(() => seen.push('never'), 31);

    await clock.advance(30);

    expect(seen).toEqual(['early 1010', 'late 1020']);
    expect(clock.monotonic()).toBe(30);
    expect(clock.timers).toBe(1);
  });

  it('fires within one advance what a timer sets, and not what was cancelled', async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    const cancelled = clock.setTimeout(() => seen.push('cancelled'), 5);
    clock.setTimeout(() => {
      seen.push('first');
      void Promise.resolve().then(() => clock.setTimeout(() => seen.push('second'), 5));
    }, 5);
    cancelled.cancel();

    await clock.advance(10);

    expect(seen).toEqual(['first', 'second']);
  });
});
