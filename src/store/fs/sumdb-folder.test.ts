import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { maxSumdbBytes } from '../store.ts';
import { makeTestFolder } from './test-folder.ts';

const lookup = 'lookup/github.com/!azure/x@v1.0.0';

describe('what checksum databases answered, in the folder', () => {
  it('lies in files named as it was asked, apart from what GOPROXY=file:// sees', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    await store.keepSumdb('sum.golang.org', lookup, Buffer.from('1\n'));
    await store.keepSumdb('sum.golang.org', 'tile/8/0/234.p/17', Buffer.from('t'));
    await store.keepSumdb('Sum.test/inner', 'latest', Buffer.from('l'));

    expect(folder.files('meta/sumdb')).toEqual([
      '!sum.test@inner/latest',
      'sum.golang.org/lookup/github.com/!azure/x@v1.0.0',
      'sum.golang.org/tile/8/0/234.p/17',
    ]);
    expect(folder.files('download')).toEqual([]);
    expect(fs.readdirSync(join(store.instanceFolder ?? '', 'staging'))).toEqual([]);
  });

  it('is absent, not an error, where a folder or something huge stands in its place', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const place = join(folder.path, 'meta/sumdb/sum.test');
    fs.mkdirSync(join(place, 'latest'), { recursive: true });
    fs.mkdirSync(join(place, 'tile/8/0'), { recursive: true });
    fs.writeFileSync(join(place, 'tile/8/0/000'), '');
    fs.truncateSync(join(place, 'tile/8/0/000'), maxSumdbBytes + 1);

    expect(await store.keptSumdb('sum.test', 'latest')).toBeUndefined();
    expect(await store.keptSumdb('sum.test', 'tile/8/0/000')).toBeUndefined();
    expect(await store.keptSumdb('sum.test', 'tile/8/0/000/001')).toBeUndefined();
  });

  it('is never seen half written by who reads meanwhile', async () => {
    const folder = makeTestFolder();
    const [writer, reader] = [await folder.open(), await folder.open()];
    const bodies = ['a', 'b'].map((letter) => Buffer.alloc(200_000, letter));
    let isDone = false;
    const writing = (async () => {
      for (let turn = 0; turn < 40; turn += 1) {
        await writer.keepSumdb('sum.test', 'latest', bodies[turn % 2] ?? Buffer.alloc(0));
      }
      isDone = true;
    })();
    let seen = 0;
    while (!isDone) {
      const kept = await reader.keptSumdb('sum.test', 'latest');
      if (kept === undefined) continue;
      seen += 1;
      expect(bodies.some((body) => body.equals(kept.body))).toBe(true);
    }
    await writing;
    expect(seen).toBeGreaterThan(0);
  });
});
