/** The store contract's part on the state of a checksum database's client: compared and swapped by one at a time. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { maxSumdbBytes, type Store, type SumdbState } from '../store.ts';
import type { StorePlace } from './kit.ts';

const database = 'sum.golang.org';

/** Registers the tests; `makePlace` is called before each. */
export function sumdbStateContract(makePlace: () => Promise<StorePlace>): void {
  describe('state of checksum databases', () => {
    let place: StorePlace;
    let store: Store;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    async function stateOf(from: Store, name: string, state: SumdbState): Promise<string | undefined> {
      return (await from.readSumdbState(name, state))?.toString('latin1');
    }

    it('is nothing at first, then what was swapped in, byte for byte and for every instance', async () => {
      const other = await place.open();
      const bytes = Buffer.from([0, 255, 10, 128]);

      expect(await store.readSumdbState(database, 'head')).toBeUndefined();
      expect(await store.swapSumdbState(database, 'head', undefined, bytes)).toBe(true);
      expect(await other.readSumdbState(database, 'head')).toEqual(bytes);
      expect(await other.swapSumdbState(database, 'head', bytes, Buffer.from('next'))).toBe(true);
      expect(await stateOf(store, database, 'head')).toBe('next');
    });

    it('is swapped only by who knows what is there', async () => {
      const [one, two] = [Buffer.from('one'), Buffer.from('two')];
      expect(await store.swapSumdbState(database, 'head', one, two)).toBe(false);
      expect(await store.swapSumdbState(database, 'head', one, undefined)).toBe(false);
      await store.swapSumdbState(database, 'head', undefined, one);
      expect(await store.swapSumdbState(database, 'head', undefined, two)).toBe(false);
      expect(await store.swapSumdbState(database, 'head', two, two)).toBe(false);
      expect(await stateOf(store, database, 'head')).toBe('one');
    });

    it('is removed by a swap for nothing; nothing for nothing is a swap too', async () => {
      const one = Buffer.from('one');
      await store.swapSumdbState(database, 'fork', undefined, one);
      expect(await store.swapSumdbState(database, 'fork', one, undefined)).toBe(true);
      expect(await store.readSumdbState(database, 'fork')).toBeUndefined();
      expect(await store.swapSumdbState(database, 'fork', undefined, undefined)).toBe(true);
    });

    it('tells an empty text from none', async () => {
      await store.swapSumdbState(database, 'head', undefined, Buffer.alloc(0));
      expect(await store.readSumdbState(database, 'head')).toEqual(Buffer.alloc(0));
      expect(await store.swapSumdbState(database, 'head', undefined, Buffer.from('x'))).toBe(false);
    });

    it('is kept apart by database and kind, and from the answers of the database', async () => {
      const names = [database, `${database}/inner`, `${database}/Inner`, 'sum.test:8080', 'latest'];
      for (const name of names) {
        for (const state of ['head', 'head_copy', 'fork'] as const) {
          expect(await store.swapSumdbState(name, state, undefined, Buffer.from(`${name} ${state}`))).toBe(
            true,
          );
        }
        await store.keepSumdb(name, 'latest', Buffer.from('latest'));
      }
      for (const name of names) {
        expect(await stateOf(store, name, 'head')).toBe(`${name} head`);
        expect(await stateOf(store, name, 'head_copy')).toBe(`${name} head_copy`);
        expect(await stateOf(store, name, 'fork')).toBe(`${name} fork`);
        expect(await store.keptSumdb(name, 'head.json')).toBeUndefined();
      }
    });

    it.each(['..', 'sum.golang.org/../..', '/etc', '', 'a b', '.'])('knows no database %j', async (name) => {
      expect(await store.readSumdbState(name, 'head')).toBeUndefined();
      await expect(store.swapSumdbState(name, 'head', undefined, Buffer.from('x'))).rejects.toMatchObject({
        code: 'io',
        message: expect.stringContaining("no checksum database's name"),
      });
    });

    it('is refused when longer than its bound, and what was there stays', async () => {
      const most = Buffer.alloc(maxSumdbBytes, 1);
      expect(await store.swapSumdbState(database, 'fork', undefined, most)).toBe(true);
      await expect(
        store.swapSumdbState(database, 'fork', most, Buffer.alloc(maxSumdbBytes + 1)),
      ).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('longer than') });
      expect((await store.readSumdbState(database, 'fork'))?.equals(most)).toBe(true);
    });

    it('goes to exactly one of those who swap at once, round after round', async () => {
      const instances = [store, await place.open(), await place.open()];
      let current: Buffer | undefined;
      for (let round = 0; round < 15; round++) {
        const before = current;
        const offers = instances.flatMap((instance, index) =>
          [0, 1].map((turn) => ({ instance, next: Buffer.from(`${round} ${index} ${turn}`) })),
        );
        const results = await Promise.all(
          offers.map(({ instance, next }) => instance.swapSumdbState(database, 'head', before, next)),
        );
        expect(results.filter(Boolean)).toHaveLength(1);
        current = offers[results.indexOf(true)]?.next;
        expect(await store.readSumdbState(database, 'head')).toEqual(current);
      }
    });

    it('loses no step of two instances that count', async () => {
      const other = await place.open();
      async function count(instance: Store, steps: number): Promise<void> {
        for (let done = 0; done < steps; ) {
          const before = await instance.readSumdbState(database, 'head');
          const next = Buffer.from(String(Number(before?.toString() ?? 0) + 1));
          if (await instance.swapSumdbState(database, 'head', before, next)) done += 1;
        }
      }
      await Promise.all([count(store, 25), count(other, 25)]);
      expect(await stateOf(store, database, 'head')).toBe('50');
    });

    it('is left alone by purges and survives a restart', async () => {
      await store.swapSumdbState(database, 'head', undefined, Buffer.from('head'));
      await store.purge({ path: parseModulePath('sum.golang.org/a') });
      await store.close();
      expect(await stateOf(await place.open(), database, 'head')).toBe('head');
    });
  });
}
