import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, suggest } from './suggest.ts';

describe('suggest', () => {
  const known = ['listen', 'data', 'path_prefix', 'upstreams', 'private', 'ingest'];

  it.each([
    ['lisen', 'listen'],
    ['Upstream', 'upstreams'],
    ['pathprefix', 'path_prefix'],
    ['priavte', 'private'],
    ['DATA', 'data'],
  ])('finds the word meant by %j', (word, expected) => {
    expect(suggest(word, known)).toBe(expected);
  });

  it('keeps silent when nothing is near', () => {
    expect(suggest('colour', known)).toBeUndefined();
    expect(suggest('', known)).toBeUndefined();
    expect(suggest('x', ['y', 'z'])).toBeUndefined();
  });

  it('does no work for absurdly long words', () => {
    expect(suggest('listen'.repeat(1000), known)).toBeUndefined();
  });
});

describe('editDistance', () => {
  it('counts a swap of neighbours once', () => {
    expect(editDistance('hodl', 'hold')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });

  it('is symmetric, zero only for equal words, and never more than the longer word', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (left, right) => {
        const distance = editDistance(left, right);
        expect(distance).toBe(editDistance(right, left));
        expect(distance === 0).toBe(left === right);
        expect(distance).toBeLessThanOrEqual(Math.max(left.length, right.length));
      }),
    );
  });
});
