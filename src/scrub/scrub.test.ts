import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { zipWithOneFileChanged } from '../../test/kit/zip-variants.ts';
import { known, playedJudge } from '../checksums/test-judges.ts';
import { StoreError } from '../store/store-error.ts';
import {
  entryOf,
  flipBit,
  healingFrom,
  keyIn,
  makeScrub,
  modulesOf,
  next,
  overwrite,
  setUp,
  storedBytes,
  storeModule,
} from './test-scrub.ts';

const { signal } = new AbortController();
const proof = { by: 'operator', reason: 'test', atMs: 1 } as const;

/** Runs one whole pass in the background. */
async function onePass({ scrub, events }: ReturnType<typeof makeScrub>) {
  const finished = next(events, 'finished');
  scrub.startNow();
  return await finished;
}

describe('a pass', () => {
  it('finds nothing wrong with a store that is whole', async () => {
    const { folder, store } = await setUp(modulesOf(3, 100_000));
    const made = makeScrub(folder, store);

    const report = await onePass(made);

    expect(report).toMatchObject({ artifacts: 9, rotten: 0, renewed: 0, unreadable: 0, quarantined: 0 });
    expect(report.bytes).toBeGreaterThan(300_000);
    expect(made.told).toEqual(['started', 'finished 9']);
    expect(await store.quarantine.list()).toEqual([]);
  });

  it.each(['info', 'mod', 'zip'] as const)('heals a rotten .%s from a source', async (ext) => {
    const modules = modulesOf(2);
    const [module] = modules;
    if (module === undefined) throw new Error('no module');
    const { folder, store, layout } = await setUp(modules);
    const { heal, server } = await healingFrom(store, modules);
    flipBit(layout.artifact(keyIn(module, ext)));
    const made = makeScrub(folder, store, { heal });

    const report = await onePass(made);

    expect(report).toMatchObject({ rotten: 1, healed: 1, quarantined: 0 });
    expect(made.told).toContain(`healed example.com/m0@v1.0.0.${ext} mirror`);
    expect(await storedBytes(store, keyIn(module, ext))).toEqual(module[ext]);
    expect(server.requests).toHaveLength(1);
    const [entry] = await store.quarantine.list();
    expect(entry).toMatchObject({ cause: 'rotten', source: 'store', hasBytes: true });
    expect((await onePass(makeScrub(folder, store, { heal }))).rotten).toBe(0);
  });

  it('leaves in quarantine what no source can heal', async () => {
    const [module] = modulesOf(1);
    if (module === undefined) throw new Error('no module');
    const { folder, store, layout } = await setUp([module]);
    const { heal } = await healingFrom(store, []);
    flipBit(layout.artifact(keyIn(module, 'zip')));
    const made = makeScrub(folder, store, { heal });

    const report = await onePass(made);

    expect(report).toMatchObject({ rotten: 1, healed: 0, quarantined: 1 });
    expect(await store.has(keyIn(module, 'zip'))).toBe(false);
    expect(await store.has(keyIn(module, 'mod'))).toBe(true);
    expect(await store.quarantine.of(keyIn(module, 'zip'))).toHaveLength(1);
  });

  it('does not put another content in the place of what rotted', async () => {
    const [module] = modulesOf(1);
    if (module === undefined) throw new Error('no module');
    const { folder, store, layout } = await setUp([module]);
    const { heal } = await healingFrom(store, [{ ...module, zip: zipWithOneFileChanged(module) }]);
    flipBit(layout.artifact(keyIn(module, 'zip')));

    const report = await onePass(makeScrub(folder, store, { heal }));

    expect(report).toMatchObject({ rotten: 1, healed: 0, quarantined: 1 });
    expect(await store.has(keyIn(module, 'zip'))).toBe(false);
    const causes = (await store.quarantine.of(keyIn(module, 'zip'))).map(
      ({ cause, source }) => `${cause} ${source}`,
    );
    expect(new Set(causes)).toEqual(new Set(['mismatch mirror', 'rotten store']));
  });

  it('records anew what is good but wrongly recorded, without asking anybody', async () => {
    const [module] = modulesOf(1, 50_000);
    if (module === undefined) throw new Error('no module');
    const { folder, layout } = await setUp([module], { proof });
    const record = layout.record(keyIn(module, 'zip'));
    const truth = JSON.parse(fs.readFileSync(record, 'utf8'));
    fs.writeFileSync(record, JSON.stringify({ ...truth, sha256: 'ab'.repeat(32) }));
    fs.rmSync(layout.zipHash(keyIn(module, 'zip')));
    const fresh = await folder.open();
    const made = makeScrub(folder, fresh);

    const report = await onePass(made);

    expect(report).toMatchObject({ renewed: 1, rotten: 0, quarantined: 0 });
    const { sha256, h1, source } = truth;
    expect((await entryOf(fresh, module))?.artifacts.zip).toMatchObject({ sha256, h1, source, proof });
    expect(fs.readFileSync(layout.zipHash(keyIn(module, 'zip')), 'utf8')).toBe(module.zipH1);
    expect(await storedBytes(fresh, keyIn(module, 'zip'))).toEqual(module.zip);
    expect(await fresh.quarantine.list()).toEqual([]);
  });

  it('never takes out what it records anew', async () => {
    const [module] = modulesOf(1, 200_000);
    if (module === undefined) throw new Error('no module');
    const { folder, layout } = await setUp([module], { proof });
    fs.rmSync(layout.zipHash(keyIn(module, 'zip')));
    const fresh = await folder.open();
    const told: unknown[] = [];
    fresh.onPurge((event) => told.push(event));
    fresh.withdraw = () => Promise.reject(new Error('it was about to be withdrawn'));
    const final = layout.artifact(keyIn(module, 'zip'));
    const before = fs.statSync(final).ino;

    expect(await onePass(makeScrub(folder, fresh))).toMatchObject({ renewed: 1, rotten: 0 });

    expect(fs.statSync(final).ino).toBe(before);
    expect(told).toEqual([]);
    expect(fs.readFileSync(layout.zipHash(keyIn(module, 'zip')), 'utf8')).toBe(module.zipH1);
  });

  it('tells of a record that the disk does not give back, and goes on to the end', async () => {
    const modules = modulesOf(3);
    const [module] = modules;
    if (module === undefined) throw new Error('no module');
    const { folder, layout } = await setUp(modules, { proof });
    // Reads of it end with EIO.
    fs.rmSync(layout.record(keyIn(module, 'zip')));
    fs.symlinkSync('/proc/self/mem', layout.record(keyIn(module, 'zip')));
    const made = makeScrub(folder, await folder.open());
    const unreadable = next(made.events, 'unreadable');

    expect(await onePass(made)).toMatchObject({ artifacts: 8, unreadable: 1, rotten: 0, quarantined: 0 });

    expect(await unreadable).toMatchObject({
      key: keyIn(module, 'zip'),
      reason: expect.stringContaining('EIO'),
    });
  });

  it('goes on behind what the store takes no withdrawal of', async () => {
    const modules = modulesOf(2);
    const [module] = modules;
    if (module === undefined) throw new Error('no module');
    const { folder, store, layout } = await setUp(modules);
    flipBit(layout.artifact(keyIn(module, 'zip')));
    store.withdraw = () => Promise.reject(new StoreError('read_only', 'nothing may be written'));
    const made = makeScrub(folder, store);
    const stuck = next(made.events, 'stuck');

    expect(await onePass(made)).toMatchObject({ artifacts: 6, rotten: 0, quarantined: 0 });
    expect((await stuck).key.ext).toBe('zip');
    expect(await store.has(keyIn(module, 'zip'))).toBe(true);
  });

  it('leaves alone what cannot be read', async () => {
    const { folder, store } = await setUp(modulesOf(1));
    const hasher = {
      hash: () => Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })),
      close: async () => {},
    };
    const made = makeScrub(folder, store, { hasher });

    const report = await onePass(made);

    expect(report).toMatchObject({ artifacts: 3, unreadable: 3, rotten: 0 });
    expect(await store.quarantine.list()).toEqual([]);
  });

  it('goes on while the store is purged and filled under it', async () => {
    const modules = modulesOf(30, 20_000);
    const { folder, store } = await setUp(modules);
    const made = makeScrub(folder, store);
    const finished = onePass(made);

    for (const module of modules) {
      await store.purge({ path: keyIn(module, 'zip').path });
      await storeModule(store, module);
    }
    const report = await finished;

    expect(report).toMatchObject({ rotten: 0, renewed: 0, unreadable: 0 });
    expect(made.told.filter((line) => /^(rotten|failed|unreadable)/.test(line))).toEqual([]);
  });
});

