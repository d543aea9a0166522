import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { collect, evidenceOf, keyOf, put, putVersion, sha256Of, textOf } from '../contract/kit.ts';
import { makeTestFolder, mount } from './test-folder.ts';

const path = 'example.com/m';
const zip = keyOf(path, 'v1.0.0', 'zip');
const mod = keyOf(path, 'v1.0.0', 'mod');

// Small file systems of their own need mount(2).
describe.runIf(process.getuid?.() === 0)('a disk that is full', () => {
  it('ends a write with disk_full, and closing gives the space back', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const store = await folder.open({ stopAt: 1 });
    const staged = await store.stage(zip);
    await staged.write([Buffer.alloc(100_000, 1)]);

    await expect(staged.write([Buffer.alloc(4_000_000)])).rejects.toMatchObject({ code: 'disk_full' });

    const target = Buffer.alloc(10);
    expect(await staged.readAt(target, 10, 0)).toBe(10);
    expect(staged.sizeBytes).toBe(100_000);
    await staged.close();
    expect(folder.files('download')).toEqual([]);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
    expect((await put(store, zip, 'small enough')).outcome).toBe('published');
  });

  it('ends a publish with disk_full when there is no room for the name, and leaves nothing of it', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=4m,nr_inodes=24' });
    const store = await folder.open();
    let failure: unknown;
    let failed = '';
    for (let index = 0; failure === undefined; index++) {
      failed = `example.com/deep/er/m${index}`;
      try {
        await put(store, keyOf(failed, 'v1.0.0', 'zip'), 'body');
      } catch (error) {
        failure = error;
      }
    }
    expect(failure).toMatchObject({ code: 'disk_full', message: expect.stringContaining('free space') });
    expect(await store.has(keyOf(failed, 'v1.0.0', 'zip'))).toBe(false);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
    expect(folder.files('download').filter((name) => name.includes(failed))).toEqual([]);
  });

  it('is not filled beyond the stop mark, and what is stored is served on', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    await put(await folder.open(), mod, 'module m');
    fs.writeFileSync(join(folder.path, 'filler'), Buffer.alloc(1_300_000));
    const store = await folder.open({ stopAt: 0.5 });

    await expect(store.stage(zip)).rejects.toMatchObject({ code: 'disk_full' });
    expect(await store.writable()).toBe(false);
    expect(await textOf(store, mod)).toBe('module m');
    expect((await store.claim(zip)).holder).toBe('us');
    await expect(store.keepSumdb('sum.test', 'latest', Buffer.from('9'))).rejects.toMatchObject({
      code: 'disk_full',
    });
    expect(await store.keptSumdb('sum.test', 'latest')).toBeUndefined();
  });

  it('does not keep the store from opening, reading and purging back to life', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const first = await folder.open();
    await putVersion(first, path, 'v1.0.0');
    await first.close();
    fs.writeFileSync(join(folder.path, 'filler'), '');
    try {
      for (;;) fs.appendFileSync(join(folder.path, 'filler'), Buffer.alloc(4_096));
    } catch {
      // Full now.
    }

    const store = await folder.open();

    expect(await textOf(store, mod)).toBe(`module ${path}\n`);
    await expect(store.stage(zip)).rejects.toMatchObject({ code: 'disk_full' });
    expect((await store.claim(zip)).holder).toBe('us');
  });
});

