import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { systemClock } from '../../lib/clock.ts';
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
} from '../contract/kit.ts';
import { storeContract } from '../store.contract.ts';
import type { Store } from '../store.ts';
import { openFsStore } from './fs-store.ts';
import { makeTestFolder } from './test-folder.ts';

async function makePlace(): Promise<StorePlace> {
  const folder = await fs.promises.mkdtemp(join(tmpdir(), 'modferry-store-'));
  const opened: Store[] = [];
  return {
    async open(options = {}) {
      const store = await openFsStore({ folder, clock: systemClock, ...options });
      opened.push(store);
      return store;
    },
    async remove() {
      for (const store of opened) await store.close();
      await fs.promises.rm(folder, { recursive: true, force: true });
    },
  };
}

storeContract('folder', makePlace);

const path = 'example.com/Big/mod';
const zip = keyOf(path, 'v1.0.0', 'zip');

describe('the data folder', () => {
  it('has the layout of a Go download cache, with .ziphash as Go writes it', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await putVersion(store, path, 'v1.0.0');
    await store.idle();

    expect(folder.files('download')).toEqual(
      ['list', 'v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip', 'v1.0.0.ziphash'].map((name) =>
        join('example.com/!big/mod/@v', name),
      ),
    );
    expect(folder.text('download/example.com/!big/mod/@v/v1.0.0.ziphash')).toBe(
      fakeH1(`zip of ${path}@v1.0.0`),
    );
    expect(folder.text('download/example.com/!big/mod/@v/list')).toBe('v1.0.0\n');
    expect(folder.text('meta/format')).toBe('1\n');
  });

  it('is readable for other users, as nginx needs it', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await putVersion(store, path, 'v1.0.0');
    await store.idle();

    const dir = join(folder.path, 'download/example.com/!big/mod/@v');
    expect(fs.statSync(dir).mode & 0o777).toBe(0o755);
    for (const name of fs.readdirSync(dir)) expect(fs.statSync(join(dir, name)).mode & 0o777).toBe(0o644);
  });

  it('keeps no folder and no staged file of a store that was closed', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const staged = await store.stage(zip);
    await staged.write([Buffer.from('half')]);
    await store.close();
    await staged.close();
    expect(fs.readdirSync(join(folder.path, 'run'))).toEqual([]);
  });

  it('is refused when another version wrote its format', async () => {
    const folder = makeTestFolder();
    fs.mkdirSync(join(folder.path, 'meta'));
    fs.writeFileSync(join(folder.path, 'meta/format'), '2\n');
    await expect(folder.open()).rejects.toMatchObject({
      code: 'bad_format',
      message: expect.stringContaining('give another data folder'),
    });
  });

  it("is refused when it is a go command's live cache", async () => {
    const folder = makeTestFolder();
    fs.mkdirSync(join(folder.path, 'download'));
    fs.writeFileSync(join(folder.path, 'lock'), '');
    await expect(folder.open()).rejects.toMatchObject({ code: 'in_use' });
  });

  it('opens by the same calls whether little or much is stored', async () => {
    const folder = makeTestFolder();
    await (await folder.open()).close();
    const calls = [vi.spyOn(fs.promises, 'readdir'), vi.spyOn(fs.promises, 'opendir')] as const;
    const count = (): number => calls[0].mock.calls.length + calls[1].mock.calls.length;

    const empty = await folder.open();
    await empty.idle();
    const forEmpty = count();
    await empty.close();
    for (let module = 0; module < 300; module++) {
      const dir = join(folder.path, `download/example.com/m${module}/@v`);
      fs.mkdirSync(dir, { recursive: true });
      for (const ext of ['info', 'mod', 'zip']) fs.writeFileSync(join(dir, `v1.0.0.${ext}`), '');
    }
    const before = count();
    const full = await folder.open();
    await full.idle();

    expect(count() - before).toBe(forEmpty);
    expect(await full.completeVersions(parseModulePath('example.com/m7'))).toEqual(['v1.0.0']);
  });

  it('passes over foreign files', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await putVersion(store, path, 'v1.0.0');
    const dir = join(folder.path, 'download/example.com/!big/mod/@v');
    for (const name of [
      'list.lock',
      'v1.0.0.lock',
      'main.info',
      'V1.1.0.zip',
      '.zip',
      'v1.zip',
      'v1.2.0.zip~',
    ]) {
      fs.writeFileSync(join(dir, name), 'foreign');
    }
    fs.writeFileSync(join(folder.path, 'download/README'), 'foreign');

    const walked = await collect(store.versions());
    await store.purge({ path: parseModulePath(path) });

    expect(walked.map((entry) => `${entry.path}@${entry.version}`)).toEqual([`${path}@v1.0.0`]);
    expect(fs.readdirSync(dir)).toContain('v1.0.0.lock');
    expect(fs.readdirSync(dir)).not.toContain('v1.0.0.zip');
  });

  it('loses the emptied folders with a module, and stores it again at once', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const other = await folder.open();
    await putVersion(store, path, 'v1.0.0');
    await other.purge({ path: parseModulePath(path) });
    expect(fs.readdirSync(join(folder.path, 'download'))).toEqual([]);

    // `store` made this folder and remembers it.
    expect((await put(store, zip, 'again')).outcome).toBe('published');
  });
});

