/** The store contract's part on reading, staging, publishing, and two publications of one artifact (ruling 13). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Store } from '../store.ts';
import { fakeH1, keyOf, put, type StorePlace, sha256Of, textOf } from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function publishingContract(makePlace: () => Promise<StorePlace>): void {
  describe('publishing', () => {
    let place: StorePlace;
    let store: Store;
    const path = parseModulePath('example.com/a');
    const zip = keyOf(path, 'v1.0.0', 'zip');
    const mod = keyOf(path, 'v1.0.0', 'mod');
    const info = keyOf(path, 'v1.0.0', 'info');

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    describe('reading and publishing', () => {
      it('says undefined for what was never stored', async () => {
        expect(await store.open(zip)).toBeUndefined();
        expect(await store.has(zip)).toBe(false);
        expect(await store.completeVersions(path)).toEqual([]);
        expect(await store.holdsAnyOf(path)).toBe(false);
      });

      it('holds something of a module from its first file on, until it is purged', async () => {
        await put(store, info, 'one file');
        expect(await store.holdsAnyOf(path)).toBe(true);
        expect(await store.completeVersions(path)).toEqual([]);
        await store.purge({ path });
        expect(await store.holdsAnyOf(path)).toBe(false);
      });

      it('says undefined for a name longer than any file name can be', async () => {
        const long = keyOf(`example.com/${'x'.repeat(400)}`, 'v1.0.0', 'zip');
        expect(await store.open(long)).toBeUndefined();
        expect(await store.has(long)).toBe(false);
      });

      it('gives back the bytes and the record of what was published, in another instance too', async () => {
        const result = await put(store, zip, 'the bytes', { source: 'mirror', h1: fakeH1('tree') });
        expect(result.outcome).toBe('published');

        const file = await (await place.open()).open(zip);

        expect((await file?.readAll())?.toString()).toBe('the bytes');
        expect(file?.record).toMatchObject({
          sizeBytes: 9,
          sha256: sha256Of('the bytes'),
          h1: fakeH1('tree'),
          source: 'mirror',
        });
        await file?.close();
        await file?.close();
      });

      it('reads any part by position and 0 bytes at the end', async () => {
        await put(store, mod, '0123456789');
        const file = await store.open(mod);
        const target = Buffer.alloc(4);

        expect(await file?.readAt(target, 4, 3)).toBe(4);
        expect(target.toString()).toBe('3456');
        expect(await file?.readAt(target, 4, 8)).toBe(2);
        expect(await file?.readAt(target, 4, 10)).toBe(0);
        await file?.close();
      });

      it('stores an empty file', async () => {
        await put(store, mod, '');
        expect(await textOf(store, mod)).toBe('');
      });

      it('keeps many chunks in order, also across writes', async () => {
        const chunks = Array.from({ length: 2_000 }, (_, index) => Buffer.from(`${index},`));
        const body = Buffer.concat(chunks).toString();
        const staged = await store.stage(zip);
        await staged.write(chunks.slice(0, 1_500));
        await staged.write(chunks.slice(1_500));
        expect(staged.sizeBytes).toBe(body.length);

        await staged.publish({ sha256: sha256Of(body), h1: fakeH1(body), source: 'test' });
        await staged.close();

        expect(await textOf(store, zip)).toBe(body);
      });

      it('lets followers read the staged bytes while it grows, and after publication until close', async () => {
        const staged = await store.stage(zip);
        const target = Buffer.alloc(8);
        await staged.write([Buffer.from('abc')]);
        expect(await staged.readAt(target, 8, 0)).toBe(3);
        expect(await staged.readAt(target, 8, 3)).toBe(0);
        await staged.write([Buffer.from('def')]);

        await staged.publish({ sha256: sha256Of('abcdef'), source: 'test' });

        expect(await staged.readAt(target, 8, 2)).toBe(4);
        expect(target.toString('latin1', 0, 4)).toBe('cdef');
        await staged.close();
      });

      it('shows readers nothing before publication and the whole after it', async () => {
        const body = 'x'.repeat(300_000);
        const other = await place.open();
        const seen = new Set<number | undefined>();
        const reading = new AbortController();
        const reader = (async () => {
          while (!reading.signal.aborted) seen.add((await textOf(other, zip))?.length);
        })();

        const staged = await store.stage(zip);
        for (let at = 0; at < body.length; at += 30_000) {
          await staged.write([Buffer.from(body.slice(at, at + 30_000))]);
          expect(await other.has(zip)).toBe(false);
        }
        await staged.publish({ sha256: sha256Of(body), h1: fakeH1(body), source: 'test' });
        reading.abort();
        await reader;
        await staged.close();

        seen.add((await textOf(other, zip))?.length);
        expect(seen).toEqual(new Set([undefined, body.length]));
      });

      it('leaves nothing of what was discarded', async () => {
        const staged = await store.stage(zip);
        await staged.write([Buffer.from('half')]);
        await staged.close();
        await staged.close();

        expect(await store.has(zip)).toBe(false);
        expect((await put(store, zip, 'whole')).outcome).toBe('published');
      });

      it('publishes nothing when the signal is aborted, and rejects with its reason', async () => {
        const reason = new Error('client left');
        const staged = await store.stage(zip);
        await staged.write([Buffer.from('bytes')]);
        const publishing = staged.publish({
          sha256: sha256Of('bytes'),
          source: 't',
          signal: AbortSignal.abort(reason),
        });

        await expect(publishing).rejects.toBe(reason);
        await staged.close();
        expect(await store.has(zip)).toBe(false);
      });
    });

    describe('two publications of one artifact (ruling 13)', () => {
      it('calls the same h1 of a zip present, whatever the bytes, and keeps the first bytes', async () => {
        await put(store, zip, 'packed one way', { h1: fakeH1('tree'), source: 'first' });
        const second = await put(await place.open(), zip, 'packed another', { h1: fakeH1('tree') });

        expect(second).toMatchObject({ outcome: 'present', record: { source: 'first' } });
        expect(await textOf(store, zip)).toBe('packed one way');
      });

      it('calls another h1 of a zip a conflict and keeps the first bytes', async () => {
        await put(store, zip, 'one');
        const second = await put(await place.open(), zip, 'two');

        expect(second).toMatchObject({ outcome: 'conflict', offered: sha256Of('two') });
        expect(second.record.sha256).toBe(sha256Of('one'));
        expect(await textOf(store, zip)).toBe('one');
      });

      it('compares .mod files by their bytes', async () => {
        await put(store, mod, 'module a\n');
        expect((await put(store, mod, 'module a\n')).outcome).toBe('present');
        expect((await put(store, mod, 'module  a\n')).outcome).toBe('conflict');
      });

      it('compares .info files by Version and Time, and not by other fields', async () => {
        const time = '2024-05-06T07:08:09Z';
        await put(store, info, JSON.stringify({ Version: 'v1.0.0', Time: time }));
        const same = JSON.stringify({ Version: 'v1.0.0', Time: time, Origin: { VCS: 'git' } });
        const later = JSON.stringify({ Version: 'v1.0.0', Time: '2024-05-06T07:08:10Z' });

        expect((await put(store, info, same)).outcome).toBe('present');
        expect((await put(store, info, later)).outcome).toBe('conflict');
        expect((await put(store, info, 'not JSON')).outcome).toBe('conflict');
      });

      it('lets exactly one of 100 publishers win, and tells the others', async () => {
        const other = await place.open();
        const results = await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            put(index % 2 === 0 ? store : other, zip, `body ${index % 4}`),
          ),
        );

        const winners = results.filter((result) => result.outcome === 'published');
        expect(winners).toHaveLength(1);
        expect(results.filter((result) => result.outcome === 'present')).toHaveLength(24);
        expect(results.filter((result) => result.outcome === 'conflict')).toHaveLength(75);
        expect(sha256Of((await textOf(other, zip)) ?? '')).toBe(winners[0]?.record.sha256);
      });
    });
  });
}