describe.runIf(process.getuid?.() === 0)('a full disk and suspects', () => {
  it('keeps the evidence without the bytes beyond the stop mark, of a staged file and of a body', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const store = await folder.open();
    const staged = await store.stage(zip);
    await staged.write([Buffer.from('bad')]);
    fs.writeFileSync(join(folder.path, 'filler'), Buffer.alloc(1_300_000));
    const full = await folder.open({ stopAt: 0.5 });

    const body = await full.quarantine.add(evidenceOf(mod, 'bad'), { body: Buffer.from('bad') });
    await expect(full.stage(zip)).rejects.toMatchObject({ code: 'disk_full' });

    expect(body.hasBytes).toBe(false);
    expect(folder.files('quarantine')).toEqual([`${body.id}.json`]);
    await staged.close();
  });

  it('keeps the evidence where the bytes no longer fit, and gives the staged ones back', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const store = await folder.open({ stopAt: 1 });
    const large = 'x'.repeat(3_000_000);

    const entry = await store.quarantine.add(evidenceOf(zip, large), { body: Buffer.from(large) });

    expect(entry).toMatchObject({ hasBytes: false, sizeBytes: large.length });
    expect(folder.files('quarantine')).toEqual([`${entry.id}.json`]);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });

  it('says disk_full when not even evidence can be kept, and a withdrawal then still takes the file out', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const store = await folder.open({ stopAt: 1 });
    const body = 'y'.repeat(20_000);
    await put(store, zip, body);
    await put(store, mod, 'module m');
    await store.idle();
    const staged = await store.stage(zip);
    await staged.write([Buffer.from('bad')]);
    const filler = fs.openSync(join(folder.path, 'filler'), 'w');
    try {
      for (;;) fs.writeSync(filler, Buffer.alloc(4_096));
    } catch {
      // Full now.
    }
    fs.closeSync(filler);

    await expect(store.quarantine.add(evidenceOf(zip, 'bad'), { staged })).rejects.toMatchObject({
      code: 'disk_full',
    });
    await expect(staged.publish({ sha256: sha256Of('bad'), source: 't' })).rejects.toMatchObject({
      code: 'io',
    });
    await staged.close();
    const entry = await store.withdraw(zip, evidenceOf(zip, body));

    expect(entry).toMatchObject({ key: zip, cause: 'mismatch' });
    expect(await store.open(zip)).toBeUndefined();
    expect(await textOf(store, mod)).toBe('module m');
    expect(await store.quarantine.of(zip)).toEqual([entry]);
  });

  it('fails a swap with disk_full, and the state before it stays whole', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const store = await folder.open({ stopAt: 1 });
    const before = Buffer.from('head');
    await store.swapSumdbState('sum.test', 'head', undefined, before);
    fs.writeFileSync(join(folder.path, 'filler'), Buffer.alloc(1_800_000));

    await expect(
      store.swapSumdbState('sum.test', 'head', before, Buffer.alloc(1_000_000)),
    ).rejects.toMatchObject({ code: 'disk_full' });

    expect(await store.readSumdbState('sum.test', 'head')).toEqual(before);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
    expect(await store.swapSumdbState('sum.test', 'head', before, Buffer.from('next'))).toBe(true);
  });
});

describe.runIf(process.getuid?.() === 0)('a folder that cannot be written', () => {
  it('is opened for reading with a warning, and refuses the rest as read_only', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=2m' });
    const first = await folder.open();
    await putVersion(first, path, 'v1.0.0');
    await first.keepSumdb('sum.test', 'latest', Buffer.from('9'));
    await first.swapSumdbState('sum.test', 'head', undefined, Buffer.from('h'));
    await put(first, keyOf(path, 'v1.1.0', 'mod'), 'late', { unproven: 'unreachable' });
    const suspect = await first.quarantine.add(evidenceOf(zip, 'bad'), { body: Buffer.from('bad') });
    await first.close();
    fs.rmSync(join(folder.path, 'meta/records'), { recursive: true });
    mount(['-o', 'remount,ro', folder.path]);

    const store = await folder.open();

    expect(store.warnings.join()).toContain('make the folder writable');
    const file = await store.open(mod);
    expect(file?.record).toMatchObject({ sha256: sha256Of(`module ${path}\n`), source: 'unknown' });
    await file?.close();
    expect(await store.completeVersions(parseModulePath(path))).toEqual(['v1.0.0']);
    expect(await store.writable()).toBe(false);
    expect((await store.claim(zip)).holder).toBe('us');
    await expect(store.stage(zip)).rejects.toMatchObject({ code: 'read_only' });
    await expect(store.purge({ path: parseModulePath(path) })).rejects.toMatchObject({ code: 'read_only' });
    const entry = { body: '', confirmedAtMs: 0, sources: [] };
    await expect(store.writeMutable(parseModulePath(path), 'list', entry)).rejects.toMatchObject({
      code: 'read_only',
    });
    expect(await store.readMutable(parseModulePath(path), 'list')).toBeUndefined();
    expect((await store.keptSumdb('sum.test', 'latest'))?.body.toString()).toBe('9');
    await expect(store.keepSumdb('sum.test', 'latest', Buffer.from('10'))).rejects.toMatchObject({
      code: 'read_only',
    });
    expect((await store.readSumdbState('sum.test', 'head'))?.toString()).toBe('h');
    expect(await store.quarantine.list()).toEqual([suspect]);
    expect(fs.readFileSync((await store.quarantine.fileOf(suspect.id)) ?? '', 'utf8')).toBe('bad');
    expect(await collect(store.awaitingProof())).toEqual([keyOf(path, 'v1.1.0', 'mod')]);
    const evidence = evidenceOf(mod, `module ${path}\n`);
    const refused = [
      store.quarantine.add(evidence, undefined),
      store.quarantine.drop(suspect.id),
      store.withdraw(mod, evidence),
      store.setTrust(mod, evidence.sha256, { unproven: 'off' }),
      store.renew(mod, { sha256: evidence.sha256, unproven: 'off' }),
      store.swapSumdbState('sum.test', 'head', Buffer.from('h'), undefined),
    ];
    for (const each of refused) await expect(each).rejects.toMatchObject({ code: 'read_only' });
  });
});
