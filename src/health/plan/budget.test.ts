import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { Budget, SlidingCount } from './budget.ts';

function budgetOf(ratio: number, floorPerSecond: number) {
  const clock = new FakeClock();
  const requests = new SlidingCount(clock);
  let told = 0;
  const budget = new Budget({
    clock,
    requests,
    limits: () => ({ ratio, floorPerSecond }),
    onSpent: () => {
      told += 1;
    },
  });
  return { clock, requests, budget, told: () => told };
}

describe('SlidingCount', () => {
  it('forgets what is older than its window', async () => {
    const clock = new FakeClock();
    const count = new SlidingCount(clock);
    count.add();
    await clock.advance(900);
    count.add();
    expect([count.lastSecond, count.lastTenSeconds]).toEqual([2, 2]);
    await clock.advance(900);
    expect([count.lastSecond, count.lastTenSeconds]).toEqual([1, 2]);
    await clock.advance(8_200);
    expect([count.lastSecond, count.lastTenSeconds]).toEqual([0, 1]);
    await clock.advance(1e9);
    expect(count.lastTenSeconds).toBe(0);
  });
});

describe('Budget', () => {
  it('allows its share of the requests of the last 10 s beyond the floor', async () => {
    const { requests, budget, clock } = budgetOf(0.05, 0);
    expect(budget.take()).toBe(false);
    for (let nth = 0; nth < 40; nth += 1) requests.add();
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
    await clock.advance(10_000);
    expect(budget.take()).toBe(false);
  });

  it('allows the floor again each second', async () => {
    const { budget, clock } = budgetOf(0, 2);
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
    await clock.advance(1_000);
    expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
  });

  it('tells once, and again after 10 s in which it sufficed', async () => {
    const { budget, clock, told } = budgetOf(0, 1);
    for (let second = 0; second < 30; second += 1) {
      budget.take();
      budget.take();
      await clock.advance(1_000);
    }
    expect(told()).toBe(1);
    await clock.advance(10_000);
    budget.take();
    budget.take();
    expect(told()).toBe(2);
  });

  it('never exceeds share and floor in any 10 s', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 0, max: 5 }),
        fc.array(
          fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }), asks: fc.integer({ min: 0, max: 30 }) }),
          {
            maxLength: 60,
          },
        ),
        async (ratio, floorPerSecond, steps) => {
          const { budget, requests, clock } = budgetOf(ratio, floorPerSecond);
          const asked: number[] = [];
          const taken: number[] = [];
          for (const { waitMs, asks } of steps) {
            await clock.advance(waitMs);
            for (let nth = 0; nth < asks; nth += 1) {
              requests.add();
              asked.push(clock.monotonic());
              if (budget.take()) taken.push(clock.monotonic());
            }
            const now = clock.monotonic();
            const takenInWindow = taken.filter((atMs) => atMs > now - 9_900).length;
            // A take of the window was granted by requests of the 10 s before it.
            const askedBefore = asked.filter((atMs) => atMs > now - 19_900).length;
            // Eleven slots of a second touch a window of ten.
            expect(takenInWindow).toBeLessThanOrEqual(ratio * askedBefore + 11 * floorPerSecond);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
