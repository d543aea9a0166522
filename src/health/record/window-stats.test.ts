import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyWindow } from '../test-figures.ts';
import { WindowStats } from './window-stats.ts';

const windowMs = 12_000;

describe('WindowStats', () => {
  it('counts answers, failures, bytes and throughput', () => {
    const stats = new WindowStats(windowMs);
    for (let nth = 0; nth < 9; nth += 1) stats.answered(0, true);
    stats.answered(500, false);
    stats.latency.add(500, 40);
    stats.received(600, 3_000_000);
    stats.timed(600, 3_000_000, 1_500);
    expect(stats.figures(900)).toMatchObject({
      answers: 10,
      failures: 1,
      successRate: 0.9,
      bytes: 3_000_000,
      bytesPerSecond: 2_000_000,
    });
    expect(stats.figures(900).p50Ms).toBeCloseTo(40, -1);
  });

  it('knows no rate, latency or throughput without any', () => {
    expect(new WindowStats(windowMs).figures(5)).toEqual(emptyWindow);
  });

  it('forgets part by part, and all of it after a long silence', () => {
    const stats = new WindowStats(windowMs);
    stats.answered(500, false);
    stats.answered(6_500, true);
    stats.latency.add(500, 1_000);
    stats.latency.add(6_500, 10);
    expect(stats.figures(11_900)).toMatchObject({ answers: 2, failures: 1 });
    expect(stats.figures(12_000)).toMatchObject({ answers: 1, failures: 0, successRate: 1 });
    expect(stats.figures(12_000).p99Ms).toBeCloseTo(10, 0);
    expect(stats.figures(1e9)).toMatchObject({ answers: 0, p50Ms: undefined });
  });

  it('keeps the rate between 0 and 1 when only the failed body is left in the window', () => {
    const stats = new WindowStats(windowMs);
    stats.answered(0, true);
    stats.turnedBad(11_000);
    expect(stats.figures(11_000)).toMatchObject({ answers: 1, failures: 1, successRate: 0 });
    expect(stats.figures(12_500)).toMatchObject({ answers: 1, failures: 1, successRate: 0 });
  });

  it('counts exactly what happened within the window, whatever the times', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4_000), fc.boolean()), { maxLength: 100 }), (steps) => {
        const stats = new WindowStats(windowMs);
        const seen: { atMs: number; isGood: boolean }[] = [];
        let nowMs = 0;
        for (const [stepMs, isGood] of steps) {
          nowMs += stepMs;
          stats.answered(nowMs, isGood);
          seen.push({ atMs: nowMs, isGood });
        }
        const firstPart = Math.floor(nowMs / 1000) - 11;
        const inside = seen.filter((one) => Math.floor(one.atMs / 1000) >= firstPart);
        const figures = stats.figures(nowMs);
        expect(figures.answers).toBe(inside.length);
        expect(figures.failures).toBe(inside.filter((one) => !one.isGood).length);
      }),
    );
  });
});
