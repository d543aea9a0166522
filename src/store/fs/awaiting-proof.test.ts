import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { collect, evidenceOf, keyOf, put, sha256Of } from '../contract/kit.ts';
import type { Proof } from '../store.ts';
import { keyHash } from './layout.ts';
import { makeTestFolder } from './test-folder.ts';

const mod = keyOf('example.com/Big/m', 'v1.0.0', 'mod');
const zip = keyOf('example.com/Big/m', 'v1.0.0', 'zip');
const proof: Proof = { by: 'operator', reason: 'r', atMs: 1 };
const markers = 'meta/unproven';

function age(file: string): void {
  const then = Date.now() / 1_000 - 3_600;
  fs.utimesSync(file, then, then);
}

describe('markers of what awaits a proof', () => {
  it('are a file for each artifact, gone when it is proven', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    expect(folder.files(markers)).toEqual([`${keyHash(mod)}.json`]);
    expect(JSON.parse(folder.text(markers, `${keyHash(mod)}.json`) ?? '')).toEqual(mod);
    await store.setTrust(mod, sha256Of('module m\n'), { proof });
    expect(folder.files(markers)).toEqual([]);
  });

  it('go with their artifact: purged, withdrawn, or overtaken by a purge while it was published', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    await store.purge({ path: mod.path, version: mod.version });
    expect(folder.files(markers)).toEqual([]);

    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    await store.withdraw(mod, evidenceOf(mod, 'module m\n'));
    expect(folder.files(markers)).toEqual([]);

    const other = await folder.open();
    const link = vi.spyOn(fs, 'link');
    link.mockImplementationOnce((from, to, done) => {
      link.mockRestore();
      other.purge({ path: mod.path }).then(
        () => fs.link(from, to, done),
        (error: NodeJS.ErrnoException) => done(error),
      );
    });
    await expect(put(store, mod, 'module m\n', { unproven: 'unreachable' })).rejects.toMatchObject({
      code: 'purged',
    });
    expect(folder.files(markers)).toEqual([]);
  });

  it('stand before the artifact can be seen', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const link = vi.spyOn(fs, 'link');
    let before: string[] = [];
    link.mockImplementationOnce((from, to, done) => {
      before = folder.files(markers);
      link.mockRestore();
      fs.link(from, to, done);
    });
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    expect(before).toEqual([`${keyHash(mod)}.json`]);
  });

  it('that are torn, foreign or of another artifact are passed over', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    await put(store, zip, 'zip', { unproven: 'off' });
    const dir = join(folder.path, markers);
    fs.writeFileSync(join(dir, `${keyHash(zip)}.json`), '{"path":"example.com/Big/m","ver');
    fs.writeFileSync(join(dir, 'README'), 'foreign');
    fs.writeFileSync(join(dir, `${'0'.repeat(32)}.json`), JSON.stringify(mod));
    fs.writeFileSync(join(dir, 'evil.json'), JSON.stringify({ ...mod, path: '../../etc' }));
    fs.mkdirSync(join(dir, 'folder.json'));
    expect(await collect(store.awaitingProof())).toEqual([mod]);
  });

  it('of artifacts that are gone or proven are removed once nobody can be publishing them', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    for (const key of [mod, zip]) await put(store, key, key.ext, { unproven: 'unreachable' });
    const texts = [mod, zip].map((key) => folder.text(markers, `${keyHash(key)}.json`) ?? '');
    await store.setTrust(zip, sha256Of('zip'), { proof });
    fs.rmSync(join(folder.path, 'download/example.com/!big/m/@v/v1.0.0.mod'));
    const files = [mod, zip].map((key) => join(folder.path, markers, `${keyHash(key)}.json`));
    files.forEach((file, index) => {
      fs.writeFileSync(file, texts[index] ?? '');
    });

    expect(await collect(store.awaitingProof())).toEqual([]);
    expect(folder.files(markers)).toHaveLength(2);
    for (const file of files) age(file);
    expect(await collect(store.awaitingProof())).toEqual([]);
    expect(folder.files(markers)).toEqual([]);
  });

  it('outlive the loss of the record', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    fs.rmSync(join(folder.path, 'meta/records'), { recursive: true });
    age(join(folder.path, markers, `${keyHash(mod)}.json`));
    expect(await collect((await folder.open()).awaitingProof())).toEqual([mod]);
  });

  it('are read one by one: the first is there before the folder was read to its end', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await put(store, mod, 'module m\n', { unproven: 'unreachable' });
    const readdir = vi.spyOn(fs.promises, 'readdir');
    for await (const key of store.awaitingProof()) expect(key).toEqual(mod);
    expect(readdir).not.toHaveBeenCalled();
    readdir.mockRestore();
  });
});
