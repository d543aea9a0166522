/** The store contract's part on taking a published artifact out of what is served, into quarantine. */
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { PurgeEvent, Store } from '../store.ts';
import {
  collect,
  evidenceOf,
  fakeH1,
  keyOf,
  put,
  putVersion,
  type StorePlace,
  sha256Of,
  textOf,
} from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function withdrawingContract(makePlace: () => Promise<StorePlace>): void {
  describe('withdraw', () => {
    let place: StorePlace;
    let store: Store;
    const path = parseModulePath('example.com/a');
    const zip = keyOf(path, 'v1.0.0', 'zip');
    const mod = keyOf(path, 'v1.0.0', 'mod');
    const body = `zip of ${path}@v1.0.0`;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
      await putVersion(store, path, 'v1.0.0');
      await putVersion(store, path, 'v1.1.0');
    });
    afterEach(() => place.remove());

    it('takes the one artifact out and into quarantine, for every instance', async () => {
      const other = await place.open();
      expect(await textOf(other, zip)).toBe(body);

      const entry = await store.withdraw(zip, { ...evidenceOf(zip, body), source: 'store', cause: 'rotten' });

      expect(entry).toMatchObject({
        key: zip,
        cause: 'rotten',
        hasBytes: true,
        count: 1,
        sizeBytes: body.length,
      });
      const file = await other.quarantine.fileOf(entry?.id ?? '');
      expect(await readFile(file ?? '', 'utf8')).toBe(body);
      for (const each of [store, other]) {
        expect(await each.has(zip)).toBe(false);
        expect(await each.open(zip)).toBeUndefined();
        expect(await textOf(each, mod)).toBe(`module ${path}\n`);
        expect(await each.completeVersions(path)).toEqual(['v1.1.0']);
      }
      const [withdrawn] = (await collect(other.versions())).filter((each) => each.version === zip.version);
      expect(Object.keys(withdrawn?.artifacts ?? {}).toSorted()).toEqual(['info', 'mod']);
    });

    it('is undefined where nothing is, the second time, and for other bytes', async () => {
      const absent = keyOf(path, 'v1.2.0', 'zip');
      expect(await store.withdraw(absent, evidenceOf(absent, body))).toBeUndefined();
      expect(await store.withdraw(zip, evidenceOf(zip, 'healed meanwhile'))).toBeUndefined();
      expect(await textOf(store, zip)).toBe(body);
      expect(await store.quarantine.list()).toEqual([]);

      expect(await store.withdraw(zip, evidenceOf(zip, body))).toBeDefined();
      expect(await store.withdraw(zip, evidenceOf(zip, body))).toBeUndefined();
      expect(await store.quarantine.list()).toEqual([expect.objectContaining({ count: 1 })]);
    });

    it('is done by exactly one of two instances at once', async () => {
      const other = await place.open();
      const evidence = evidenceOf(zip, body);
      const entries = await Promise.all([store.withdraw(zip, evidence), other.withdraw(zip, evidence)]);
      expect(entries.filter((entry) => entry !== undefined)).toHaveLength(1);
      expect(await store.quarantine.list()).toEqual([expect.objectContaining({ count: 1, hasBytes: true })]);
    });

    it('lets other content be published under the name, with a record of its own', async () => {
      const other = await place.open();
      expect(await textOf(other, zip)).toBe(body);
      await store.withdraw(zip, evidenceOf(zip, body));

      const result = await put(other, zip, 'healed', { source: 'second' });

      expect(result).toMatchObject({
        outcome: 'published',
        record: { source: 'second', h1: fakeH1('healed') },
      });
      expect(await textOf(store, zip)).toBe('healed');
      expect(await store.completeVersions(path)).toHaveLength(2);
      expect(await store.quarantine.list()).toEqual([expect.objectContaining({ hasBytes: true })]);
    });

    it('tells listeners here and in another instance which artifact went', async () => {
      const event: PurgeEvent = { path, version: zip.version, ext: 'zip' };
      const other = await place.open();
      const here: PurgeEvent[] = [];
      store.onPurge((told) => here.push(told));
      const there = Promise.withResolvers<PurgeEvent>();
      other.onPurge(there.resolve);

      await store.withdraw(zip, evidenceOf(zip, body));

      expect(here).toContainEqual(event);
      expect(await there.promise).toEqual(event);
    });

    it('tells them again when the file is gone: what they looked up before was still there', async () => {
      const seen: Promise<boolean>[] = [];
      store.onPurge(() => seen.push(store.has(zip)));
      await store.withdraw(zip, evidenceOf(zip, body));
      expect((await Promise.all(seen)).at(-1)).toBe(false);
    });

    it('stops no fill, neither of its own artifact nor of its neighbours', async () => {
      const other = await place.open();
      const fills = await Promise.all([store.stage(zip), other.stage(keyOf(path, 'v1.0.0-pre', 'zip'))]);
      for (const fill of fills) await fill.write([Buffer.from('good')]);

      await store.withdraw(zip, evidenceOf(zip, body));

      for (const fill of fills) {
        const published = await fill.publish({ sha256: sha256Of('good'), h1: fakeH1('good'), source: 't' });
        await fill.close();
        expect(published.outcome).toBe('published');
      }
      expect(await textOf(other, zip)).toBe('good');
    });

    it('ends the wait for a proof', async () => {
      const late = keyOf(path, 'v1.2.0', 'zip');
      await put(store, late, 'late', { unproven: 'unreachable' });
      await store.withdraw(late, evidenceOf(late, 'late'));
      expect(await collect(store.awaitingProof())).toEqual([]);
    });

    it('leaves readers what they have open', async () => {
      const file = await store.open(zip);
      await store.withdraw(zip, evidenceOf(zip, body));
      expect((await file?.readAll())?.toString()).toBe(body);
      await file?.close();
    });

    it('leaves either the old bytes in quarantine or none, and the new ones in place, against publications at once', async () => {
      const other = await place.open();
      for (let round = 0; round < 15; round++) {
        const key = keyOf(path, `v1.9.${round}`, 'mod');
        await put(store, key, 'old');
        const [withdrawn, published] = await Promise.all([
          store.withdraw(key, evidenceOf(key, 'old')),
          put(other, key, 'new'),
        ]);
        expect(withdrawn?.hasBytes).toBe(true);
        expect(['published', 'conflict']).toContain(published.outcome);
        expect(await textOf(other, key)).toBe(published.outcome === 'published' ? 'new' : undefined);
      }
    });
  });
}
