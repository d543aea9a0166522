import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { repackedZip, zipWithOneFileChanged } from '../../test/kit/zip-variants.ts';
import type { ArtifactExt } from '../gomod/types.ts';
import { sha256Of } from '../store/contract/kit.ts';
import type { Store } from '../store/store.ts';
import { ArtifactCheck, type CheckedArtifact } from './artifact-check.ts';
import type { Hasher } from './file-hasher.ts';
import {
  entryOf,
  flipBit,
  keyIn,
  modulesOf,
  newHasher,
  newVerifier,
  overwrite,
  setUp,
} from './test-scrub.ts';

async function stored(options: { hasher?: Hasher; paddingBytes?: number } = {}) {
  const [module] = modulesOf(1, options.paddingBytes ?? 3_000_000) as [FakeModule];
  const { store, layout, folder } = await setUp([module]);
  const hasher = options.hasher ?? newHasher();
  const check = new ArtifactCheck({ store, paths: layout, hasher, zips: newVerifier() });
  async function checked(ext: ArtifactExt, deep = false): Promise<CheckedArtifact | undefined> {
    const record = (await entryOf(store, module))?.artifacts[ext];
    if (record === undefined) return undefined;
    return await check.check(keyIn(module, ext), record, { deep });
  }
  const fileOf = (ext: ArtifactExt): string => layout.artifact(keyIn(module, ext));
  const recordOf = (ext: ArtifactExt): string => layout.record(keyIn(module, ext));
  function changeRecord(ext: ArtifactExt, change: object): void {
    fs.writeFileSync(
      recordOf(ext),
      JSON.stringify({ ...JSON.parse(fs.readFileSync(recordOf(ext), 'utf8')), ...change }),
    );
  }
  return { module, store: store as Store, layout, folder, check, checked, fileOf, changeRecord };
}

const other = `h1:${Buffer.alloc(32, 7).toString('base64')}`;
const kinds = (checked: CheckedArtifact | undefined) => checked?.faults.map(({ kind }) => kind);

