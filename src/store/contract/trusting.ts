/** The store contract's part on what is known of a published artifact's truth, and on what still waits for a proof. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Proof, Store, Trust } from '../store.ts';
import { collect, evidenceOf, fakeH1, keyOf, put, type StorePlace, sha256Of } from './kit.ts';

const proof: Proof = {
  by: 'sumdb',
  database: 'sum.test',
  recordId: 7,
  treeSize: 12,
  atMs: 1_700_000_000_000,
};
const label: Proof = { by: 'go.sum', label: 'shop/go.sum', atMs: 5 };
const released: Proof = { by: 'operator', reason: 'looked at it', atMs: 6 };

/** Registers the tests; `makePlace` is called before each. */
export function trustingContract(makePlace: () => Promise<StorePlace>): void {
  describe('trust', () => {
    let place: StorePlace;
    let store: Store;
    const path = parseModulePath('example.com/a');
    const zip = keyOf(path, 'v1.0.0', 'zip');
    const mod = keyOf(path, 'v1.0.0', 'mod');

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    async function trustIn(from: Store, key: ArtifactKey): Promise<Trust | undefined> {
      const file = await from.open(key);
      await file?.close();
      if (file === undefined) return undefined;
      const { proof: by, unproven } = file.record;
      return { ...(by === undefined ? {} : { proof: by }), ...(unproven === undefined ? {} : { unproven }) };
    }

    async function waiting(from: Store = store): Promise<string[]> {
      const keys = await collect(from.awaitingProof());
      return keys.map((key) => `${key.path}@${key.version}.${key.ext}`).toSorted();
    }

    it.each<[string, Trust]>([
      ['a record of a checksum database', { proof }],
      ['a line of a go.sum', { proof: label }],
      ["an operator's release", { proof: released }],
      ['no checksums wanted', { unproven: 'off' }],
      ['no record reached', { unproven: 'unreachable' }],
      ['nothing that could prove it', { unproven: 'none' }],
      ['nothing known', {}],
    ])('is kept as published, in another instance and in walks: %s', async (_, trust) => {
      const result = await put(store, zip, 'body', trust);
      const other = await place.open();

      expect(result.record).toMatchObject(trust);
      expect(await trustIn(other, zip)).toEqual(trust);
      const [entry] = await collect(other.versions());
      expect(entry?.artifacts.zip).toMatchObject(trust);
    });

    it('is changed by setTrust, one way and the other', async () => {
      await put(store, zip, 'body', { unproven: 'unreachable', source: 'mirror' });

      expect(await store.setTrust(zip, sha256Of('body'), { proof })).toBe(true);
      expect(await trustIn(await place.open(), zip)).toEqual({ proof });
      expect(await store.setTrust(zip, sha256Of('body'), { unproven: 'off' })).toBe(true);

      const file = await (await place.open()).open(zip);
      await file?.close();
      expect(file?.record).toMatchObject({ unproven: 'off', source: 'mirror', h1: fakeH1('body') });
      expect(file?.record.proof).toBeUndefined();
    });

    it('is not changed for other bytes, nor for what is not there', async () => {
      await put(store, zip, 'body', { unproven: 'off' });

      expect(await store.setTrust(zip, sha256Of('other'), { proof })).toBe(false);
      expect(await store.setTrust(mod, sha256Of('body'), { proof })).toBe(false);

      expect(await trustIn(store, zip)).toEqual({ unproven: 'off' });
      expect(await store.has(mod)).toBe(false);
      expect(await waiting()).toEqual([]);
    });

    it('grows when equal content comes with a proof, and never shrinks', async () => {
      await put(store, zip, 'packed one way', {
        h1: fakeH1('tree'),
        unproven: 'unreachable',
        source: 'first',
      });

      const second = await put(await place.open(), zip, 'another', { h1: fakeH1('tree'), proof });
      const third = await put(store, zip, 'packed one way', { h1: fakeH1('tree'), unproven: 'unreachable' });

      for (const { outcome, record } of [second, third]) {
        expect(outcome).toBe('present');
        expect(record).toMatchObject({ proof, source: 'first', sha256: sha256Of('packed one way') });
        expect(record.unproven).toBeUndefined();
      }
      expect(await waiting()).toEqual([]);
    });

    it('of a conflicting publication changes nothing', async () => {
      await put(store, zip, 'one', { proof });
      expect((await put(store, zip, 'two', { unproven: 'unreachable' })).outcome).toBe('conflict');
      expect(await trustIn(store, zip)).toEqual({ proof });
      expect(await waiting()).toEqual([]);
    });

    describe('onOutdated', () => {
      it('tells listeners here and in another instance, and no listener of purges or trust', async () => {
        const other = await place.open();
        const wrong: unknown[] = [];
        for (const each of [store, other]) {
          each.onPurge((event) => wrong.push(event));
          each.onTrust((key) => wrong.push(key));
        }
        const here: string[] = [];
        store.onOutdated((path) => here.push(path));
        const gone: string[] = [];
        store.onOutdated((path) => gone.push(path))();
        const there = Promise.withResolvers<string>();
        other.onOutdated((path) => there.resolve(path));
        await store.tellOutdated(zip.path);
        expect([here, gone]).toEqual([[zip.path], []]);
        expect(await there.promise).toBe(zip.path);
        expect(wrong).toEqual([]);
      });
    });

    describe('onTrust', () => {
      it('tells listeners here and in another instance, and no listener of purges', async () => {
        await put(store, zip, 'body', { unproven: 'unreachable' });
        await put(store, mod, 'module a\n', { unproven: 'unreachable' });
        const other = await place.open();
        const purges: unknown[] = [];
        for (const each of [store, other]) each.onPurge((event) => purges.push(event));
        const here: ArtifactKey[] = [];
        store.onTrust((key) => here.push(key));
        const there: ArtifactKey[] = [];
        const both = Promise.withResolvers<void>();
        other.onTrust((key) => {
          there.push(key);
          if (there.length === 2) both.resolve();
        });

        await store.setTrust(zip, sha256Of('body'), { proof });
        await store.setTrust(mod, sha256Of('module a\n'), { proof });
        await both.promise;

        expect([here, there]).toEqual([
          [zip, mod],
          [zip, mod],
        ]);
        expect(purges).toEqual([]);
      });

      it('is silent where nothing changed, where nothing is, and to whoever unsubscribed', async () => {
        await put(store, zip, 'body', { proof });
        const heard: ArtifactKey[] = [];
        store.onTrust((key) => heard.push(key));
        const gone: ArtifactKey[] = [];
        store.onTrust((key) => gone.push(key))();

        const later: Proof = { by: 'sumdb', database: 'sum.test', recordId: 7, treeSize: 99, atMs: 3 };
        await store.setTrust(zip, sha256Of('body'), { proof: later });
        await store.setTrust(zip, sha256Of('other'), { unproven: 'off' });
        await store.setTrust(mod, sha256Of('body'), { proof });
        expect(heard).toEqual([]);
        await store.setTrust(zip, sha256Of('body'), { proof: label });
        expect([heard, gone]).toEqual([[zip], []]);
      });

      it('tells of what an equal publication proved', async () => {
        await put(store, zip, 'body', { unproven: 'unreachable' });
        const heard: ArtifactKey[] = [];
        store.onTrust((key) => heard.push(key));
        await put(store, zip, 'body', { proof });
        await put(store, zip, 'body', { proof });
        expect(heard).toEqual([zip]);
      });

      it('means that a proof which was taken back is not shown any more, in any instance', async () => {
        await put(store, zip, 'body', { proof });
        const other = await place.open();
        expect(await trustIn(other, zip)).toEqual({ proof });
        const told = Promise.withResolvers<ArtifactKey>();
        other.onTrust(told.resolve);

        await store.setTrust(zip, sha256Of('body'), { unproven: 'unreachable' });
        await told.promise;

        expect(await trustIn(other, zip)).toEqual({ unproven: 'unreachable' });
      });
    });

    describe('renew', () => {
      const facts = { sha256: sha256Of('body'), h1: fakeH1('right'), proof };

      it('records anew what is published, without taking it out, and keeps where it came from', async () => {
        const before = await put(store, zip, 'body', { unproven: 'off', source: 'mirror' });
        const other = await place.open();
        expect(await trustIn(other, zip)).toEqual({ unproven: 'off' });
        const purges: unknown[] = [];
        store.onPurge((event) => purges.push(event));
        const told = Promise.withResolvers<ArtifactKey>();
        other.onTrust(told.resolve);

        expect(await store.renew(zip, facts)).toBe(true);

        expect(await told.promise).toEqual(zip);
        for (const each of [store, other]) {
          const file = await each.open(zip);
          await file?.close();
          const { unproven: _, ...kept } = before.record;
          expect(file?.record).toEqual({ ...kept, h1: fakeH1('right'), proof });
        }
        expect(purges).toEqual([]);
        expect(await store.quarantine.list()).toEqual([]);
      });

      it('is refused for other bytes, and for what is not there', async () => {
        await put(store, zip, 'body', { unproven: 'off' });
        expect(await store.renew(zip, { ...facts, sha256: sha256Of('other') })).toBe(false);
        expect(await store.renew(mod, facts)).toBe(false);
        expect(await trustIn(store, zip)).toEqual({ unproven: 'off' });
        expect(await store.has(mod)).toBe(false);
      });

      it('begins and ends the wait for a proof', async () => {
        await put(store, zip, 'body', { proof });
        await store.renew(zip, { sha256: facts.sha256, unproven: 'unreachable' });
        expect(await waiting()).toEqual([`${path}@v1.0.0.zip`]);
        await store.renew(zip, facts);
        expect(await waiting()).toEqual([]);
      });

      it('leaves no record behind a purge or a withdrawal at the same time', async () => {
        const other = await place.open();
        for (let round = 0; round < 12; round++) {
          const key = keyOf(path, `v1.9.${round}`, 'zip');
          await put(store, key, 'body', { proof: label });
          await Promise.all([
            store.renew(key, facts),
            round % 2 === 0
              ? other.purge({ path, version: key.version })
              : other.withdraw(key, { ...evidenceOf(key, 'body'), source: 'store' }),
          ]);
          expect(await store.has(key)).toBe(false);
          const next = await put(other, key, 'next', { unproven: 'off', h1: fakeH1('next') });
          expect(next.outcome).toBe('published');
          expect(await trustIn(await place.open(), key)).toEqual({ unproven: 'off' });
        }
      });
    });

    describe('awaitingProof', () => {
      const names = [`${path}@v1.0.0.mod`, `${path}@v1.0.0.zip`];

      beforeEach(async () => {
        await put(store, zip, 'body', { unproven: 'unreachable' });
        await put(store, mod, 'module a\n', { unproven: 'unreachable' });
        await put(store, keyOf(path, 'v1.1.0', 'zip'), 'off', { unproven: 'off' });
        await put(store, keyOf(path, 'v1.2.0', 'zip'), 'proven', { proof });
      });

      it('yields what was published as unreachable, in every instance, also a later one', async () => {
        expect(await waiting()).toEqual(names);
        await store.close();
        expect(await waiting(await place.open())).toEqual(names);
      });

      it('ends with a proof or another reason, by whichever instance', async () => {
        await (await place.open()).setTrust(zip, sha256Of('body'), { proof });
        await store.setTrust(mod, sha256Of('module a\n'), { unproven: 'off' });
        expect(await waiting()).toEqual([]);
      });

      it('begins with setTrust as well', async () => {
        await store.setTrust(keyOf(path, 'v1.1.0', 'zip'), sha256Of('off'), { unproven: 'unreachable' });
        expect(await waiting()).toEqual([...names, `${path}@v1.1.0.zip`]);
      });

      it('ends with a purge, of the version or the module', async () => {
        await put(store, keyOf(path, 'v1.3.0', 'zip'), 'x', { unproven: 'unreachable' });
        await store.purge({ path, version: zip.version });
        expect(await waiting()).toEqual([`${path}@v1.3.0.zip`]);
        await store.purge({ path });
        expect(await waiting()).toEqual([]);
      });

      it('does not begin when the publication was overtaken by a purge', async () => {
        const info = keyOf(path, 'v1.9.0', 'info');
        const staged = await store.stage(info);
        await store.purge({ path, version: info.version });
        const publishing = staged.publish({ sha256: sha256Of(''), source: 't', unproven: 'unreachable' });
        await expect(publishing).rejects.toMatchObject({ code: 'purged' });
        await staged.close();
        expect(await waiting()).toEqual(names);
      });

      it('goes through while what it yields is proven', async () => {
        const seen: string[] = [];
        for await (const key of store.awaitingProof()) {
          seen.push(key.ext);
          await store.setTrust(key, sha256Of(key.ext === 'zip' ? 'body' : 'module a\n'), { proof });
        }
        expect(seen.toSorted()).toEqual(['mod', 'zip']);
        expect(await waiting()).toEqual([]);
      });
    });
  });
}
