import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { weightedDraw } from './weighted-draw.ts';

describe('weightedDraw', () => {
  it('gives each its share of the draws', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const indexes = [...weights.keys()];
        const counts = weights.map(() => 0);
        const draws = 2_000;
        for (let nth = 0; nth < draws; nth += 1) {
          const index = weightedDraw(indexes, (at) => weights[at] ?? 0, (nth + 0.5) / draws);
          if (index === undefined) expect(total).toBe(0);
          else counts[index] = (counts[index] ?? 0) + 1;
        }
        // Evenly spread draws: off by the rounding at both ends of each share, no more.
        for (const [at, weight] of weights.entries()) {
          if (total > 0)
            expect(Math.abs((counts[at] ?? 0) - (draws * weight) / total)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('never draws what has no weight, not even by rounding', () => {
    for (const draw of [0, 0.5, 1, 2]) {
      expect(weightedDraw([0, 0.1, 0.2, 0, Number.NaN, -1], (weight) => weight, draw)).toBeGreaterThan(0);
    }
    expect(weightedDraw([0, -1, Number.NaN], (weight) => weight, 0.5)).toBeUndefined();
    expect(weightedDraw([], () => 1, 0.5)).toBeUndefined();
  });
});
