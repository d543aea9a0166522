import { describe, expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import type { SumdbState } from '../store/store.ts';
import {
  askerOf,
  type MemoryStore,
  makeWorld,
  openDatabase,
  startLog,
  upstreamAt,
  upstreamOf,
} from './test-database.ts';

/** A log of which some records are kept here, and another history that the same key has signed. */
async function twoHistories() {
  const world = await makeWorld({ pad: 700 });
  const first = world.open();
  for (const id of [5, 300, 690]) await first.lookup(paddingModule(id));
  const liar = await startLog({ pad: 800 });
  liar.lie({ kind: 'fork', fromSize: 250 });
  const evil = await upstreamOf(liar, 'evil');
  const openEvil = () => openDatabase(world.log, { store: world.store, upstreams: [evil] });
  return { ...world, liar, openEvil };
}

function flip(store: MemoryStore, ...states: SumdbState[]): void {
  for (const state of states) {
    const bytes = store.states.get(state);
    if (bytes === undefined) throw new Error(`${state} is not kept`);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
  }
}

describe('a known head that the disk has garbled', () => {
  it('is known from its copy: another history is a fork as ever', async () => {
    const { store, openEvil, open } = await twoHistories();
    const before = Buffer.from(store.states.get('head') ?? '');
    expect(store.states.get('head_copy')).toEqual(before);
    flip(store, 'head');
    const { lookup, told, database } = openEvil();
    await database.open();
    expect(told).toEqual(['rotten head']);
    expect(store.headSize).toBe(700);
    await expect(lookup(paddingModule(400))).rejects.toMatchObject({ code: 'forked' });
    store.states.delete('fork');
    const { lookup: honest, told: heard } = open();
    expect(await honest(paddingModule(6))).toMatchObject({ treeSize: 700 });
    expect(heard).toEqual([]);
  });

  it('is known from its copy when its file is gone', async () => {
    const { store, openEvil } = await twoHistories();
    store.states.delete('head');
    const { lookup, told } = openEvil();
    await expect(lookup(paddingModule(400))).rejects.toMatchObject({ code: 'forked' });
    expect(told[0]).toBe('rotten head');
    expect(store.headSize).toBe(700);
  });

  it('has its copy made anew at the next start, and moved with it', async () => {
    const { store, open, log } = await twoHistories();
    flip(store, 'head_copy');
    const { lookup, told, database } = open();
    await database.open();
    expect(store.states.get('head_copy')).toEqual(store.states.get('head'));
    log.pad(100);
    await lookup(paddingModule(750));
    expect(store.headSize).toBe(800);
    expect(store.states.get('head_copy')).toEqual(store.states.get('head'));
    expect(told).toEqual(['head 700 800']);
  });

  it('leaves no copy behind when it is reset', async () => {
    const { store, open } = await twoHistories();
    const { database } = open();
    await database.reset('new log');
    expect(store.states.size).toBe(0);
  });
});

describe('a known head that is lost with its copy', () => {
  it('is followed by none that lacks what is kept', async () => {
    const { store, openEvil, open } = await twoHistories();
    flip(store, 'head', 'head_copy');
    const { lookup, told, database } = openEvil();
    for (const id of [400, 401]) {
      await expect(lookup(paddingModule(id))).rejects.toMatchObject({
        code: 'unreachable',
        message: expect.stringContaining('modferry sumdb reset sum.test.example'),
      });
    }
    expect(told).toEqual([
      'rotten head, trust lost',
      expect.stringMatching(/^refused evil head of 800 records: its head lacks records kept here/),
    ]);
    expect(database.figures.treeSize).toBeUndefined();

    const { lookup: honest, told: heard } = open();
    expect(await honest(paddingModule(6))).toMatchObject({ treeSize: 700 });
    expect(heard).toEqual(['rotten head, trust lost', 'head 0 700']);
    expect(store.headSize).toBe(700);
  });

  it('is not followed by a head too small to have what is kept', async () => {
    const { store, log, open } = await twoHistories();
    flip(store, 'head', 'head_copy');
    log.lie({ kind: 'stale_head', size: 600 });
    const { lookup, database } = open();
    await expect(lookup(paddingModule(6))).rejects.toMatchObject({ code: 'unreachable' });
    expect(await database.head(askerOf(), 0)).toBeUndefined();
    log.lie(undefined);
  });

  it('is told from another one by the kept tiles too', async () => {
    const { store, openEvil } = await twoHistories();
    // Its record is in both histories, the tile around it is not.
    for (const name of store.files.keys()) {
      if (name.startsWith('lookup/') && !name.includes('/m5@')) store.files.delete(name);
    }
    flip(store, 'head', 'head_copy');
    await expect(openEvil().lookup(paddingModule(400))).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('is followed by whichever comes first when nothing is kept, or after a reset', async () => {
    const one = await twoHistories();
    flip(one.store, 'head', 'head_copy');
    one.store.files.clear();
    expect(await one.openEvil().lookup(paddingModule(400))).toMatchObject({ treeSize: 800 });

    const two = await twoHistories();
    flip(two.store, 'head', 'head_copy');
    const { lookup, database } = two.openEvil();
    await expect(lookup(paddingModule(400))).rejects.toMatchObject({ code: 'unreachable' });
    await database.reset('the log was rebuilt');
    expect(await lookup(paddingModule(400))).toMatchObject({ treeSize: 800 });
  });
});

describe('figures', () => {
  it('tell what is kept as soon as the database is open', async () => {
    const { open, store, log } = await makeWorld({ pad: 300 });
    await open().lookup(paddingModule(1));
    store.states.set('fork', Buffer.from('{}'));
    log.reset();
    const { database } = open();
    expect(database.figures).toMatchObject({ treeSize: undefined, isForked: false });
    await database.open();
    expect(database.figures).toMatchObject({ treeSize: 300, isForked: true });
    expect(log.requests).toEqual([]);
  });

  it('are none of a store that cannot be read, which is no failure of the start', async () => {
    const { open, store } = await makeWorld({ pad: 300 });
    store.fails.read = new Error('EIO');
    const { database } = open();
    await database.open();
    expect(database.figures.treeSize).toBeUndefined();
  });
});

describe('a database that goes on over a reload', () => {
  it('asks its new addresses at once, and knows what it knew', async () => {
    const { log, store, open } = await makeWorld({ pad: 300 });
    await open().lookup(paddingModule(1));
    store.fails.swap = new Error('EROFS');
    const dead = await startLog();
    await dead.server.refuse();
    const { database, lookup, told } = openDatabase(log, { store, direct: [upstreamAt(dead.url, 'own')] });
    await expect(lookup(paddingModule(2))).rejects.toMatchObject({ code: 'unreachable' });
    database.adopt([upstreamAt(log.url, 'own')]);
    expect(await lookup(paddingModule(2))).toMatchObject({ treeSize: 300 });
    expect(told).toEqual([]);
  });
});
