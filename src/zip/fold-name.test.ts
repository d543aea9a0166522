/** Folding against Go's own. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { foldName } from './fold-name.ts';

const vectors = zipVectors();

describe('foldName', () => {
  it('folds as x/mod/zip does', () => {
    const differing = vectors.folds.filter(([text, folded]) => foldName(text) !== folded);

    expect(vectors.folds.length).toBeGreaterThan(100);
    expect(differing).toEqual([]);
  });

  it('is idempotent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(foldName(foldName(text))).toBe(foldName(text));
      }),
    );
  });

  it('treats ASCII letters as equal in both cases', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
        expect(foldName(text.toUpperCase())).toBe(foldName(text.toLowerCase()));
      }),
    );
  });
});
