import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { collect, evidenceOf, fakeH1, keyOf, put, sha256Of } from '../contract/kit.ts';
import type { ArtifactRecord, Proof, Store } from '../store.ts';
import { makeTestFolder } from './test-folder.ts';

const zip = keyOf('example.com/m', 'v1.0.0', 'zip');
const file = 'download/example.com/m/@v/v1.0.0.zip';
const record = 'meta/records/example.com/m/@v/v1.0.0.zip.json';
const proof: Proof = { by: 'sumdb', database: 'sum.test', recordId: 3, treeSize: 9, atMs: 1 };

async function recordIn(store: Store): Promise<ArtifactRecord | undefined> {
  const opened = await store.open(zip);
  await opened?.close();
  return opened?.record;
}

describe('trust in the folder', () => {
  it('stays when a record is renewed because the file was touched', async () => {
    const folder = makeTestFolder();
    await put(await folder.open(), zip, 'bytes', { proof });
    fs.utimesSync(join(folder.path, file), 1_000, 2_000);

    expect(await recordIn(await folder.open())).toMatchObject({ modifiedAtMs: 2_000_000, proof });
    expect(JSON.parse(folder.text(record) ?? '')).toMatchObject({ modifiedAtMs: 2_000_000, proof });
  });

  it('is unknown of what was rebuilt', async () => {
    const folder = makeTestFolder();
    await put(await folder.open(), zip, 'bytes', { proof });
    fs.rmSync(join(folder.path, record));
    const rebuilt = await recordIn(await folder.open());
    expect(rebuilt?.proof).toBeUndefined();
    expect(rebuilt?.unproven).toBeUndefined();
  });

  it('that another process learnt is seen within a second, without a restart', async () => {
    const folder = makeTestFolder();
    const clock = new FakeClock();
    const [one, two] = [await folder.open(), await folder.open({ clock })];
    await clock.advance(1);
    await put(one, zip, 'bytes', { unproven: 'unreachable' });
    expect((await recordIn(two))?.unproven).toBe('unreachable');
    const told = new Promise<void>((resolve) => two.onTrust(() => resolve()));

    await one.setTrust(zip, sha256Of('bytes'), { proof });
    // The other process looks at the journal again.
    await clock.advance(1_000);
    await told;

    expect((await recordIn(two))?.proof).toEqual(proof);
  });

  it('is not set for a file that rotted', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'bytes', { unproven: 'off' });
    fs.writeFileSync(join(folder.path, file), 'rotten');
    for (const body of ['bytes', 'rotten']) {
      expect(await store.setTrust(zip, sha256Of(body), { proof })).toBe(false);
    }
    expect(JSON.parse(folder.text(record) ?? '')).toMatchObject({ unproven: 'off' });
  });

  it('of the recorded content stays when a publication heals its file, and grows by its proof', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'bytes', { unproven: 'unreachable' });
    fs.writeFileSync(join(folder.path, file), 'rotten');
    await put(store, zip, 'packed anew', { h1: fakeH1('bytes'), proof });
    expect(await recordIn(store)).toMatchObject({ proof, sha256: sha256Of('packed anew') });
    expect(await collect(store.awaitingProof())).toEqual([]);

    fs.writeFileSync(join(folder.path, file), 'rotten again');
    await put(store, zip, 'packed anew', { h1: fakeH1('bytes'), unproven: 'unreachable' });
    expect(await recordIn(store)).toMatchObject({ proof, sha256: sha256Of('packed anew') });
    expect(folder.files('meta/unproven')).toEqual([]);
  });
});

describe('a renewal in the folder', () => {
  it('writes record and .ziphash that are wrong, missing or unreadable, and leaves the file alone', async () => {
    const folder = makeTestFolder();
    await put(await folder.open(), zip, 'bytes', { proof, source: 'mirror' });
    const truth = folder.text(record);
    const { ino, mtimeMs } = fs.statSync(join(folder.path, file));
    const ziphash = 'download/example.com/m/@v/v1.0.0.ziphash';
    const spoil: (() => void)[] = [
      () =>
        fs.writeFileSync(
          join(folder.path, record),
          (truth ?? '').replace(sha256Of('bytes'), 'ab'.repeat(32)),
        ),
      () => fs.writeFileSync(join(folder.path, ziphash), fakeH1('another')),
      () => fs.rmSync(join(folder.path, ziphash)),
    ];
    for (const each of spoil) {
      each();
      const store = await folder.open();
      expect(await store.renew(zip, { sha256: sha256Of('bytes'), h1: fakeH1('bytes'), proof })).toBe(true);
      await store.idle();
      expect(folder.text(record)).toBe(truth);
      expect(folder.text(ziphash)).toBe(fakeH1('bytes'));
      expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
    }
    expect(fs.statSync(join(folder.path, file))).toMatchObject({ ino, mtimeMs });
  });

  it('never judges another file that came while it hashed or wrote', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'bytes', { proof });
    const final = join(folder.path, file);
    const { rename } = fs;
    let isReplaced = false;
    const spy = vi.spyOn(fs, 'rename').mockImplementation((from, to, done) => {
      if (to === join(folder.path, record) && !isReplaced) {
        isReplaced = true;
        fs.writeFileSync(join(folder.path, 'healed'), 'other');
        fs.renameSync(join(folder.path, 'healed'), final);
      }
      rename(from, to, done);
    });

    const renewed = await store.renew(zip, { sha256: sha256Of('bytes'), h1: fakeH1('bytes'), proof });
    spy.mockRestore();

    expect([isReplaced, renewed]).toEqual([true, false]);
    expect(await recordIn(store)).toMatchObject({ sha256: sha256Of('other'), source: 'unknown' });
    expect((await recordIn(store))?.proof).toBeUndefined();
  });
});

