import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import {
  maxPow2,
  maxTreeSize,
  splitStoredHashIndex,
  storedHashCount,
  storedHashIndex,
  subTreeIndexes,
} from './stored-index.ts';

const vectors = sumdbVectors();

describe('stored hash indexes', () => {
  it.each(vectors.storedIndexes)('%i is level %i, number %i, as tlog has it', (index, level, n) => {
    expect(splitStoredHashIndex(index)).toEqual({ level, n });
    expect(storedHashIndex(level, n)).toBe(index);
  });

  it.each(vectors.storedCounts)('a tree of %i records stores %i hashes, as tlog counts', (records, count) => {
    expect(storedHashCount(records)).toBe(count);
  });

  it('split what was joined, for every place in the largest tree', () => {
    fc.assert(
      fc.property(fc.nat({ max: 52 }), fc.maxSafeNat(), (level, any) => {
        const n = any % 2 ** (52 - level);
        const index = storedHashIndex(level, n);
        expect(Number.isSafeInteger(index)).toBe(true);
        expect(splitStoredHashIndex(index)).toEqual({ level, n });
      }),
    );
  });

  it('refuse what cannot be counted exactly, and what is no count', () => {
    expect(storedHashCount(maxTreeSize)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => storedHashIndex(0, maxTreeSize + 1)).toThrow(expect.objectContaining({ code: 'too_large' }));
    expect(() => storedHashIndex(53, 0)).toThrow(expect.objectContaining({ code: 'too_large' }));
    expect(() => storedHashIndex(1_000_000_000, 0)).toThrow(expect.objectContaining({ code: 'too_large' }));
    expect(() => storedHashIndex(0, 2 ** 53)).toThrow(expect.objectContaining({ code: 'too_large' }));
    for (const none of [-1, 0.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
      expect(() => storedHashIndex(0, none)).toThrow(expect.objectContaining({ code: 'bad_index' }));
      expect(() => splitStoredHashIndex(none)).toThrow(expect.objectContaining({ code: 'bad_index' }));
      expect(() => storedHashCount(none)).toThrow(expect.objectContaining({ code: 'bad_index' }));
    }
  });
});

describe('subTreeIndexes', () => {
  it('are the complete subtrees from the left', () => {
    expect(subTreeIndexes(0, 0)).toEqual([]);
    expect(subTreeIndexes(0, 768)).toEqual([storedHashIndex(9, 0), storedHashIndex(8, 2)]);
    expect(subTreeIndexes(4, 7)).toEqual([storedHashIndex(1, 2), storedHashIndex(0, 6)]);
    expect(subTreeIndexes(0, 2 ** 40 + 1)).toEqual([storedHashIndex(40, 0), storedHashIndex(0, 2 ** 40)]);
  });

  it('refuse a range that is no part of a tree', () => {
    expect(() => subTreeIndexes(1, 4)).toThrow(expect.objectContaining({ code: 'bad_index' }));
  });
});

it('maxPow2 is the largest power of two below a number', () => {
  expect([1, 2, 3, 4, 5, 2 ** 53].map((n) => maxPow2(n).exponent)).toEqual([0, 0, 1, 1, 2, 52]);
  expect(maxPow2(2 ** 40 + 1)).toEqual({ power: 2 ** 40, exponent: 40 });
});
