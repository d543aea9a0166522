import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeModule, fakeModule } from './fake-module.ts';
import { startFakeUpstream } from './fake-upstream.ts';
import { type GoResult, goProject, runGo } from './go.ts';
import { makeModuleZip } from './make-zip.ts';
import { hashesOf } from './module-hashes.ts';
import { foreignZip, repackedZip, zipEntries, zipWithOneFileChanged } from './zip-variants.ts';

const MODULE = fakeModule({
  path: 'example.com/a',
  files: { 'sub/x.txt': 'x'.repeat(1000), 'empty.txt': '' },
});

/** What go says of the module with this zip, with the true module's lines in go.sum. */
async function download(zip: Buffer): Promise<GoResult> {
  const upstream = await startFakeUpstream({ modules: [{ ...MODULE, zip }] });
  onTestFinished(upstream.close);
  const project = await goProject({ [MODULE.path]: MODULE.version }, { goSum: MODULE.goSum });
  onTestFinished(project.remove);
  return runGo(['mod', 'download', '-json'], { cwd: project.path, env: { GOPROXY: upstream.url } });
}

describe('repackedZip', () => {
  it('is taken by go for the same module, with other bytes', async () => {
    const zip = repackedZip(MODULE);
    expect(zip.equals(MODULE.zip)).toBe(false);
    expect(hashesOf({ ...MODULE, zip })).toEqual(hashesOf(MODULE));
    expect(await download(zip)).toMatchObject({ code: 0 });
  });

  it('differs also from a zip that is stored already', () => {
    const stored = fakeModule({ path: 'example.com/a', zip: { compress: false } });
    expect(repackedZip(stored).equals(stored.zip)).toBe(false);
    expect(repackedZip({ zip: repackedZip(stored) }).equals(repackedZip(stored))).toBe(false);
  });
});

describe('zipWithOneFileChanged', () => {
  it('is a sound zip that go refuses for its hash', async () => {
    const result = await download(zipWithOneFileChanged(MODULE));
    expect(result.code).not.toBe(0);
    expect(result.stdout + result.stderr).toMatch(/checksum mismatch/);
  });

  it('changes the file that is asked for and no other', () => {
    const before = zipEntries(MODULE.zip);
    const after = zipEntries(zipWithOneFileChanged(MODULE, 'sub/x.txt'));
    const changed = after.filter(
      ({ content }, index) => !before[index] || Buffer.compare(before[index].content, content) !== 0,
    );
    expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name));
    expect(changed.map(({ name }) => name)).toEqual(['example.com/a@v1.0.0/sub/x.txt']);
    expect(() => zipWithOneFileChanged(MODULE, 'none')).toThrow('has no file none');
  });
});

describe('foreignZip', () => {
  it('is refused by go for its names', async () => {
    const result = await download(foreignZip(MODULE));
    expect(result.code).not.toBe(0);
    expect(result.stdout + result.stderr).toMatch('unexpected file foreign.test/other@v1.0.0/');
  });
});

describe('hashesOf', () => {
  it('computes what the module says of itself, from either writer of zips', () => {
    const files = { 'go.mod': MODULE.mod, 'a.go': 'package a\n' };
    const zips = [{}, { stored: true }, { comment: 'PK\u0005' }].map((options) =>
      makeModuleZip(MODULE.path, MODULE.version, files, options),
    );
    const { path, version, zipH1, modH1 }: FakeModule = MODULE;
    expect(hashesOf(MODULE)).toEqual({ path, version, zipH1, modH1 });
    expect(new Set(zips.map((zip) => hashesOf({ ...MODULE, zip }).zipH1)).size).toBe(1);
  });
});