describe('a walk', () => {
  it('tells what the disk does not give back, and goes on', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'bytes', { proof });
    await put(store, { ...zip, ext: 'mod' }, 'module m\n', { proof });
    const after = keyOf('example.com/n', 'v1.0.0', 'zip');
    await put(store, after, 'bytes', { proof });
    // Reads of it end with EIO, as those of a bad sector do.
    fs.rmSync(join(folder.path, record));
    fs.symlinkSync('/proc/self/mem', join(folder.path, record));

    const entries = await collect((await folder.open()).versions());

    const bad = entries.find((entry) => entry.path === zip.path);
    expect(entries).toHaveLength(2);
    expect(Object.keys(bad?.artifacts ?? {})).toEqual(['mod']);
    expect(bad?.unreadable?.zip).toContain('EIO');
    expect(entries.find((entry) => entry.path === after.path)?.unreadable).toBeUndefined();
  });
});

describe('a withdrawal in the folder', () => {
  it('takes file, record and .ziphash away, updates the list, and leaves nothing staged', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    for (const ext of ['info', 'mod', 'zip'] as const) {
      await put(store, { ...zip, ext }, ext, { unproven: ext === 'info' ? 'none' : 'unreachable' });
    }
    await store.idle();
    expect(folder.text('download/example.com/m/@v/list')).toBe('v1.0.0\n');

    const entry = await store.withdraw(zip, evidenceOf(zip, 'zip'));
    await store.idle();

    expect(folder.files('download')).toEqual(['example.com/m/@v/v1.0.0.info', 'example.com/m/@v/v1.0.0.mod']);
    expect(folder.files('meta/records')).toEqual([
      'example.com/m/@v/v1.0.0.info.json',
      'example.com/m/@v/v1.0.0.mod.json',
    ]);
    expect(folder.files('meta/unproven')).toHaveLength(1);
    expect(folder.files('quarantine')).toEqual([`${entry?.id}.bytes`, `${entry?.id}.json`]);
    expect(fs.statSync(join(folder.path, `quarantine/${entry?.id}.bytes`)).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });

  it('of a file that rotted on the disk goes by what is there now', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'right');
    fs.writeFileSync(join(folder.path, file), 'rotten');

    expect(await store.withdraw(zip, evidenceOf(zip, 'right'))).toBeUndefined();
    const entry = await store.withdraw(zip, evidenceOf(zip, 'rotten'));

    expect(entry).toMatchObject({ hasBytes: true, sizeBytes: 6 });
    expect(await store.open(zip)).toBeUndefined();
    expect((await put(store, zip, 'anything else')).outcome).toBe('published');
    expect(await recordIn(await folder.open())).toMatchObject({ sha256: sha256Of('anything else') });
  });

  it('puts back what healed the file in the last moment', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'right', { source: 'mirror' });
    const final = join(folder.path, file);
    fs.writeFileSync(final, 'rotten');
    const healed = join(folder.path, 'healed');
    fs.writeFileSync(healed, 'right');
    const { rename } = fs;
    let isHealed = false;
    const spy = vi.spyOn(fs, 'rename').mockImplementation((from, to, done) => {
      if (from === final && !isHealed) {
        isHealed = true;
        fs.renameSync(healed, final);
      }
      rename(from, to, done);
    });

    const entry = await store.withdraw(zip, evidenceOf(zip, 'rotten'));
    spy.mockRestore();

    expect([isHealed, entry]).toEqual([true, undefined]);
    expect(fs.readFileSync(final, 'utf8')).toBe('right');
    expect(await recordIn(store)).toMatchObject({ source: 'mirror', sha256: sha256Of('right') });
    expect((await store.quarantine.list()).map((each) => each.hasBytes)).toEqual([false]);
  });

  it('of a file larger than the quarantine leaves its evidence', async () => {
    const folder = makeTestFolder();
    const store = await folder.open({ quarantineBytes: 3 });
    await put(store, zip, 'large');
    const entry = await store.withdraw(zip, evidenceOf(zip, 'large'));
    expect(entry?.hasBytes).toBe(false);
    expect(folder.files('quarantine')).toEqual([`${entry?.id}.json`]);
    expect(await store.has(zip)).toBe(false);
  });

  it('that was killed before the record went harms no later publication', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'old');
    const text = folder.text(record) ?? '';
    await store.withdraw(zip, evidenceOf(zip, 'old'));
    fs.mkdirSync(join(folder.path, record, '..'), { recursive: true });
    fs.writeFileSync(join(folder.path, record), text);

    const next = await folder.open();
    expect(await next.open(zip)).toBeUndefined();
    expect((await put(next, zip, 'new', { source: 'second' })).outcome).toBe('published');
    expect(await recordIn(await folder.open())).toMatchObject({ source: 'second' });
  });

  it('that was killed there harms none whose own record cannot be written either', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, zip, 'old');
    const text = folder.text(record) ?? '';
    await store.withdraw(zip, evidenceOf(zip, 'old'));
    fs.mkdirSync(join(folder.path, record, '..'), { recursive: true });
    fs.writeFileSync(join(folder.path, record), text);
    const { rename } = fs;
    const spy = vi.spyOn(fs, 'rename').mockImplementation((from, to, done) => {
      if (to === join(folder.path, record)) done(Object.assign(new Error('full'), { code: 'ENOSPC' }));
      else rename(from, to, done);
    });

    expect((await put(store, zip, 'new')).outcome).toBe('published');
    spy.mockRestore();

    expect(await recordIn(await folder.open())).toMatchObject({ sha256: sha256Of('new') });
  });
});
