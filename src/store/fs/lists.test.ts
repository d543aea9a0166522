import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { keyOf, put, putVersion, versionOf } from '../contract/kit.ts';
import { makeTestFolder } from './test-folder.ts';

const path = 'example.com/m';
const list = 'download/example.com/m/@v/list';

describe('@v/list on disk', () => {
  it('holds exactly the complete versions in semantic order', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const pseudo = 'v0.0.0-20240506070809-0123456789ab';
    for (const version of ['v1.10.0', 'v1.9.0', 'v1.10.0-rc.1', pseudo, 'v2.0.0+incompatible']) {
      await putVersion(store, path, version);
    }
    await put(store, keyOf(path, 'v3.0.0', 'mod'), 'module m');
    await store.idle();
    expect(folder.text(list)).toBe(`${pseudo}\nv1.9.0\nv1.10.0-rc.1\nv1.10.0\nv2.0.0+incompatible\n`);
  });

  it('loses a purged version before the purge resolves, and goes with the last one', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await putVersion(store, path, 'v1.0.0');
    await putVersion(store, path, 'v1.1.0');
    await store.purge({ path: parseModulePath(path), version: versionOf('v1.0.0') });
    expect(folder.text(list)).toBe('v1.1.0\n');
    await store.purge({ path: parseModulePath(path) });
    expect(folder.text(list)).toBeUndefined();
  });

  it('is right when two processes publish into one module at once', async () => {
    const folder = makeTestFolder();
    const stores = [await folder.open({ listDelayMs: 0 }), await folder.open({ listDelayMs: 0 })];
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const store = stores[index % 2];
        if (store !== undefined) await putVersion(store, path, `v1.${index}.0`);
      }),
    );
    await Promise.all(stores.map((store) => store.idle()));
    const expected = Array.from({ length: 30 }, (_, index) => `v1.${index}.0\n`).join('');
    expect(folder.text(list)).toBe(expected);
  });

  it('is written by close, and leaves no marker behind', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ listDelayMs: 60_000 });
    await putVersion(store, path, 'v1.0.0');
    expect(folder.text(list)).toBeUndefined();
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'dirty'))).toHaveLength(1);
    await store.close();
    expect(folder.text(list)).toBe('v1.0.0\n');
  });

  it('has its marker removed when it is written, and a new one made for the next change', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ listDelayMs: 0 });
    const dirty = join(store.instanceFolder ?? '', 'dirty');
    for (let round = 0; round < 20; round++) {
      await putVersion(store, path, `v1.${round}.0`);
      await store.idle();
      expect(fs.readdirSync(dirty)).toEqual([]);
    }
    expect(folder.text(list)?.split('\n')).toHaveLength(21);
  });

  it('is written again when another process published between our reading and our writing', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const rename = fs.rename;
    const spy = vi.spyOn(fs, 'rename').mockImplementation((from, to, done) => {
      if (to === join(folder.path, list)) {
        spy.mockRestore();
        for (const ext of ['info', 'mod', 'zip'])
          fs.writeFileSync(join(folder.path, list, '..', `v1.1.0.${ext}`), '');
      }
      rename(from, to, done);
    });
    await putVersion(store, path, 'v1.0.0');
    await store.idle();
    expect(folder.text(list)).toBe('v1.0.0\nv1.1.0\n');
  });
});
