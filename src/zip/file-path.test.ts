/** Names against Go's own verdicts. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { filePathFault, foldName } from './file-path.ts';

const vectors = zipVectors();

describe('filePathFault', () => {
  it('accepts and refuses what module.CheckFilePath does', () => {
    const differing = vectors.filePaths.filter(({ path, ok }) => (filePathFault(path) === undefined) !== ok);

    expect(vectors.filePaths.length).toBeGreaterThan(300);
    expect(differing).toEqual([]);
  });

  it('refuses a lone surrogate, which no UTF-8 can hold', () => {
    expect(filePathFault('a\ud800')).toBe('not UTF-8');
  });
});

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
