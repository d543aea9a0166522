import { describe, expect, it } from 'vitest';
import { selectModuleFiles } from './module-files.ts';

function file(path: string, sizeBytes = 1, isRegular = true) {
  return { path, sizeBytes, isRegular };
}

async function kept(paths: readonly string[], goVersion?: string): Promise<string[]> {
  const selected = await selectModuleFiles(
    paths.map((path) => file(path)),
    { goVersion },
  );
  expect(selected.faults).toEqual([]);
  return selected.kept.map(({ path }) => path);
}

async function faultsOf(files: readonly ReturnType<typeof file>[]): Promise<readonly string[]> {
  return (await selectModuleFiles(files, { goVersion: undefined })).faults;
}

const vendored = [
  'vendor/modules.txt',
  'vendor/a/b.go',
  'vendor/b.go',
  'pkg/vendor/z.go',
  'pkg/vendor/x/z.go',
  'a/vendor/v.go',
  'éé/vendor/v.go',
];

describe('selectModuleFiles', () => {
  it('leaves out vendored packages as releases before Go 1.24 did, with their mistake about short names', async () => {
    const before = ['vendor/modules.txt', 'vendor/b.go'];
    expect(await kept(vendored)).toEqual(before);
    expect(await kept(vendored, '1.23.9')).toEqual(before);
  });

  it.each(['1.24', '1.24rc1', '1.25.1', '2.0'])(
    'leaves out vendored packages as Go %s does',
    async (version) => {
      const since = ['vendor/b.go', 'pkg/vendor/z.go', 'a/vendor/v.go', 'éé/vendor/v.go'];
      expect(await kept(vendored, version)).toEqual(since);
    },
  );

  it('leaves out other modules, whatever the case of their go.mod', async () => {
    const paths = [
      'go.mod',
      'a/go.mod',
      'a/x',
      'a/b/y',
      'c/GO.mod',
      'c/z',
      'ab/x',
      'testdata/d/go.mod',
      'testdata/e',
    ];
    expect(await kept(paths)).toEqual(['go.mod', 'ab/x', 'testdata/e']);
  });

  it('takes a directory with a link named go.mod for a part of the module, and leaves links out', async () => {
    const selected = await selectModuleFiles([file('a/go.mod', 1, false), file('a/x')], {
      goVersion: undefined,
    });
    expect(selected.kept).toEqual([file('a/x')]);
    expect(selected.omittedCount).toBe(1);
  });

  it('leaves out what hg archive adds at the top', async () => {
    expect(await kept(['.hg_archival.txt', 'a/.hg_archival.txt'])).toEqual(['a/.hg_archival.txt']);
  });

  it.each([
    'con.txt',
    'a:b',
    'a.',
    'a\\b',
    "it's",
    '.../a',
    '😀',
    'GO.MOD',
    'a//b',
    '../a',
    '/a',
    'a/./b',
    'a/..',
  ])('refuses the name %j', async (path) => {
    expect(await faultsOf([file(path)])).toHaveLength(1);
  });

  it.each([
    ['A', 'a'],
    ['Docs/a', 'docs/b'],
    ['É', 'é'],
    ['a', 'a/b'],
    ['a', 'a'],
  ])('refuses %j beside %j', async (one, other) => {
    expect(await faultsOf([file(one), file(other)])).toHaveLength(1);
  });

  it('does not care for names in what is left out, but for those of links', async () => {
    expect(await kept(['a/go.mod', 'a/con', 'a/X', 'a/x', 'vendor/a/con'])).toEqual([]);
    expect(await faultsOf([file('con', 1, false)])).toHaveLength(1);
  });

  it("refuses what is beyond Go's limits", async () => {
    const mebibyte = 1024 * 1024;
    expect(await faultsOf([file('go.mod', 16 * mebibyte + 1)])).toHaveLength(1);
    expect(await faultsOf([file('LICENSE', 16 * mebibyte + 1)])).toHaveLength(1);
    expect(
      await faultsOf([file('a', 400 * mebibyte), file('b', 101 * mebibyte), file('c', 500 * mebibyte)]),
    ).toHaveLength(1);
    expect(await faultsOf([file('go.mod', 16 * mebibyte), file('b', 484 * mebibyte)])).toEqual([]);
  });

  it('tells of ten faults, not of all', async () => {
    expect(await faultsOf(Array.from({ length: 5000 }, (_, index) => file(`a:${index}`)))).toHaveLength(10);
  });
});
