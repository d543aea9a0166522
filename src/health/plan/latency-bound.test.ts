import { describe, expect, it } from 'vitest';
import type { UpstreamHealth } from '../types.ts';
import { latencyBoundMs } from './latency-bound.ts';
import { FakeHealth } from './test-planner.ts';

function known(name: string, p50Ms: number, more: Partial<UpstreamHealth> = {}): FakeHealth {
  return Object.assign(new FakeHealth(name), { sampleCount: 3, quantilesMs: { 0.5: p50Ms }, ...more });
}

const options = { latencyAllowanceMs: 200, latencyLimitMs: undefined };

describe('latencyBoundMs', () => {
  it('is the p50 of the quickest and the allowance', () => {
    expect(latencyBoundMs([known('a', 90), known('b', 40), known('c', 3_000)], options)).toBe(240);
  });

  it('takes no measure of those that are ill or hardly known', () => {
    const few = known('few', 1);
    few.sampleCount = 2;
    const ill = [
      known('suspect', 1, { state: 'suspect' }),
      known('out', 1, { state: 'out' }),
      known('open', 1, { breaker: 'open' }),
      few,
    ];

    expect(latencyBoundMs([...ill, known('well', 50)], options)).toBe(250);
    expect(latencyBoundMs(ill, options)).toBeUndefined();
  });

  it('is the absolute limit where one is set', () => {
    expect(latencyBoundMs([known('a', 90)], { ...options, latencyLimitMs: 1_000 })).toBe(1_000);
  });
});
