import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram, maxMs, minMs, relativeError } from './histogram.ts';

function of(...samples: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const sample of samples) histogram.add(sample);
  return histogram;
}

describe('LatencyHistogram', () => {
  it('knows nothing without samples', () => {
    expect(of().quantileMs(0.5)).toBeUndefined();
    expect(of().count).toBe(0);
  });

  it('gives every quantile within the error of its buckets', () => {
    const sample = fc.double({ min: minMs, max: maxMs, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (samples, q) => {
          const sorted = samples.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? 0;
          const found = of(...samples).quantileMs(q) ?? 0;
          expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * relativeError * 1.000001);
        },
      ),
    );
  });

  it.each([
    [0, minMs],
    [-5, minMs],
    [Number.NaN, minMs],
  ])('takes %d for the quickest', (sample, expected) => {
    expect(of(sample).quantileMs(1)).toBe(expected);
  });

  it('keeps what is slower than its range in the last bucket', () => {
    const found = of(Number.POSITIVE_INFINITY, maxMs * 50).quantileMs(1) ?? 0;
    expect(found).toBeGreaterThan(maxMs * 0.9);
    expect(found).toBeLessThan(maxMs * 1.2);
  });

  it('gives samples out again', () => {
    const histogram = of(10, 10, 500, 500, 500);
    histogram.subtract(of(500, 500, 500));
    expect(histogram.count).toBe(2);
    expect(histogram.quantileMs(1)).toBeCloseTo(10, 0);
    histogram.clear();
    expect(histogram.quantileMs(1)).toBeUndefined();
  });
});
