/** The store contract's part on suspects: the quarantine. */
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Evidence } from '../quarantine.ts';
import type { PurgeEvent, Staged, Store } from '../store.ts';
import { collect, evidenceOf, fakeH1, keyOf, put, type StorePlace, sha256Of, textOf } from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function quarantiningContract(makePlace: () => Promise<StorePlace>): void {
  describe('quarantine', () => {
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

    async function stagedWith(body: string): Promise<Staged> {
      const staged = await store.stage(zip);
      await staged.write([Buffer.from(body)]);
      return staged;
    }

    async function bytesOf(from: Store, id: string): Promise<string | undefined> {
      const file = await from.quarantine.fileOf(id);
      return file === undefined ? undefined : await readFile(file, 'utf8');
    }

    it('is empty at first', async () => {
      expect(await store.quarantine.list()).toEqual([]);
      expect(await store.quarantine.of(zip)).toEqual([]);
    });

    it('keeps all that is known of a suspect with its bytes, for every instance', async () => {
      const other = await place.open();
      const evidence: Evidence = {
        ...evidenceOf(zip, 'bad'),
        cause: 'retagged',
        expectedH1: fakeH1('good'),
        foundH1: fakeH1('bad'),
        expectedSha256: sha256Of('good'),
        expectedBy: 'sum.test #7',
        headers: { etag: '"x"', via: '1.1 cache' },
      };

      const entry = await store.quarantine.add(evidence, { body: Buffer.from('bad') });

      expect(entry).toEqual({
        ...evidence,
        id: entry.id,
        firstAtMs: evidence.atMs,
        count: 1,
        hasBytes: true,
      });
      expect(entry.id).toMatch(/^[0-9a-f]{16}$/);
      expect(await other.quarantine.get(entry.id)).toEqual(entry);
      expect(await other.quarantine.list()).toEqual([entry]);
      expect(await other.quarantine.of(zip)).toEqual([entry]);
      expect(await other.quarantine.of(mod)).toEqual([]);
      expect(await bytesOf(other, entry.id)).toBe('bad');
      expect(await store.has(zip)).toBe(false);
      expect(await collect(store.versions())).toEqual([]);
    });

    it('keeps evidence without bytes', async () => {
      const entry = await store.quarantine.add(evidenceOf(mod, 'bad'), undefined);
      expect(entry).toMatchObject({ hasBytes: false, sizeBytes: 3 });
      expect(await store.quarantine.fileOf(entry.id)).toBeUndefined();
      expect(await store.quarantine.of(mod)).toEqual([entry]);
    });

    it('takes a staged file, which stays readable and can no longer be published', async () => {
      const staged = await stagedWith('bad bytes');

      const entry = await store.quarantine.add(evidenceOf(zip, 'bad bytes'), { staged });

      const target = Buffer.alloc(20);
      expect(await staged.readAt(target, 20, 4)).toBe(5);
      expect(target.toString('latin1', 0, 5)).toBe('bytes');
      await expect(staged.publish({ sha256: sha256Of('bad bytes'), source: 't' })).rejects.toMatchObject({
        code: 'io',
      });
      await expect(staged.write([Buffer.from('more')])).rejects.toMatchObject({ code: 'io' });
      await expect(store.quarantine.add(evidenceOf(zip, 'x'), { staged })).rejects.toMatchObject({
        code: 'io',
      });
      await staged.close();
      await staged.close();
      expect(await bytesOf(store, entry.id)).toBe('bad bytes');
      expect(await store.has(zip)).toBe(false);
      expect((await put(store, zip, 'good')).outcome).toBe('published');
      expect(await bytesOf(store, entry.id)).toBe('bad bytes');
    });

    it('counts the same bytes of one source as one suspect, also from two instances at once', async () => {
      const other = await place.open();
      const first = { ...evidenceOf(zip, 'bad'), atMs: 1_000 };
      await store.quarantine.add(first, { body: Buffer.from('bad') });
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : other).quarantine.add(
            { ...first, atMs: 2_000 + index, reason: 'again' },
            index % 3 === 0 ? undefined : { body: Buffer.from('bad') },
          ),
        ),
      );

      expect(await other.quarantine.list()).toEqual([
        expect.objectContaining({
          count: 21,
          firstAtMs: 1_000,
          atMs: 2_019,
          reason: 'again',
          hasBytes: true,
        }),
      ]);
    });

    it('keeps artifacts, sources and bytes apart, newest first', async () => {
      const suspects = [
        evidenceOf(zip, 'bad'),
        evidenceOf(mod, 'bad'),
        evidenceOf(zip, 'worse'),
        { ...evidenceOf(zip, 'bad'), source: 'other' },
      ].map((evidence, index) => ({ ...evidence, atMs: 1_000 * ((index * 3) % 4) }));
      for (const evidence of suspects) await store.quarantine.add(evidence, undefined);

      const listed = await store.quarantine.list();

      expect(new Set(listed.map((entry) => entry.id)).size).toBe(4);
      expect(listed.map((entry) => entry.atMs)).toEqual([3_000, 2_000, 1_000, 0]);
      expect(await store.quarantine.of(zip)).toHaveLength(3);
    });

    it('drops an entry with its bytes, once', async () => {
      const entry = await store.quarantine.add(evidenceOf(zip, 'bad'), { body: Buffer.from('bad') });
      const other = await place.open();
      expect(await other.quarantine.list()).toHaveLength(1);

      expect(await store.quarantine.drop(entry.id)).toBe(true);

      expect(await store.quarantine.drop(entry.id)).toBe(false);
      expect(await other.quarantine.get(entry.id)).toBeUndefined();
      expect(await other.quarantine.fileOf(entry.id)).toBeUndefined();
      expect(await other.quarantine.list()).toEqual([]);
    });

    it.each(['', '..', '../../meta/format', '0123456789ABCDEF', '0123456789abcdef0', 'lock', 'a/b'])(
      'knows no entry %j',
      async (id) => {
        expect(await store.quarantine.get(id)).toBeUndefined();
        expect(await store.quarantine.fileOf(id)).toBeUndefined();
        expect(await store.quarantine.drop(id)).toBe(false);
      },
    );

    it('is left alone by purges', async () => {
      await put(store, zip, 'good');
      const entry = await store.quarantine.add(evidenceOf(zip, 'bad'), { body: Buffer.from('bad') });
      await store.purge({ path, version: zip.version });
      await store.purge({ path });
      expect(await store.quarantine.list()).toEqual([entry]);
      expect(await bytesOf(store, entry.id)).toBe('bad');
      expect(await textOf(store, zip)).toBeUndefined();
    });

    describe('settled', () => {
      const own: Evidence = { ...evidenceOf(zip, 'rotten'), source: 'store', cause: 'rotten' };

      /** What another instance sees once this one has nothing left to do. */
      async function settledIn(): Promise<(boolean | undefined)[]> {
        await store.close();
        const entries = await (await place.open()).quarantine.of(zip);
        return entries.map((entry) => entry.settled);
      }

      it('is nothing at first, and what was withdrawn and nothing took its place', async () => {
        await put(store, zip, 'rotten');
        await store.withdraw(zip, own);
        await put(store, mod, 'module a\n');
        expect(await settledIn()).toEqual([undefined]);
      });

      it('is our own copy once the artifact is published again, until it is taken out again', async () => {
        await put(store, zip, 'rotten');
        await store.withdraw(zip, own);
        await store.quarantine.add(evidenceOf(zip, 'of a mirror'), undefined);
        await put(store, zip, 'good');
        expect(new Set(await settledIn())).toEqual(new Set([true, undefined]));

        store = await place.open();
        await store.withdraw(zip, { ...own, sha256: sha256Of('good') });
        await put(store, zip, 'rotten');
        await store.withdraw(zip, own);
        expect(await settledIn()).toContain(undefined);
        const entry = (await (await place.open()).quarantine.of(zip)).find((each) => each.count === 2);
        expect(entry?.settled).toBeUndefined();
      });

      it.each<[string, PurgeEvent]>([
        ['its version', { path, version: zip.version }],
        ['its module', { path }],
      ])('is our own copy when %s is purged, at once and in every instance', async (_, event) => {
        await put(store, zip, 'rotten');
        await store.withdraw(zip, own);
        await store.quarantine.add({ ...own, key: keyOf(path, 'v1.0.0-pre', 'zip') }, undefined);
        await store.quarantine.add({ ...own, key: keyOf('example.com/a/v2', 'v2.0.0', 'zip') }, undefined);

        await store.purge(event);

        expect((await store.quarantine.of(zip)).map((entry) => entry.settled)).toEqual([true]);
        const listed = await (await place.open()).quarantine.list();
        const pre = event.version === undefined ? 2 : 1;
        expect(listed.filter((entry) => entry.settled === true)).toHaveLength(pre);
      });
    });

    describe('its bounds', () => {
      async function addAt(to: Store, atMs: number, body: string): Promise<string> {
        const evidence = { ...evidenceOf(zip, body), atMs };
        return (await to.quarantine.add(evidence, { body: Buffer.from(body) })).id;
      }

      it('drop the oldest bytes first and keep their evidence', async () => {
        const bounded = await place.open({ quarantineBytes: 25 });
        const ids: string[] = [];
        for (const letter of ['a', 'b', 'c', 'd']) {
          ids.push(await addAt(bounded, ids.length, letter.repeat(10)));
        }
        // They are kept in the background.
        await bounded.close();
        expect((await store.quarantine.list()).map((entry) => entry.hasBytes)).toEqual([
          true,
          true,
          false,
          false,
        ]);
        expect(await bytesOf(store, ids[3] ?? '')).toBe('d'.repeat(10));
        expect(await bytesOf(store, ids[0] ?? '')).toBeUndefined();
      });

      it('drop the oldest entries whole', async () => {
        const bounded = await place.open({ quarantineEntries: 3 });
        for (let atMs = 0; atMs < 6; atMs++) await addAt(bounded, atMs, `body ${atMs}`);
        await bounded.close();
        expect((await store.quarantine.list()).map((entry) => entry.atMs)).toEqual([5, 4, 3]);
      });

      it('keep the evidence of what is larger than all of them', async () => {
        const bounded = await place.open({ quarantineBytes: 10 });
        const small = await addAt(bounded, 1, 'small');
        const staged = await bounded.stage(zip);
        await staged.write([Buffer.from('much too large')]);

        const entry = await bounded.quarantine.add(evidenceOf(zip, 'much too large'), { staged });
        const body = await bounded.quarantine.add(evidenceOf(mod, 'too large too'), {
          body: Buffer.from('too large too'),
        });

        expect([entry.hasBytes, body.hasBytes]).toEqual([false, false]);
        expect(entry.sizeBytes).toBe(14);
        expect(await staged.readAt(Buffer.alloc(4), 4, 0)).toBe(4);
        await staged.close();
        await bounded.close();
        expect(await bytesOf(store, small)).toBe('small');
      });

      it('cut texts and headers', async () => {
        const headers = Object.fromEntries(
          Array.from({ length: 100 }, (_, index) => [`x-${index}`, 'y'.repeat(9_000)]),
        );
        const reason = 'r'.repeat(100_000);
        const { id } = await store.quarantine.add({ ...evidenceOf(zip, 'bad'), headers, reason }, undefined);

        const entry = await store.quarantine.get(id);

        expect(JSON.stringify(entry).length).toBeLessThan(16_000);
        expect(entry?.reason).toMatch(/^r{100}/);
        expect(Object.keys(entry?.headers ?? {})).toContain('x-0');
      });
    });
  });
}
