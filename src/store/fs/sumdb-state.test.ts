import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { maxSumdbBytes } from '../store.ts';
import { makeTestFolder } from './test-folder.ts';

const name = 'Sum.test/inner';
const place = 'meta/sumdb/!sum.test@inner';

describe('state of checksum databases, in the folder', () => {
  it('lies in a file of its own beside the answers, and leaves no lock and nothing staged', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await store.keepSumdb(name, 'latest', Buffer.from('l'));
    await store.swapSumdbState(name, 'head', undefined, Buffer.from('h'));
    await store.swapSumdbState(name, 'fork', undefined, Buffer.from('f'));
    await store.swapSumdbState(name, 'head', Buffer.from('other'), Buffer.from('x'));

    expect(folder.files(place)).toEqual(['fork.json', 'head.json', 'latest']);
    expect(folder.text(place, 'head.json')).toBe('h');
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });

  it('is swapped over the lock of a process that died with it', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    fs.mkdirSync(join(folder.path, place), { recursive: true });
    const lock = join(folder.path, place, 'head.json.lock');
    fs.writeFileSync(lock, '');
    const then = Date.now() / 1_000 - 6;
    fs.utimesSync(lock, then, then);

    expect(await store.swapSumdbState(name, 'head', undefined, Buffer.from('h'))).toBe(true);
    expect(folder.files(place)).toEqual(['head.json']);
  });

  it('counts as nothing where something huge or a folder stands, and can be replaced where that is a file', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    fs.mkdirSync(join(folder.path, place, 'fork.json'), { recursive: true });
    fs.writeFileSync(join(folder.path, place, 'head.json'), '');
    fs.truncateSync(join(folder.path, place, 'head.json'), maxSumdbBytes + 1);

    expect(await store.readSumdbState(name, 'head')).toBeUndefined();
    expect(await store.readSumdbState(name, 'fork')).toBeUndefined();
    expect(await store.swapSumdbState(name, 'head', undefined, Buffer.from('h'))).toBe(true);
    expect(folder.text(place, 'head.json')).toBe('h');
    await expect(store.swapSumdbState(name, 'fork', undefined, Buffer.from('f'))).rejects.toMatchObject({
      code: 'io',
    });
  });

  it('is written again after somebody cleared the folder away', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await store.swapSumdbState(name, 'head', undefined, Buffer.from('h'));
    fs.rmSync(join(folder.path, 'meta/sumdb'), { recursive: true });
    expect(await store.swapSumdbState(name, 'head', undefined, Buffer.from('again'))).toBe(true);
    expect(folder.text(place, 'head.json')).toBe('again');
  });

  it('is never seen half written by who reads meanwhile', async () => {
    const folder = makeTestFolder();
    const [writer, reader] = [await folder.open(), await folder.open()];
    const bodies = ['a', 'b'].map((letter) => Buffer.alloc(200_000, letter));
    let isDone = false;
    const writing = (async () => {
      let before: Buffer | undefined;
      for (let turn = 0; turn < 30; turn += 1) {
        const next = bodies[turn % 2];
        expect(await writer.swapSumdbState('sum.test', 'head', before, next)).toBe(true);
        before = next;
      }
      isDone = true;
    })();
    let seen = 0;
    while (!isDone) {
      const state = await reader.readSumdbState('sum.test', 'head');
      if (state === undefined) continue;
      seen += 1;
      expect(bodies.some((body) => body.equals(state))).toBe(true);
    }
    await writing;
    expect(seen).toBeGreaterThan(0);
  });
});