describe('the .ziphash', () => {
  it('is that of the zip that won, whatever a dead or beaten writer left', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const file = 'download/example.com/!big/mod/@v/v1.0.0.ziphash';
    fs.mkdirSync(join(folder.path, file, '..'), { recursive: true });
    fs.writeFileSync(join(folder.path, file), fakeH1('of a writer that was killed'));

    await put(store, zip, 'winner');
    await put(store, zip, 'loser');

    expect(folder.text(file)).toBe(fakeH1('winner'));
  });
});

describe('without hard links', () => {
  it('publishes without overwriting, and warns that the folder cannot be shared', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ hardLinks: false });

    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => put(store, zip, `body ${index}`)),
    );

    expect(results.filter((result) => result.outcome === 'published')).toHaveLength(1);
    expect(results.filter((result) => result.outcome === 'conflict')).toHaveLength(19);
    expect(store.warnings.join()).toContain('only one modferry process');
    expect((await folder.open()).warnings).toEqual([]);
  });
});

describe('a copy that changed behind our back', () => {
  const file = 'download/example.com/!big/mod/@v/v1.0.0.zip';
  const record = 'meta/records/example.com/!big/mod/@v/v1.0.0.zip.json';

  it('is served on when only its time changed, and keeps its source', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'bytes', { source: 'mirror' });
    fs.utimesSync(join(folder.path, file), 1_000, 2_000);

    const opened = await (await folder.open()).open(zip);
    await opened?.close();

    expect(opened?.record).toMatchObject({ source: 'mirror', modifiedAtMs: 2_000_000 });
    expect(JSON.parse(folder.text(record) ?? '')).toEqual(opened?.record);
  });

  it('is not served when its bytes changed, and is healed by a publication of the recorded content', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'right');
    fs.writeFileSync(join(folder.path, file), 'rotten');

    await expect(store.open(zip)).rejects.toMatchObject({ code: 'rotten' });
    await expect(put(store, zip, 'other')).rejects.toMatchObject({ code: 'rotten' });
    await expect(store.open(zip)).rejects.toMatchObject({ code: 'rotten' });
    expect((await put(store, zip, 'right')).outcome).toBe('published');
    expect(await textOf(store, zip)).toBe('right');
  });

  it.each(['', '{"sizeBytes":5', '{"sizeBytes":-1}', '[]', '{"sha256":"x"}'])(
    'has its record rebuilt from the file when that is broken: %s',
    async (broken) => {
      const folder = makeTestFolder();
      const store = await folder.open();
      await put(store, zip, 'bytes', { source: 'mirror' });
      fs.writeFileSync(join(folder.path, record), broken);

      const opened = await (await folder.open()).open(zip);
      await opened?.close();

      expect(opened?.record).toMatchObject({
        sha256: sha256Of('bytes'),
        h1: fakeH1('bytes'),
        source: 'unknown',
        sizeBytes: 5,
      });
      expect(JSON.parse(folder.text(record) ?? '')).toEqual(opened?.record);
    },
  );

  it('gets a record with the hash of go.mod when it was put there by hand', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const dir = join(folder.path, 'download/example.com/x/@v');
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(join(dir, 'v1.0.0.mod'), 'module example.com/x\n');

    const [entry] = await collect(store.versions());

    // sha256sum of the file, then sha256 of "HEX  go.mod\n" in base64: dirhash.Hash1.
    const inner = sha256Of('module example.com/x\n');
    const h1 = `h1:${Buffer.from(sha256Of(`${inner}  go.mod\n`), 'hex').toString('base64')}`;
    expect(entry?.artifacts.mod).toMatchObject({ sha256: inner, h1, source: 'unknown' });
  });

  it('does not meet an old record when another version of it is published after a purge', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'first');
    const old = folder.text(record) ?? '';
    await store.purge({ path: zip.path });
    fs.mkdirSync(join(folder.path, record, '..'), { recursive: true });
    fs.writeFileSync(join(folder.path, record), old);
    await store.purge({ path: zip.path, version: versionOf('v1.0.0') });
    expect(folder.text(record)).toBeUndefined();
  });
});

describe('a fill that a purge overtook', () => {
  it('is refused before its name is made: nobody sees it for a moment', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const staged = await store.stage(zip);
    await (await folder.open()).purge({ path: zip.path });
    const link = vi.spyOn(fs, 'link');

    await expect(staged.publish({ sha256: sha256Of(''), source: 'test' })).rejects.toMatchObject({
      code: 'purged',
    });

    expect(link).not.toHaveBeenCalled();
    link.mockRestore();
    await staged.close();
  });
});
