import { describe, expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { parseVerifierKey } from './log/note.ts';
import { checkTree } from './log/proof.ts';
import { openTreeHead } from './log/tree-head.ts';
import { askerOf, MemoryStore, makeWorld, openDatabase, startLog, upstreamOf } from './test-database.ts';

async function known(size: number) {
  const world = await makeWorld({ pad: size });
  const clock = new FakeClock();
  const opened = world.open({ clock });
  await opened.database.head(askerOf(), 0);
  return { ...world, ...opened, clock };
}

describe('a fork', () => {
  it('of the same size is seen without any tile', async () => {
    const { log, lookup, told } = await known(300);
    log.lie({ kind: 'fork', fromSize: 100 });
    log.reset();
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({
      code: 'forked',
      message: expect.stringMatching(/contradict each other \(300 and 300 records, the second from up\)/),
    });
    expect(told).toEqual(['head 0 300', 'forked up 300 300']);
  });

  it.each([
    { grown: 1, at: 300 },
    { grown: 500, at: 750 },
    { grown: 70_000, at: 70_200 },
  ])('that is $grown larger is seen before its head is trusted', async ({ grown, at }) => {
    const { log, lookup, told, store, database } = await known(300);
    log.pad(grown);
    log.lie({ kind: 'fork', fromSize: 299 });
    await expect(lookup(paddingModule(at))).rejects.toMatchObject({ code: 'forked' });
    expect(told).toEqual(['head 0 300', `forked up 300 ${300 + grown}`]);
    expect(store.headSize).toBe(300);
    expect([...store.files.keys()]).toEqual([]);
    expect(await database.head(askerOf(), 0)).toMatchObject({ treeSize: 300 });
  });

  it('by an older head is seen', async () => {
    const truth = await known(300);
    const liar = await startLog({ pad: 250 });
    liar.lie({ kind: 'fork', fromSize: 100 });
    const { database, lookup, told } = openDatabase(truth.log, {
      store: truth.store,
      upstreams: [await upstreamOf(liar, 'liar')],
    });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'unreachable' });
    // Tiles of the larger tree were not to be had from the liar: no proof, so no fork yet.
    expect(database.figures.isForked).toBe(false);
    const both = openDatabase(truth.log, {
      store: truth.store,
      upstreams: [await upstreamOf(liar, 'liar'), truth.up],
    });
    await expect(both.lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    expect([...told, ...both.told].filter((line) => !line.startsWith('refused'))).toEqual([
      'forked liar 300 250',
    ]);
  });

  it('is found behind the reply where the record itself is in the known tree', async () => {
    const { log, lookup, told, database } = await known(300);
    log.pad(100);
    log.lie({ kind: 'fork', fromSize: 280 });
    expect(await lookup(paddingModule(260))).toMatchObject({ treeSize: 300 });
    await database.idle();
    expect(told).toEqual(['head 0 300', 'forked up 300 400']);
    expect(database.figures).toMatchObject({ isForked: true, treeSize: 300 });
  });

  it('is found where the tiles of the known tree cannot be had because of it', async () => {
    const { log, lookup, told } = await known(300);
    log.pad(100);
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    expect(told.at(-1)).toBe('forked up 300 400');
  });

  it('in what another process has kept is seen', async () => {
    const { log, lookup, clock, store, open, told, database } = await known(300);
    await lookup(paddingModule(3));
    const { beginning } = JSON.parse(store.states.get('head')?.toString() ?? '') as { beginning: string };
    const elsewhere = new MemoryStore();
    log.pad(20);
    log.lie({ kind: 'fork', fromSize: 100 });
    await open({ store: elsewhere }).database.head(askerOf(), 0);
    const theirs = JSON.parse(elsewhere.states.get('head')?.toString() ?? '') as object;
    store.states.set('head', Buffer.from(JSON.stringify({ ...theirs, beginning })));
    await clock.advance(10_000);
    await expect(lookup(paddingModule(4))).rejects.toMatchObject({ code: 'forked' });
    expect(told).toEqual(['head 0 300', 'forked store 300 320']);
    expect(database.figures.treeSize).toBe(300);
    expect(await lookup(paddingModule(3))).toMatchObject({ treeSize: 300 });
  });

  it('leaves what was proven before, stops new records, and outlives restarts', async () => {
    const { log, lookup, open, store } = await known(300);
    const before = await lookup(paddingModule(3));
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    log.lie(undefined);
    log.reset();

    expect(await lookup(paddingModule(3))).toEqual(before);
    await expect(lookup(paddingModule(4))).rejects.toMatchObject({ code: 'forked' });
    const again = open();
    expect(await again.lookup(paddingModule(3))).toEqual(before);
    expect(await again.lookup(paddingModule(3), { storedOnly: true })).toEqual(before);
    await expect(again.lookup(paddingModule(4))).rejects.toMatchObject({ code: 'forked' });
    expect(await again.database.head(askerOf(), 0)).toMatchObject({ treeSize: 300 });
    expect(await again.database.tile({ level: 0, n: 0, width: 256 }, askerOf())).toMatchObject({
      isProven: true,
    });
    expect(again.database.figures.isForked).toBe(true);
    expect(again.told).toEqual([]);
    expect(log.requests).toEqual([]);
    expect(store.states.has('fork')).toBe(true);
  });

  it('is kept with evidence that anybody can check', async () => {
    const { log, lookup, database, clock } = await known(300);
    log.pad(400);
    log.lie({ kind: 'fork', fromSize: 299 });
    await expect(lookup(paddingModule(600))).rejects.toMatchObject({ code: 'forked' });

    const evidence = await database.fork();
    if (evidence === undefined) throw new Error('no evidence');

    const verifiers = [parseVerifierKey(log.verifierKey)];
    const one = openTreeHead(Buffer.from(evidence.known), verifiers);
    const other = openTreeHead(Buffer.from(evidence.other), verifiers);
    expect([one.size, other.size]).toEqual([300, 700]);
    expect(evidence).toMatchObject({ database: log.name, source: 'up', atMs: clock.now() });
    expect(evidence.computedHash).not.toBe(one.hash.toString('base64'));
    const computed = Buffer.from(evidence.computedHash, 'base64');
    const proof = evidence.proof.map((hash) => Buffer.from(hash, 'base64'));
    checkTree(proof, other.size, other.hash, one.size, computed);
    expect(() => checkTree(proof, other.size, other.hash, one.size, one.hash)).toThrow(
      expect.objectContaining({ code: 'inconsistent' }),
    );
  });

  it('stops other processes on the store within ten seconds', async () => {
    const { log, lookup, open, clock } = await known(300);
    const other = open({ clock });
    await other.lookup(paddingModule(3));
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    log.lie(undefined);
    await clock.advance(10_000);
    await expect(other.lookup(paddingModule(201))).rejects.toMatchObject({ code: 'forked' });
    expect(await other.lookup(paddingModule(3))).toMatchObject({ id: 3 });
    expect(await other.database.fork()).toMatchObject({ source: 'up' });
  });

  it('ends with a reset, in other processes too: then the next head is trusted at sight', async () => {
    const { log, lookup, open, clock, database, told, store } = await known(300);
    await lookup(paddingModule(3));
    await lookup(paddingModule(250));
    const other = open({ clock });
    await other.lookup(paddingModule(3));
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });

    await database.reset('the log was rebuilt');

    expect(store.states.size).toBe(0);
    expect(database.figures).toMatchObject({ isForked: false, treeSize: undefined });
    expect(await lookup(paddingModule(200))).toMatchObject({ treeSize: 300 });
    // What was kept of the other history is noticed, and replaced.
    expect(await lookup(paddingModule(250))).toMatchObject({ treeSize: 300 });
    expect(told).toContain('reset the log was rebuilt');
    expect(told.filter((line) => line.startsWith('head'))).toEqual(['head 0 300', 'head 0 300']);
    expect(told).toContain('rotten lookup/pad.test/m250@v1.0.0');
    log.pad(1);
    await lookup(paddingModule(300));
    await clock.advance(10_000);
    expect(await other.lookup(paddingModule(201))).toMatchObject({ treeSize: 301 });
    // Nothing that it had proven before counts any more.
    expect(await other.lookup(paddingModule(3))).toMatchObject({ treeSize: 301 });
    expect(other.told.filter((line) => line.startsWith('forked'))).toEqual([]);
  });

  it('that cannot be kept still stops this process', async () => {
    const { log, lookup, store, clock } = await known(300);
    store.fails.swap = new Error('ENOSPC');
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    log.lie(undefined);
    await clock.advance(60_000);
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    expect(store.states.has('fork')).toBe(false);
  });

  it('that the disk did not take at first is kept when it does, for other processes too', async () => {
    const { log, lookup, store, clock, open, told } = await known(300);
    store.fails.swap = new Error('ENOSPC');
    log.lie({ kind: 'fork', fromSize: 100 });
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    log.lie(undefined);
    delete store.fails.swap;
    await clock.advance(10_000);
    await expect(lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    expect(store.states.has('fork')).toBe(true);
    await expect(open().lookup(paddingModule(200))).rejects.toMatchObject({ code: 'forked' });
    expect(told.filter((line) => line.startsWith('forked'))).toEqual(['forked up 300 300']);
  });

  it('whose evidence is torn is a fork all the same', async () => {
    const { store, open } = await known(300);
    store.states.set('fork', Buffer.from('{"database":'));
    const again = open();
    await expect(again.lookup(paddingModule(2))).rejects.toMatchObject({ code: 'forked' });
    expect(await again.database.fork()).toMatchObject({ source: 'unknown', proof: [] });
  });
});
