import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { evidenceOf, keyOf, sha256Of } from '../contract/kit.ts';
import type { Store } from '../store.ts';
import { idOf, nextEntry, parseEntry, renderEntry } from './quarantine-entry.ts';
import { makeTestFolder } from './test-folder.ts';

const zip = keyOf('example.com/Big/m', 'v1.0.0', 'zip');

async function add(store: Store, body: string, atMs = 1_000): Promise<string> {
  return (await store.quarantine.add({ ...evidenceOf(zip, body), atMs }, { body: Buffer.from(body) })).id;
}

function ageFolder(folder: string): void {
  const then = Date.now() / 1_000 - 60;
  fs.utimesSync(join(folder, 'quarantine'), then, then);
}

/** Evidence of suspects of other modules, as if it had come long ago. */
function fillWith(folder: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const evidence = evidenceOf(keyOf(`example.com/m${index}`, 'v1.0.0', 'zip'), `body ${index}`);
    const entry = nextEntry({ ...evidence, atMs: index }, undefined);
    fs.writeFileSync(join(folder, `quarantine/${entry.id}.json`), renderEntry(entry));
  }
}

function newFile(folder: string): string {
  const path = join(folder, 'taken');
  fs.writeFileSync(path, '');
  return path;
}

describe('the quarantine folder', () => {
  it('has flat files named by id, the bytes for the owner only, nothing of it under download', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const id = await add(store, 'bad');
    const staged = await store.stage(zip);
    await staged.write([Buffer.from('worse')]);
    const moved = await store.quarantine.add(evidenceOf(zip, 'worse'), { staged });
    await staged.close();

    expect(folder.files('quarantine')).toEqual(
      [`${id}.bytes`, `${id}.json`, `${moved.id}.bytes`, `${moved.id}.json`].toSorted(),
    );
    for (const each of [id, moved.id]) {
      expect(fs.statSync(join(folder.path, `quarantine/${each}.bytes`)).mode & 0o777).toBe(0o600);
    }
    expect(id).toBe(
      sha256Of(JSON.stringify(['example.com/Big/m@v1.0.0.zip', 'mirror', sha256Of('bad')])).slice(0, 16),
    );
    expect(folder.files('download')).toEqual([]);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });

  it('passes over garbage, and over entries that are torn or say another id', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const id = await add(store, 'bad');
    const dir = join(folder.path, 'quarantine');
    const text = folder.text('quarantine', `${id}.json`) ?? '';
    fs.writeFileSync(join(dir, 'README.json'), text);
    fs.writeFileSync(join(dir, '0000000000000000.json'), text);
    fs.writeFileSync(join(dir, '1111111111111111.json'), text.slice(0, 50));
    fs.writeFileSync(join(dir, '2222222222222222.json'), '[]');
    fs.writeFileSync(join(dir, '4444444444444444.json'), ' '.repeat(100_000));
    fs.mkdirSync(join(dir, '3333333333333333.json'));

    expect((await store.quarantine.list()).map((entry) => entry.id)).toEqual([id]);
    expect(await store.quarantine.get('0000000000000000')).toBeUndefined();
    expect(await store.quarantine.fileOf('1111111111111111')).toBeUndefined();
    expect(await store.quarantine.drop('1111111111111111')).toBe(true);
  });

  it('does not give out bytes of which a power cut left a part', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const id = await add(store, 'bad bytes');
    fs.truncateSync(join(folder.path, `quarantine/${id}.bytes`), 3);
    expect(await store.quarantine.get(id)).toMatchObject({ hasBytes: false });
    expect(await store.quarantine.fileOf(id)).toBeUndefined();
  });

  it('counts on from evidence that another process wrote, and goes over its lock when it died', async () => {
    const folder = makeTestFolder();
    const first = await folder.open();
    const id = await add(first, 'bad');
    await first.close();
    fs.writeFileSync(join(folder.path, 'meta/quarantine.lock'), '');
    const then = Date.now() / 1_000 - 6;
    fs.utimesSync(join(folder.path, 'meta/quarantine.lock'), then, then);

    const store = await folder.open();
    expect(await add(store, 'bad', 2_000)).toBe(id);
    expect(await store.quarantine.get(id)).toMatchObject({ count: 2, firstAtMs: 1_000, atMs: 2_000 });
    expect(folder.files('quarantine')).toEqual([`${id}.bytes`, `${id}.json`]);
  });

  it('loses bytes that nobody can explain', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await add(store, 'bad');
    fs.writeFileSync(join(folder.path, 'quarantine/5555555555555555.bytes'), 'orphan');
    fs.writeFileSync(join(folder.path, 'quarantine/foreign.bytes'), 'foreign');
    await add(store, 'worse');
    await store.idle();
    expect(folder.files('quarantine')).not.toContain('5555555555555555.bytes');
    expect(folder.files('quarantine')).toContain('foreign.bytes');
  });

  it('is not read again while nothing came or went, and is when something did', async () => {
    const folder = makeTestFolder();
    const [store, other] = [await folder.open(), await folder.open()];
    const id = await add(other, 'bad');
    await other.idle();
    ageFolder(folder.path);
    await store.quarantine.list();
    const readdir = vi.spyOn(fs.promises, 'readdir');
    for (let index = 0; index < 5; index++) expect(await store.quarantine.of(zip)).toHaveLength(1);
    expect(readdir).not.toHaveBeenCalled();
    readdir.mockRestore();

    await add(other, 'bad', 2_000);
    expect((await store.quarantine.list()).map((entry) => entry.count)).toEqual([2]);
    await add(other, 'worse');
    expect(await store.quarantine.list()).toHaveLength(2);
    await other.quarantine.drop(id);
    expect(await store.quarantine.list()).toHaveLength(1);
  });

  it('drops what nobody can read before anything else', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ quarantineEntries: 2 });
    const id = await add(store, 'bad');
    fs.writeFileSync(join(folder.path, 'quarantine/1111111111111111.json'), 'torn');
    const next = await add(store, 'worse');
    await store.idle();
    expect((await store.quarantine.list()).map((entry) => entry.id).toSorted()).toEqual(
      [id, next].toSorted(),
    );
    expect(folder.files('quarantine')).not.toContain('1111111111111111.json');
  });

  it('keeps what came last, however old its evidence says it is', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ quarantineEntries: 1 });
    await add(store, 'bad', 5_000);
    const last = await add(store, 'worse', 1);
    await store.idle();
    expect((await store.quarantine.list()).map((entry) => entry.id)).toEqual([last]);
  });

  it('keeps the last bytes that fit its bound, though they are more than what trimming leaves', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ quarantineBytes: 20 });
    await add(store, 'x'.repeat(12), 5_000);
    const last = await add(store, 'y'.repeat(19), 1);
    await store.idle();
    expect((await store.quarantine.list()).map((entry) => [entry.id, entry.hasBytes])).toEqual([
      [expect.any(String), false],
      [last, true],
    ]);
  });

  it('trims to below its bound, so that not every suspect at the bound trims again', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ quarantineEntries: 20 });
    for (let atMs = 0; atMs < 21; atMs++) await add(store, `body ${atMs}`, atMs);
    await store.idle();
    expect((await store.quarantine.list()).map((entry) => entry.atMs)).toEqual(
      Array.from({ length: 18 }, (_, index) => 20 - index),
    );
  });

  it('reads no other evidence when one is added to many, and none at all to find it', async () => {
    const folder = makeTestFolder();
    await add(await folder.open(), 'first');
    fillWith(folder.path, 1_000);
    const store = await folder.open();
    await add(store, 'bad');
    await store.idle();
    const opened = vi.spyOn(fs, 'open');
    const stats = vi.spyOn(fs, 'stat');

    await add(store, 'worse');
    const calls = opened.mock.calls.length + stats.mock.calls.length;
    opened.mockClear();
    expect(await store.quarantine.of(zip)).toHaveLength(3);

    expect(calls).toBeLessThan(40);
    expect(opened).not.toHaveBeenCalled();
    opened.mockRestore();
    stats.mockRestore();
  });

  it('counts with what other processes added, and reads only what is new of it', async () => {
    const folder = makeTestFolder();
    const [store, other] = [await folder.open({ quarantineEntries: 20 }), await folder.open()];
    await add(store, 'bad', 1);
    await store.idle();
    for (let atMs = 2; atMs <= 19; atMs++) await add(other, `body ${atMs}`, atMs);
    await other.idle();
    const opened = vi.spyOn(fs, 'open');
    expect(await store.quarantine.list()).toHaveLength(19);
    expect(opened.mock.calls.filter(([path]) => String(path).endsWith('.json'))).toHaveLength(18);
    opened.mockRestore();

    for (let atMs = 20; atMs <= 21; atMs++) await add(store, `body ${atMs}`, atMs);
    await store.idle();
    expect((await other.quarantine.list()).map((entry) => entry.atMs)).toEqual(
      Array.from({ length: 18 }, (_, index) => 21 - index),
    );
  });

  it('trims no further when the lock was taken from it', async () => {
    const folder = makeTestFolder();
    await (await folder.open()).close();
    const first = await folder.open();
    for (let atMs = 0; atMs < 12; atMs++) await add(first, `body ${atMs}`, atMs);
    await first.close();
    const store = await folder.open({ quarantineEntries: 6 });
    const lock = join(folder.path, 'meta/quarantine.lock');
    const { unlink } = fs;
    let removed = 0;
    const spy = vi.spyOn(fs, 'unlink').mockImplementation((path, done) => {
      // As another process does that counts the holder as dead.
      if (String(path).endsWith('.json') && ++removed === 2) fs.renameSync(newFile(folder.path), lock);
      unlink(path, done);
    });
    await add(store, 'last', 100);
    await store.idle();
    spy.mockRestore();
    expect(removed).toBe(2);
    expect(await store.quarantine.list()).toHaveLength(11);
    expect(fs.existsSync(lock)).toBe(true);
  });

  it('takes only files that were staged here', async () => {
    const store = await makeTestFolder().open();
    const staged = await (await makeTestFolder().open()).stage(zip);
    const foreign = { ...staged, file: '/etc/passwd' };
    await expect(store.quarantine.add(evidenceOf(zip, ''), { staged: foreign })).rejects.toMatchObject({
      code: 'io',
    });
    await staged.close();
    expect(fs.existsSync('/etc/passwd')).toBe(true);
  });
});

