import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeCommit, makeGitRepo } from '../../../test/kit/git-repo.ts';
import { makeModuleZip } from '../../../test/kit/make-zip.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import { parseModulePath } from '../../gomod/module-path.ts';
import { parseCanonicalVersion } from '../../gomod/version.ts';
import { checkModuleZip } from '../../zip/module-zip-check.ts';
import { bufferReader } from '../../zip/zip-reader.ts';
import { fileReader } from '../../zip/zip-repack.ts';
import { createRepositoryModule, type RepositoryModuleOptions } from './repository-module.ts';
import { LocalGitRepository } from './test-git.ts';

const root = 'example.com/r';

async function zipped(
  files: FakeCommit['files'],
  suffix = '',
  options: RepositoryModuleOptions & { signal?: AbortSignal } = {},
) {
  const dir = await tempDir('module-zip');
  onTestFinished(dir.remove);
  const path = root + suffix;
  const tag = `${suffix.slice(1)}${suffix === '' ? '' : '/'}v1.0.0`;
  const repo = await makeGitRepo(join(dir.path, 'r.git'), [{ files: { ...files }, tags: [tag] }]);
  const module = createRepositoryModule(
    new LocalGitRepository(repo.dir),
    { root, subdir: '' },
    parseModulePath(path),
    options,
  );
  const version = parseCanonicalVersion(path, 'v1.0.0');
  if (version === undefined) throw new Error('no version');
  const out = join(dir.path, 'out');
  await mkdir(out);
  const file = join(out, 'm.zip');
  const { signal = new AbortController().signal } = options;
  const write = () => module.zip(version, file, signal);
  const facts = async () => {
    await write();
    await using handle = await open(file);
    return checkModuleZip(fileReader(handle, (await handle.stat()).size), { path, version });
  };
  return { out, file, write, facts };
}

async function h1Of(files: Readonly<Record<string, string>>, path = root): Promise<string> {
  const target = { path, version: 'v1.0.0' };
  return (await checkModuleZip(bufferReader(makeModuleZip(path, 'v1.0.0', files)), target)).h1;
}

describe('the module zip', () => {
  it('has the files that Go wants, by the strictest check, and nothing else is left in the folder', async () => {
    const { facts, out } = await zipped({
      'go.mod': `module ${root}\n`,
      'x.go': 'package x\n',
      'sub/go.mod': `module ${root}/sub\n`,
      'sub/y.go': 'package y\n',
      'vendor/a.b/c/c.go': 'package c\n',
      link: { symlink: 'x.go' },
      s: { submodule: 'a'.repeat(40) },
    });
    const { h1, oddities } = await facts();
    expect(h1).toBe(await h1Of({ 'go.mod': `module ${root}\n`, 'x.go': 'package x\n' }));
    expect(oddities).toEqual([]);
    expect(await readdir(out)).toEqual(['m.zip']);
  });

  it('inherits the LICENSE of the repository, a link as its target', async () => {
    const goMod = `module ${root}/sub\n`;
    const path = `${root}/sub`;
    const inherited = await zipped({ LICENSE: 'top\n', 'sub/go.mod': goMod }, '/sub');
    expect((await inherited.facts()).h1).toBe(await h1Of({ 'go.mod': goMod, LICENSE: 'top\n' }, path));
    const own = await zipped({ LICENSE: 'top\n', 'sub/LICENSE': 'own\n', 'sub/go.mod': goMod }, '/sub');
    expect((await own.facts()).h1).toBe(await h1Of({ 'go.mod': goMod, LICENSE: 'own\n' }, path));
    const link = await zipped({ LICENSE: { symlink: 'COPYING' }, 'sub/go.mod': goMod }, '/sub');
    expect((await link.facts()).h1).toBe(await h1Of({ 'go.mod': goMod, LICENSE: 'COPYING' }, path));
  });

  it.each([
    ['a bad name', { 'con.txt': 'x' }, /"con\.txt": con is a reserved file name/],
    ['two names that differ by case', { A: '1', a: '2' }, /"a": it collides with "A"/],
    ['a go.mod in capitals', { 'GO.MOD': 'x' }, /lower case/],
    ['a LICENSE of 17 MiB', { LICENSE: Buffer.alloc(17 << 20) }, /16777216/],
    [
      'twenty bad names',
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a:${i}`, ''])),
      /and 7 more/,
    ],
  ])('with %s is refused, and leaves nothing', async (_, files, why) => {
    const { write, out } = await zipped(files);
    await expect(write()).rejects.toMatchObject({ code: 'refused', message: why });
    expect(await readdir(out)).toEqual([]);
  });

  it('is refused when the archive or the files are too large, and leaves nothing', async () => {
    const big = { 'zeros.bin': Buffer.alloc(3_000_000) };
    const archive = await zipped(big, '', { maxZipBytes: 1000 });
    await expect(archive.write()).rejects.toMatchObject({ code: 'too_large' });
    expect(await readdir(archive.out)).toEqual([]);
    const inflated = await zipped(big, '', { maxZipBytes: 1_000_000 });
    await expect(inflated.write()).rejects.toMatchObject({
      code: 'refused',
      message: /together have more than/,
    });
    expect(await readdir(inflated.out)).toEqual([]);
  });

  it('leaves a file alone that is there already', async () => {
    const { write, file, out } = await zipped({ a: 'a' });
    await writeFile(file, 'mine');
    await expect(write()).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(file, 'utf8')).toBe('mine');
    expect(await readdir(out)).toEqual(['m.zip']);
  });

  it('ends when nobody waits for it, and leaves nothing', async () => {
    const left = new AbortController();
    const { write, out } = await zipped({ a: 'a' }, '', { signal: left.signal });
    const writing = write();
    left.abort(new Error('left'));
    await expect(writing).rejects.toThrow();
    expect(await readdir(out)).toEqual([]);
  });
});
