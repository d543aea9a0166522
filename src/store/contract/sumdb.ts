/** The store contract's part on what checksum databases answered. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { maxSumdbBytes, type Store } from '../store.ts';
import { keyOf, put, type StorePlace } from './kit.ts';

const database = 'sum.golang.org';
const lookup = 'lookup/github.com/!azure/azure-sdk-for-go@v68.0.0+incompatible';

/** Registers the tests; `makePlace` is called before each. */
export function sumdbContract(makePlace: () => Promise<StorePlace>): void {
  describe('answers of checksum databases', () => {
    let place: StorePlace;
    let store: Store;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    async function kept(name: string, operation: string): Promise<string | undefined> {
      return (await store.keptSumdb(name, operation))?.body.toString('latin1');
    }

    it('gives back what was kept byte for byte, to every instance, and replaces it', async () => {
      const other = await place.open();
      const bytes = Buffer.from([0, 255, 10, 128, 13]);

      expect(await store.keepSumdb(database, 'tile/8/0/x001/234', bytes)).toBe(true);
      expect((await other.keptSumdb(database, 'tile/8/0/x001/234'))?.body).toEqual(bytes);

      await other.keepSumdb(database, 'latest', Buffer.from('one'));
      await store.keepSumdb(database, 'latest', Buffer.from('two'));
      expect((await other.keptSumdb(database, 'latest'))?.body.toString()).toBe('two');
    });

    it('lists the lookups of one database, and nothing else of it', async () => {
      async function listed(name: string): Promise<string[]> {
        const found: string[] = [];
        for await (const operation of store.keptLookups(name)) found.push(operation);
        return found.sort();
      }
      expect(await listed(database)).toEqual([]);
      for (const operation of [lookup, 'lookup/a.test/b@v1.0.0', 'lookup/a.test/b/c@v1.0.0', 'latest']) {
        await store.keepSumdb(database, operation, Buffer.from('1\n'));
      }
      await store.keepSumdb(`${database}/inner`, 'lookup/other.test@v1.0.0', Buffer.from('1\n'));
      await store.keepSumdb(database, 'tile/8/0/000', Buffer.from('t'));
      expect(await listed(database)).toEqual(['lookup/a.test/b/c@v1.0.0', 'lookup/a.test/b@v1.0.0', lookup]);
      expect(await listed('../sum.golang.org')).toEqual([]);
    });

    it('tells when it was kept', async () => {
      const beforeMs = Date.now();
      await store.keepSumdb(database, lookup, Buffer.from('1\n'));
      const answer = await store.keptSumdb(database, lookup);

      // File times may be coarser than the clock.
      expect(answer?.keptAtMs).toBeGreaterThan(beforeMs - 2_000);
      expect(answer?.keptAtMs).toBeLessThanOrEqual(Date.now() + 2_000);
    });

    it('keeps databases and operations apart, also where one is the beginning of another', async () => {
      const names = [
        [database, 'latest'],
        [database, lookup],
        [database, 'lookup/github.com/!azure@v1.0.0'],
        [database, 'tile/8/0/234'],
        [database, 'tile/8/0/234.p/17'],
        [database, 'tile/8/0/x234/567'],
        [database, 'tile/8/data/234'],
        [`${database}/inner`, 'latest'],
        [`${database}/inner`, 'tile/8/0/234'],
        [`${database}/Inner`, 'latest'],
        ['sum.test:8080', 'latest'],
      ] as const;
      for (const [name, operation] of names) {
        expect(await store.keepSumdb(name, operation, Buffer.from(`${name} ${operation}`))).toBe(true);
      }
      for (const [name, operation] of names) {
        expect(await kept(name, operation)).toBe(`${name} ${operation}`);
      }
      expect(await kept(database, 'tile/8/0/x234')).toBeUndefined();
      expect(await kept('other.test', 'latest')).toBeUndefined();
    });

    it.each([
      [database, 'lookup/../../../../download/x'],
      [database, 'tile/8/./0'],
      [database, 'lookup/'],
      [database, 'lookup//a@v1.0.0'],
      [database, 'lookup/a\0b@v1.0.0'],
      [database, 'lookup/Upper.test/a@v1.0.0'],
      [database, 'supported'],
      [database, '/latest'],
      ['..', 'latest'],
      ['sum.golang.org/../..', 'latest'],
      ['/etc', 'latest'],
      ['', 'latest'],
      [database, `lookup/${'a'.repeat(5_000)}@v1.0.0`],
    ])('keeps nothing under the names %j %j', async (name, operation) => {
      expect(await store.keepSumdb(name, operation, Buffer.from('x'))).toBe(false);
      expect(await store.keptSumdb(name, operation)).toBeUndefined();
    });

    it('keeps nothing that is longer than its bound', async () => {
      expect(await store.keepSumdb(database, 'latest', Buffer.alloc(maxSumdbBytes))).toBe(true);
      expect(await store.keepSumdb(database, 'latest', Buffer.alloc(maxSumdbBytes + 1))).toBe(false);
      expect((await store.keptSumdb(database, 'latest'))?.body.length).toBe(maxSumdbBytes);
    });

    it('leaves them when the module is purged: a record of the log stays true', async () => {
      const mod = keyOf('example.com/a', 'v1.0.0', 'mod');
      await put(store, mod, 'module example.com/a\n');
      await store.keepSumdb(database, 'lookup/example.com/a@v1.0.0', Buffer.from('7\n'));

      await store.purge({ path: mod.path });

      expect(await kept(database, 'lookup/example.com/a@v1.0.0')).toBe('7\n');
    });
  });
}