describe('a stored artifact', () => {
  it('is good as it was published, deeply and not', async () => {
    const { checked, module } = await stored();

    for (const ext of ['info', 'mod', 'zip'] as const) {
      for (const deep of [false, true]) {
        const found = await checked(ext, deep);
        expect(found).toMatchObject({ verdict: 'good', faults: [], sizeBytes: module[ext].length });
        expect(found?.sha256).toBe(sha256Of(module[ext]));
      }
    }
    expect((await checked('zip', true))?.h1).toBe(module.zipH1);
    expect((await checked('zip'))?.h1).toBeUndefined();
    expect((await checked('mod'))?.h1).toBe(module.modH1);
  });

  it.each(['info', 'mod', 'zip'] as const)('with a flipped bit in its .%s is rotten', async (ext) => {
    const { checked, fileOf } = await stored();
    flipBit(fileOf(ext));

    const found = await checked(ext);

    expect(found?.verdict).toBe('rotten');
    expect(kinds(found)).toContain('changed');
  });

  it('that was cut is rotten', async () => {
    const { checked, fileOf } = await stored();
    fs.truncateSync(fileOf('zip'), 1_000_000);

    const found = await checked('zip');

    expect(found).toMatchObject({ verdict: 'rotten', sizeBytes: 1_000_000 });
    expect(found?.faults[0]?.detail).toMatch(/^it has 1000000 bytes, recorded are \d+$/);
  });

  it('whose zip was packed anew with the same tree is to be recorded anew', async () => {
    const { checked, fileOf, module } = await stored({ paddingBytes: 0 });
    overwrite(fileOf('zip'), repackedZip(module));

    expect(await checked('zip')).toMatchObject({ verdict: 'renew', h1: module.zipH1 });
  });

  it('whose zip has another tree is rotten, however sound it is', async () => {
    const { checked, fileOf, module } = await stored({ paddingBytes: 0 });
    overwrite(fileOf('zip'), zipWithOneFileChanged(module));

    const found = await checked('zip');

    expect(found?.verdict).toBe('rotten');
    expect(kinds(found)).toEqual(['changed']);
  });

  it.each(['mod', 'zip'] as const)(
    'of whose .%s a wrong hash is recorded is to be recorded anew',
    async (ext) => {
      const { checked, changeRecord, module } = await stored();
      changeRecord(ext, { h1: other });

      const found = await checked(ext);

      expect(found).toMatchObject({ verdict: 'renew', h1: ext === 'mod' ? module.modH1 : module.zipH1 });
      expect(kinds(found)).toEqual(['h1']);
    },
  );

  it.each(['mod', 'zip'] as const)(
    'of whose .%s a wrong SHA-256 is recorded is to be recorded anew',
    async (ext) => {
      const { checked, changeRecord } = await stored();
      changeRecord(ext, { sha256: 'ab'.repeat(32) });

      expect((await checked(ext))?.verdict).toBe('renew');
    },
  );

  it('with a wrong .ziphash, or none, is to be recorded anew', async () => {
    const { checked, layout, module } = await stored();
    const file = layout.zipHash(keyIn(module, 'zip'));
    fs.writeFileSync(file, other);

    const wrong = await checked('zip');
    fs.rmSync(file);
    const missing = await checked('zip');

    expect([wrong?.verdict, kinds(wrong)]).toEqual(['renew', ['ziphash']]);
    expect([missing?.verdict, kinds(missing)]).toEqual(['renew', ['ziphash']]);
  });

  it('is rotten when neither the record nor .ziphash knows its tree', async () => {
    const { checked, changeRecord, layout, module } = await stored();
    changeRecord('zip', { h1: other });
    fs.writeFileSync(layout.zipHash(keyIn(module, 'zip')), `h1:${Buffer.alloc(32, 9).toString('base64')}`);

    expect((await checked('zip'))?.verdict).toBe('rotten');
  });

  it('whose record was lost with a rotten zip is rotten by .ziphash', async () => {
    const { checked, fileOf, layout, module, folder } = await stored();
    flipBit(fileOf('zip'));
    fs.rmSync(layout.record(keyIn(module, 'zip')));
    // Another process: nothing of it is in memory.
    const store = await folder.open();
    expect((await entryOf(store, module))?.artifacts.zip?.source).toBe('unknown');

    expect((await checked('zip'))?.verdict).toBe('rotten');
  });

  it('that was purged is no fault', async () => {
    const { store, check, module } = await stored();
    const record = (await entryOf(store, module))?.artifacts.zip;
    const { path } = keyIn(module, 'zip');
    await store.purge({ path });

    expect(record).toBeDefined();
    if (record === undefined) return;
    expect(await check.check(keyIn(module, 'zip'), record)).toBeUndefined();
  });

  it('that was purged and published anew while it was read is held against the new record', async () => {
    const { store, check, module, fileOf, layout } = await stored({ paddingBytes: 0 });
    const key = keyIn(module, 'zip');
    const old = (await entryOf(store, module))?.artifacts.zip;
    if (old === undefined) throw new Error('it is not stored');
    const bytes = repackedZip(module);
    await store.purge({ path: key.path });
    const staged = await store.stage(key);
    await staged.write([bytes]);
    await staged.publish({ sha256: sha256Of(bytes), h1: module.zipH1, source: 'second' });
    await staged.close();

    const found = await check.check(key, old);

    expect(found).toMatchObject({ verdict: 'good', faults: [], sha256: sha256Of(bytes) });
    expect(fs.existsSync(fileOf('zip')) && fs.existsSync(layout.zipHash(key))).toBe(true);
  });

  it('that cannot be read is neither good nor rotten', async () => {
    const hasher: Hasher = {
      hash: () => Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })),
    };
    const { checked } = await stored({ hasher });

    expect(await checked('zip')).toMatchObject({ verdict: 'unreadable', errno: 'EIO', sha256: undefined });
  });
});
