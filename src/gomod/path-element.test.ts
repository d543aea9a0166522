/** Names against Go's own verdicts. */
import { describe, expect, it } from 'vitest';
import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { pathFault } from './path-element.ts';

describe('a file path', () => {
  it('is accepted and refused as module.CheckFilePath does', () => {
    const { filePaths } = zipVectors();
    const differing = filePaths.filter(({ path, ok }) => (pathFault(path, 'file') === undefined) !== ok);

    expect(filePaths.length).toBeGreaterThan(300);
    expect(differing).toEqual([]);
  });

  it('is refused with a lone surrogate, which no UTF-8 can hold', () => {
    expect(pathFault('a\ud800', 'file')).toBe('it is not valid UTF-8');
  });
});
