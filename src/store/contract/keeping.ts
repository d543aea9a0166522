/** The store contract's part on names, listing and walking what is stored, mutable answers. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { MutableEntry, MutableName, Store } from '../store.ts';
import { collect, keyOf, put, putVersion, type StorePlace, sha256Of, textOf, versionOf } from './kit.ts';

/** Registers the tests; `makePlace` is called before each. */
export function keepingContract(makePlace: () => Promise<StorePlace>): void {
  describe('keeping', () => {
    let place: StorePlace;
    let store: Store;
    const path = parseModulePath('example.com/a');

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });
    afterEach(() => place.remove());

    describe('names', () => {
      it('keeps neighbours by prefix apart', async () => {
        await putVersion(store, 'example.com/a/b', 'v1.0.0');
        await putVersion(store, 'example.com/a/bc', 'v1.0.0-pre');
        await putVersion(store, 'example.com/a', 'v1.0.0-pre');

        await store.purge({ path: parseModulePath('example.com/a') });
        await store.purge({ path: parseModulePath('example.com/a/b'), version: versionOf('v1.0.0') });

        expect(await store.completeVersions(parseModulePath('example.com/a'))).toEqual([]);
        expect(await store.completeVersions(parseModulePath('example.com/a/b'))).toEqual([]);
        expect(await store.completeVersions(parseModulePath('example.com/a/bc'))).toEqual(['v1.0.0-pre']);
      });

      it('keeps a version and its pre-release apart', async () => {
        await putVersion(store, path, 'v1.0.0');
        await putVersion(store, path, 'v1.0.0-pre');

        await store.purge({ path: path, version: versionOf('v1.0.0') });

        expect(await store.completeVersions(path)).toEqual(['v1.0.0-pre']);
        expect(await textOf(store, keyOf(path, 'v1.0.0-pre', 'mod'))).toBe(`module ${path}\n`);
      });

      it('keeps upper and lower case apart, in paths and versions', async () => {
        await put(store, keyOf('example.com/Azure/x', 'v1.0.0-RC1', 'mod'), 'upper');
        await put(store, keyOf('example.com/azure/x', 'v1.0.0-rc1', 'mod'), 'lower');

        expect(await textOf(store, keyOf('example.com/Azure/x', 'v1.0.0-RC1', 'mod'))).toBe('upper');
        expect(await textOf(store, keyOf('example.com/azure/x', 'v1.0.0-rc1', 'mod'))).toBe('lower');
        const walked = (await collect(store.versions())).map((entry) => `${entry.path}@${entry.version}`);
        expect(walked.toSorted()).toEqual([
          'example.com/Azure/x@v1.0.0-RC1',
          'example.com/azure/x@v1.0.0-rc1',
        ]);
      });
    });

    describe('what is stored', () => {
      it('counts a version complete with .info, .mod and .zip, pseudo-versions included', async () => {
        const pseudo = 'v0.0.0-20240506070809-0123456789ab';
        await putVersion(store, path, 'v2.0.0+incompatible');
        await putVersion(store, path, pseudo);
        await put(store, keyOf(path, 'v1.0.0', 'info'), '{}');
        await put(store, keyOf(path, 'v1.0.0', 'mod'), 'module a');

        const complete = await store.completeVersions(path);

        expect(complete.toSorted()).toEqual([pseudo, 'v2.0.0+incompatible']);
      });

      it('walks every version with its records, and only what lies under a path', async () => {
        await putVersion(store, 'example.com/a', 'v1.0.0');
        await putVersion(store, 'example.com/a/sub', 'v1.1.0');
        await put(store, keyOf('example.com/ab', 'v1.2.0', 'mod'), 'module ab');

        const all = await collect(store.versions());
        const under = (await collect(store.versions(parseModulePath('example.com/a')))).map(
          (entry) => entry.path,
        );

        expect(all.map((entry) => `${entry.path}@${entry.version}`).toSorted()).toEqual([
          'example.com/a/sub@v1.1.0',
          'example.com/a@v1.0.0',
          'example.com/ab@v1.2.0',
        ]);
        const ab = all.find((entry) => entry.path === 'example.com/ab');
        expect(Object.keys(ab?.artifacts ?? {})).toEqual(['mod']);
        expect(ab?.artifacts.mod?.sha256).toBe(sha256Of('module ab'));
        expect(under.toSorted()).toEqual(['example.com/a', 'example.com/a/sub']);
      });

      it('ends a walk that is left early', async () => {
        await putVersion(store, 'example.com/a', 'v1.0.0');
        await putVersion(store, 'example.com/b', 'v1.0.0');
        let count = 0;
        for await (const _entry of store.versions()) {
          count += 1;
          break;
        }
        expect(count).toBe(1);
        await store.purge({ path: parseModulePath('example.com/b') });
      });

      it('tells the space and that it is writable', async () => {
        const space = await store.space();
        expect(space.totalBytes).toBeGreaterThan(0);
        expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
        expect(await store.writable()).toBe(true);
      });
    });

    describe('mutable answers', () => {
      const entry: MutableEntry = {
        body: 'v1.0.0\n',
        confirmedAtMs: 1_700_000_000_000,
        sources: ['a', 'b'],
        facts: { bySource: { a: ['v1.0.0'] } },
      };

      it('gives back what was written, to every instance, and replaces it', async () => {
        const other = await place.open();
        await store.writeMutable(path, 'list', entry);
        expect(await other.readMutable(path, 'list')).toEqual(entry);

        const { facts: _facts, ...newer } = { ...entry, body: 'v1.0.0\nv1.1.0\n' };
        await other.writeMutable(path, 'list', newer);
        expect(await store.readMutable(path, 'list')).toEqual(newer);
      });

      it('keeps names apart, with slashes, case and any length', async () => {
        const names: MutableName[] = [
          'list',
          'latest',
          'query:list',
          'query:feature/X',
          'query:feature/x',
          `query:${'y'.repeat(999)}`,
        ];
        for (const name of names) {
          await store.writeMutable(path, name, { ...entry, body: name });
        }
        for (const name of names) {
          expect((await store.readMutable(path, name))?.body).toBe(name);
        }
        expect(await store.readMutable(parseModulePath('example.com'), 'list')).toBeUndefined();
      });

      it('loses them with the module, and with a version those that name it', async () => {
        const two = parseModulePath('example.com/two');
        await putVersion(store, path, 'v1.0.0');
        await putVersion(store, two, 'v1.0.0');
        for (const module of [path, two]) {
          await store.writeMutable(module, 'list', entry);
          await store.writeMutable(module, 'latest', {
            ...entry,
            body: '{"Version":"v1.0.0"}',
          });
          await store.writeMutable(module, 'query:main', {
            ...entry,
            body: '{"Version":"v1.0.1"}',
          });
        }

        await store.purge({ path: path });
        await store.purge({ path: two, version: versionOf('v1.0.0') });

        expect(await store.readMutable(path, 'list')).toBeUndefined();
        expect(await store.readMutable(path, 'query:main')).toBeUndefined();
        expect(await store.readMutable(two, 'latest')).toBeUndefined();
        expect(await store.readMutable(two, 'query:main')).toBeDefined();
      });
    });
  });
}