describe('proofs', () => {
  it('are recorded for what had none, and asked for no more', async () => {
    const [module] = modulesOf(1);
    if (module === undefined) throw new Error('no module');
    const { folder, store } = await setUp([module]);
    const judge = playedJudge((name) => known(name.endsWith('.zip') ? module.zipH1 : module.modH1));

    const report = await onePass(makeScrub(folder, store, { judge }));
    expect(report).toMatchObject({ proven: 2, unproven: 0, mismatched: 0 });
    expect((await entryOf(store, module))?.artifacts.zip?.proof).toMatchObject({ by: 'sumdb', recordId: 7 });
    expect(judge.asked).toHaveLength(2);

    const again = makeScrub(folder, store, { judge });
    await again.scrub.runOnce({ signal });
    expect(judge.asked).toHaveLength(2);
    const all = await again.scrub.runOnce({ signal, against: 'sumdb' });
    expect(judge.asked).toHaveLength(4);
    expect(all).toMatchObject({ proven: 0, mismatched: 0 });
  });

  it('that say otherwise take the artifact out and bring the right one', async () => {
    const [module] = modulesOf(1);
    if (module === undefined) throw new Error('no module');
    const changed = { ...module, zip: zipWithOneFileChanged(module) };
    const { folder, layout } = await setUp([module]);
    // As a store was filled by a program that checked nothing.
    const zip = layout.artifact(keyIn(module, 'zip'));
    overwrite(zip, changed.zip);
    fs.rmSync(layout.record(keyIn(module, 'zip')));
    fs.rmSync(layout.zipHash(keyIn(module, 'zip')));
    const fresh = await folder.open();
    const judge = playedJudge((name) => known(name.endsWith('.zip') ? module.zipH1 : module.modH1));
    const { heal } = await healingFrom(fresh, [module], { judge });
    const made = makeScrub(folder, fresh, { judge, heal });

    const report = await onePass(made);

    expect(report).toMatchObject({ mismatched: 1, healed: 1, quarantined: 0 });
    expect(await storedBytes(fresh, keyIn(module, 'zip'))).toEqual(module.zip);
    expect((await fresh.quarantine.list())[0]).toMatchObject({
      cause: 'mismatch',
      expectedH1: module.zipH1,
      expectedBy: 'sum.test #7',
    });
  });

  it('missing because checksums are off do not count', async () => {
    const { folder, store } = await setUp(modulesOf(2));
    const judge = playedJudge(() => ({ kind: 'unproven', why: 'off', reason: 'off' }));

    expect(await onePass(makeScrub(folder, store, { judge }))).toMatchObject({ unproven: 0, proven: 0 });
  });
});

