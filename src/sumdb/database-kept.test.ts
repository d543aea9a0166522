import { describe, expect, it } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { parseVerifierKey } from './log/note.ts';
import { treeHashFrom } from './log/proof.ts';
import { readHashes } from './log/test-read-hashes.ts';
import { headTiles } from './log/tile-reader.ts';
import { openTreeHead } from './log/tree-head.ts';
import { askerOf, MemoryStore, makeWorld, openDatabase, startLog, upstreamOf } from './test-database.ts';

const A = fakeModule({ path: 'example.com/Upper/a', version: 'v1.2.3' });

describe('what is kept', () => {
  it('survives a restart: an older head is accepted, a forked one is refused', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    await open().lookup(paddingModule(5));

    const second = open();
    log.lie({ kind: 'stale_head', size: 200 });
    expect(await second.lookup(paddingModule(6))).toMatchObject({ treeSize: 300 });
    await second.database.idle();
    expect(second.told).toEqual([]);

    // The hole of a client that begins from an empty head each time.
    const third = open();
    log.pad(100);
    log.lie({ kind: 'fork', fromSize: 250 });
    await expect(third.lookup(paddingModule(350))).rejects.toMatchObject({ code: 'forked' });
    expect(third.told).toEqual(['forked up 300 400']);
  });

  it('proves every record offline, and lets a client with an older head of ours follow', async () => {
    const { log, open, store } = await makeWorld({ pad: 300, modules: [A] });
    const first = open();
    const modules: { readonly path: string; readonly version: string }[] = [];
    const notes: Buffer[] = [];
    for (const more of [0, 5, 700, 64_600, 5_000, 256]) {
      log.pad(more);
      const some = [0, Math.floor(log.size / 2), log.size - more - 1, log.size - 1].map(paddingModule);
      for (const module of some) {
        if (module.path === paddingModule(300).path) continue;
        await first.lookup(module);
        modules.push(module);
      }
      const head = await first.database.head(askerOf(), 60_000);
      if (head !== undefined) notes.push(head.note);
    }
    await first.lookup(A);
    log.reset();

    const offline = open({ isOffline: () => true });
    for (const { path, version } of [...modules, A]) {
      expect(await offline.lookup({ path, version })).toMatchObject({ path, version, treeSize: log.size });
    }
    await expect(offline.lookup(paddingModule(77_777))).rejects.toMatchObject({ code: 'offline' });

    // A client such as go: it reads tiles through `tile` only, and checks them itself.
    const known = await offline.database.head(askerOf(), 0);
    if (known === undefined) throw new Error('no head');
    const verifiers = [parseVerifierKey(log.verifierKey)];
    const head = openTreeHead(known.note, verifiers);
    const read = (tiles: readonly { level: number; n: number; width: number }[]) =>
      Promise.all(tiles.map(async (tile) => (await offline.database.tile(tile, askerOf())).bytes));
    expect(new Set(notes.map(String)).size).toBe(6);
    for (const note of notes) {
      const older = openTreeHead(note, verifiers);
      const hash = await treeHashFrom(older.size, async (indexes) => {
        return (await readHashes({ head, height: 8, indexes, read })).hashes;
      });
      expect(hash).toEqual(older.hash);
    }
    expect(log.requests).toEqual([]);
    expect(offline.told).toEqual([]);
    expect(store.headSize).toBe(log.size);
    expect(headTiles(head, 8).length).toBeGreaterThan(1);
  });

  it('of an older version of modferry is a whole answer, of which only the record counts', async () => {
    const { log, open, store } = await makeWorld({ pad: 300, modules: [A] });
    const answer = await (await fetch(`${log.url}/lookup/example.com/!upper/a@v1.2.3`)).text();
    store.files.set('lookup/example.com/!upper/a@v1.2.3', Buffer.from(answer.replace('database', 'other')));
    const { database, lookup, told } = open();
    await database.head(askerOf(), 0);
    log.reset();
    expect(await lookup(A)).toMatchObject({ id: 300, zipH1: A.zipH1 });
    expect(log.count(/^\/lookup\//)).toBe(0);
    expect(told).toEqual(['head 0 301']);
  });

  it('is nothing without a known head, where nobody may be asked', async () => {
    const { open, store } = await makeWorld({ pad: 300 });
    await open().lookup(paddingModule(5));
    store.states.clear();
    const { lookup } = open();
    await expect(lookup(paddingModule(5), { storedOnly: true })).rejects.toMatchObject({ code: 'offline' });
    expect(await lookup(paddingModule(5))).toMatchObject({ id: 5 });
  });
});

describe('a disk that garbles', () => {
  it('is noticed in each kept file, and healed from the source', async () => {
    const { open, store } = await makeWorld({ pad: 700 });
    await open().lookup(paddingModule(5));
    const names = [...store.files.keys()];
    expect(names.sort()).toEqual(['lookup/pad.test/m5@v1.0.0', 'tile/8/0/000']);
    for (const name of names) {
      for (const at of [0, 40]) {
        const before = Buffer.from(store.files.get(name) ?? '');
        store.flip(name, at);
        const { lookup, told } = open();
        expect(await lookup(paddingModule(5))).toMatchObject({ id: 5 });
        expect(told).toEqual([`rotten ${name}`]);
        expect(store.files.get(name)).toEqual(before);
      }
    }
  });

  it('is noticed offline too, where nothing can be healed', async () => {
    const { open, store } = await makeWorld({ pad: 700 });
    await open().lookup(paddingModule(5));
    store.flip('lookup/pad.test/m5@v1.0.0', 40);
    const { lookup, told } = open({ isOffline: () => true });
    await expect(lookup(paddingModule(5))).rejects.toMatchObject({ code: 'offline' });
    expect(told).toEqual(['rotten lookup/pad.test/m5@v1.0.0']);
  });

  it('in the tiles of the head has them fetched and kept again', async () => {
    const clock = new FakeClock();
    const { open, store } = await makeWorld({ pad: 700 });
    await open().lookup(paddingModule(5));
    const state = JSON.parse(store.states.get('head')?.toString() ?? '') as { edges: Record<string, string> };
    const [place = ''] = Object.keys(state.edges);
    state.edges[place] = Buffer.alloc(64, 1).toString('base64');
    store.states.set('head', Buffer.from(JSON.stringify(state)));
    const { lookup, told } = open({ clock });
    expect(await lookup(paddingModule(6))).toMatchObject({ treeSize: 700 });
    expect(told).toEqual(['rotten head tiles']);
    await clock.advance(10_000);
    await lookup(paddingModule(7));
    const offline = open({ isOffline: () => true });
    expect(await offline.lookup(paddingModule(7))).toMatchObject({ treeSize: 700 });
    expect(offline.told).toEqual([]);
  });

  it.each([
    { name: 'torn', spoil: (text: string) => text.slice(0, 50) },
    { name: 'empty', spoil: () => '' },
    { name: 'garbage', spoil: () => '[]' },
    { name: 'of another size', spoil: (text: string) => text.replace('700', '701') },
    { name: 'without its signature', spoil: (text: string) => text.replace(/— .*?\\n/, '') },
  ])('in the known head ($name) is told, and what was there is kept aside', async ({ spoil }) => {
    const { open, store } = await makeWorld({ pad: 700 });
    await open().lookup(paddingModule(5));
    const spoilt = Buffer.from(spoil(store.states.get('head')?.toString() ?? ''));
    store.states.set('head', spoilt);
    const { lookup, told } = open();
    expect(await lookup(paddingModule(6))).toMatchObject({ treeSize: 700 });
    expect(told).toEqual(['rotten head']);
    const state = JSON.parse(store.states.get('head')?.toString() ?? '') as { unreadable: string };
    expect(Buffer.from(state.unreadable, 'base64')).toEqual(spoilt);
  });

  it('in the known head, while a process knows it, is healed by that one', async () => {
    const clock = new FakeClock();
    const { open, store, log } = await makeWorld({ pad: 700 });
    const { lookup, told } = open({ clock });
    await lookup(paddingModule(5));
    store.states.set('head', Buffer.from('?'));
    await clock.advance(10_000);
    await lookup(paddingModule(6));
    expect(store.headSize).toBe(700);
    log.pad(1);
    await lookup(paddingModule(700));
    expect(told).toEqual(['head 0 700', 'rotten head', 'head 700 701']);
  });

  it('and cannot be read at the start is no reason to trust the next head at sight', async () => {
    const { open, store } = await makeWorld({ pad: 700 });
    await open().lookup(paddingModule(5));
    const { lookup, told } = open();
    store.fails.read = new Error('EIO');
    await expect(lookup(paddingModule(6))).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('cannot be read (EIO)'),
    });
    delete store.fails.read;
    expect(await lookup(paddingModule(6))).toMatchObject({ treeSize: 700 });
    expect(told).toEqual([]);
  });

  it('and takes nothing does not stop lookups', async () => {
    const clock = new FakeClock();
    const { open, store, log } = await makeWorld({ pad: 700 });
    store.fails = { swap: new Error('EROFS'), keep: new Error('EROFS') };
    const { lookup } = open({ clock });
    expect(await lookup(paddingModule(5))).toMatchObject({ treeSize: 700 });
    expect([store.files.size, store.states.size]).toEqual([0, 0]);
    store.fails = {};
    await clock.advance(10_000);
    log.reset();
    await lookup(paddingModule(6));
    expect(store.headSize).toBe(700);
    // The tile was in memory, and is kept now.
    expect(log.count(/^\/tile\//)).toBe(0);
    expect([...store.files.keys()]).toContain('tile/8/0/000');
  });
});

describe('two processes on one store', () => {
  it('move the head at once, and both end with the newest', async () => {
    const { log, open, store } = await makeWorld({ pad: 300 });
    const [one, two] = [open(), open()];
    await Promise.all([one.lookup(paddingModule(5)), two.lookup(paddingModule(6))]);
    for (let round = 0; round < 10; round += 1) {
      log.pad(100);
      const last = paddingModule(log.size - 1);
      log.pad(50);
      const later = paddingModule(log.size - 1);
      await Promise.all([one.lookup(last), two.lookup(later), one.lookup(later), two.lookup(last)]);
      expect(store.headSize).toBe(log.size);
    }
    expect([...one.told, ...two.told].filter((line) => !line.startsWith('head'))).toEqual([]);
  });

  it('trust the same first head', async () => {
    const truth = await startLog({ pad: 300 });
    const liar = await startLog({ pad: 320 });
    liar.lie({ kind: 'fork', fromSize: 100 });
    const store = new MemoryStore();
    const both = [await upstreamOf(truth, 'truth'), await upstreamOf(liar, 'liar')] as const;
    const one = openDatabase(truth, { store, upstreams: [both[0]] });
    const two = openDatabase(truth, { store, upstreams: [both[1]] });
    const ends = await Promise.allSettled([one.lookup(paddingModule(200)), two.lookup(paddingModule(200))]);
    expect(ends.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2);
    expect(store.states.has('fork')).toBe(true);
  });

  it('adopt the head of the other without asking anybody for it', async () => {
    const clock = new FakeClock();
    const { log, open } = await makeWorld({ pad: 300 });
    const one = open({ clock });
    const two = open({ clock });
    await one.lookup(paddingModule(5));
    await two.lookup(paddingModule(5));
    log.pad(1000);
    await one.lookup(paddingModule(1200));
    log.reset();
    expect(await two.lookup(paddingModule(1200), { storedOnly: true })).toMatchObject({ treeSize: 1300 });
    log.pad(1000);
    await one.lookup(paddingModule(2200));
    await two.lookup(paddingModule(5));
    expect(two.database.figures.treeSize).toBe(1300);
    await clock.advance(10_000);
    log.reset();
    await two.lookup(paddingModule(7), { storedOnly: true }).catch(() => {});
    expect(two.database.figures.treeSize).toBe(2300);
    expect(await two.lookup(paddingModule(2200))).toMatchObject({ treeSize: 2300 });
    expect(log.requests).toEqual([]);
  });
});
