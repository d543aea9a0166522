import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interleave, median, medianRatio } from './stats.ts';

describe('median', () => {
  it('takes the middle of an odd number and the mean of the two middle ones of an even number', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 9])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it('does not depend on the order and lies between the extremes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const middle = median(values);
        expect(median(values.toReversed())).toBe(middle);
        expect(middle).toBeGreaterThanOrEqual(Math.min(...values));
        expect(middle).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });
});

describe('medianRatio', () => {
  it('compares within each round, so that drift of the machine cancels out', () => {
    expect(medianRatio([2, 20, 200], [1, 10, 100])).toBe(2);
  });
});

describe('interleave', () => {
  it('turns the order around every other round and keeps values by round', async () => {
    const order: string[] = [];
    const visit = (name: string) => (round: number) => {
      order.push(name);
      return Promise.resolve(round);
    };

    const values = await interleave(3, { a: visit('a'), b: visit('b') });

    expect(order.join('')).toBe('abbaab');
    expect(values).toEqual({ a: [0, 1, 2], b: [0, 1, 2] });
  });
});
