/** The store contract's part on purges, also while something is being filled and from another instance. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { PurgeEvent, Store } from '../store.ts';
import {
  collect,
  fakeH1,
  keyOf,
  put,
  putVersion,
  type StorePlace,
  sha256Of,
  textOf,
  versionOf,
} from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function purgingContract(makePlace: () => Promise<StorePlace>): void {
  describe('purging', () => {
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

    describe('purge', () => {
      it('removes a version, says how much, and lets it be stored again with other content', async () => {
        await putVersion(store, path, 'v1.0.0');
        await putVersion(store, path, 'v1.1.0');

        const result = await store.purge({ path: path, version: versionOf('v1.0.0') });

        expect(result.removedVersions).toBe(1);
        expect(result.removedBytes).toBeGreaterThan(`zip of ${path}@v1.0.0`.length);
        expect(await store.open(zip)).toBeUndefined();
        expect(await store.completeVersions(path)).toEqual(['v1.1.0']);
        expect((await put(store, zip, 'other')).outcome).toBe('published');
        expect(await textOf(store, zip)).toBe('other');
      });

      it('removes the whole version also where one artifact is named: only withdraw takes single ones', async () => {
        await putVersion(store, path, 'v1.0.0');
        const staged = await store.stage(mod);
        await store.purge({ path, version: versionOf('v1.0.0'), ext: 'zip' });
        expect(await store.holdsAnyOf(path)).toBe(false);
        await expect(staged.publish({ sha256: sha256Of(''), source: 't' })).rejects.toMatchObject({
          code: 'purged',
        });
        await staged.close();
      });

      it('removes a whole module', async () => {
        await putVersion(store, path, 'v1.0.0');
        await putVersion(store, path, 'v1.1.0');
        expect((await store.purge({ path: path })).removedVersions).toBe(2);
        expect(await collect(store.versions())).toEqual([]);
        expect((await store.purge({ path: path })).removedVersions).toBe(0);
      });

      it('tells listeners here and in another instance within a second', async () => {
        const event: PurgeEvent = { path: path, version: versionOf('v1.0.0') };
        const other = await place.open();
        const here: PurgeEvent[] = [];
        store.onPurge((purged) => here.push(purged));
        const there = Promise.withResolvers<PurgeEvent>();
        other.onPurge(there.resolve);
        const startedAtMs = performance.now();

        await store.purge(event);

        expect(here).toContainEqual(event);
        expect(await there.promise).toEqual(event);
        expect(performance.now() - startedAtMs).toBeLessThan(1_000);
      });

      it('tells nobody who unsubscribed', async () => {
        const heard: PurgeEvent[] = [];
        const unsubscribe = store.onPurge((event) => heard.push(event));
        unsubscribe();
        await store.purge({ path: path });
        expect(heard).toEqual([]);
      });

      it('refuses to publish what was staged before a purge of it, also one by another instance', async () => {
        const other = await place.open();
        for (const purger of [store, other]) {
          for (const event of [{ path: zip.path }, { path: zip.path, version: zip.version }]) {
            const staged = await store.stage(zip);
            await staged.write([Buffer.from('old')]);
            await purger.purge(event);

            const publishing = staged.publish({ sha256: sha256Of('old'), h1: fakeH1('old'), source: 'test' });

            await expect(publishing).rejects.toMatchObject({ code: 'purged' });
            await staged.close();
            expect(await other.has(zip)).toBe(false);
          }
        }
      });

      it('lets publish what was staged after it, and neighbours of what was purged', async () => {
        const neighbour = await store.stage(keyOf(path, 'v1.0.0-pre', 'mod'));
        await (await place.open()).purge({ path: path, version: versionOf('v1.0.0') });
        const published = await neighbour.publish({ sha256: sha256Of(''), source: 'test' });
        await neighbour.close();

        expect(published.outcome).toBe('published');
        expect((await put(store, zip, 'new')).outcome).toBe('published');
      });

      it('never leaves both a purge that is done and an older publication', async () => {
        const other = await place.open();
        for (let round = 0; round < 20; round++) {
          const staged = await store.stage(mod);
          const [published] = await Promise.allSettled([
            staged.publish({ sha256: sha256Of(''), source: 'test' }),
            other.purge({ path: mod.path }),
          ]);
          await staged.close();
          // Published before the purge: removed by it. Published after: refused. Either way it is gone.
          expect([published.status, await store.has(mod)]).toEqual([published.status, false]);
        }
      });
    });
  });
}