describe('a check that was asked for', () => {
  it('tells what is wrong and changes nothing', async () => {
    const modules = modulesOf(2);
    const [module] = modules;
    if (module === undefined) throw new Error('no module');
    const { folder, store, layout } = await setUp(modules);
    flipBit(layout.artifact(keyIn(module, 'zip')));
    await store.idle();
    const before = folder.files();
    const made = makeScrub(folder, store);
    const seen: number[] = [];

    const report = await made.scrub.runOnce({
      signal,
      deep: true,
      onProgress: ({ artifacts }) => seen.push(artifacts),
    });

    expect(report).toMatchObject({ artifacts: 6, rotten: 1, quarantined: 0 });
    expect(made.told).toContain('rotten example.com/m0@v1.0.0.zip');
    expect(seen).toEqual([3, 6]);
    expect(folder.files()).toEqual(before);
  });

  it('keeps to one module', async () => {
    const [module, other] = modulesOf(2);
    if (module === undefined || other === undefined) throw new Error('no modules');
    const { folder, store } = await setUp([module, other]);
    const { path: under } = keyIn(module, 'zip');

    expect((await makeScrub(folder, store).scrub.runOnce({ signal, under })).artifacts).toBe(3);
  });

  it('ends when its asker leaves', async () => {
    const { folder, store } = await setUp(modulesOf(3));
    const asker = new AbortController();
    const running = makeScrub(folder, store).scrub.runOnce({
      signal: asker.signal,
      onProgress: () => asker.abort(new Error('left')),
    });

    await expect(running).rejects.toThrow('left');
  });
});