describe('the text of an entry', () => {
  it('gives back any evidence, within its bounds', () => {
    const texts = fc.string({ unit: 'binary', maxLength: 2_000 });
    const evidence = fc.record({
      source: texts,
      reason: texts,
      atMs: fc.maxSafeNat(),
      sizeBytes: fc.maxSafeNat(),
      headers: fc.dictionary(texts, texts),
      expectedBy: texts,
    });
    fc.assert(
      fc.property(evidence, (extra) => {
        const entry = nextEntry({ ...evidenceOf(zip, 'bad'), ...extra }, undefined);
        expect(parseEntry(renderEntry(entry), entry.id)).toEqual(entry);
        expect(Buffer.byteLength(renderEntry(entry))).toBeLessThan(64 * 1024);
      }),
    );
  });

  it('of another shape is no entry, whatever JSON stands there', () => {
    const entry = nextEntry(evidenceOf(zip, 'bad'), undefined);
    const id = idOf(evidenceOf(zip, 'bad'));
    const fields = [
      'key',
      'cause',
      'source',
      'reason',
      'sha256',
      'sizeBytes',
      'atMs',
      'id',
      'count',
    ] as const;
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
        const parsed = parseEntry(JSON.stringify({ ...entry, [field]: value }), id);
        if (parsed !== undefined) expect(typeof parsed[field]).toBe(typeof entry[field]);
      }),
    );
    for (const key of [
      { ...zip, path: '../../x' },
      { ...zip, version: 'main' },
      { ...zip, ext: 'exe' },
      null,
    ]) {
      expect(parseEntry(JSON.stringify({ ...entry, key }), id)).toBeUndefined();
    }
  });
});
