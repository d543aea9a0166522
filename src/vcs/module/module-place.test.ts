import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { VcsError } from '../types.ts';
import { modulePlaceOf } from './module-place.ts';

function placed(path: string, root: string, subdir = '') {
  const { directory, tagPrefix, pathMajor, pseudoMajor, majorDirectory } = modulePlaceOf(
    { root, subdir },
    parseModulePath(path),
  );
  return { directory, tagPrefix, pathMajor, pseudoMajor, majorDirectory };
}

describe('modulePlaceOf', () => {
  it.each([
    ['example.com/r', 'example.com/r', '', { directory: '', pathMajor: '', majorDirectory: undefined }],
    ['example.com/r/v2', 'example.com/r', '', { directory: '', pathMajor: '/v2', majorDirectory: 'v2' }],
    [
      'example.com/r/a/b',
      'example.com/r',
      '',
      { directory: 'a/b', tagPrefix: 'a/b/', majorDirectory: undefined },
    ],
    ['example.com/r/a/v3', 'example.com/r', '', { directory: 'a', tagPrefix: 'a/', majorDirectory: 'a/v3' }],
    [
      'example.com/r/v2',
      'example.com/r/v2',
      '',
      { directory: '', pathMajor: '/v2', majorDirectory: undefined },
    ],
    ['example.com/r', 'example.com/r', 'go/src', { directory: 'go/src', tagPrefix: 'go/src/' }],
    ['example.com/r/a', 'example.com/r', 'src/', { directory: 'a/src', tagPrefix: 'a/src/' }],
    [
      'gopkg.in/a/y.v2',
      'gopkg.in/a/y.v2',
      '',
      { directory: '', pathMajor: '.v2', pseudoMajor: 'v2', majorDirectory: undefined },
    ],
    [
      'gopkg.in/y.v1-unstable',
      'gopkg.in/y.v1-unstable',
      '',
      { pathMajor: '.v1-unstable', pseudoMajor: 'v1' },
    ],
  ])('%s in the repository of %s, sub-directory %j', (path, root, subdir, expected) => {
    expect(placed(path, root, subdir)).toMatchObject(expected);
  });

  it.each([
    ['example.com/other', 'example.com/r'],
    ['example.com/rest', 'example.com/r'],
    ['example.com/r', 'example.com/r/sub'],
  ])('%s cannot be in the repository of %s', (path, root) => {
    expect(() => placed(path, root)).toThrow(expect.objectContaining({ code: 'absent' }));
  });

  it.each(['../x', 'a/../../b', '-x', ':(glob)*', 'a\\b', 'a\nb', 'a*', 'x'.repeat(2000)])(
    'the sub-directory %j is refused',
    (subdir) => {
      const refused = (): unknown => placed('example.com/r', 'example.com/r', subdir);
      expect(refused).toThrow(VcsError);
      expect(refused).toThrow(expect.objectContaining({ code: 'refused' }));
    },
  );
});
