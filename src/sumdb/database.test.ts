import { describe, expect, it } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { askerOf, makeWorld, openDatabase, startLog, upstreamAt, upstreamOf } from './test-database.ts';

const A = fakeModule({ path: 'example.com/Upper/a', version: 'v1.2.3' });
const B = fakeModule({ path: 'example.com/b', version: 'v1.0.0' });

describe('a database that tells the truth', () => {
  it.each([0, 4, 255, 299, 767, 69_999])('proves a record behind %i others', async (pad) => {
    const { log, open, store } = await makeWorld({ pad, modules: [A] });
    const { lookup, told, database } = open();

    const record = await lookup(A);

    expect(record).toEqual({
      path: A.path,
      version: A.version,
      id: pad,
      text: `${A.path} ${A.version} ${A.zipH1}\n${A.path} ${A.version}/go.mod ${A.modH1}\n`,
      zipH1: A.zipH1,
      modH1: A.modH1,
      treeSize: pad + 1,
    });
    expect(told).toEqual([`head 0 ${pad + 1}`]);
    expect(store.headSize).toBe(log.size);
    expect(database.figures).toMatchObject({ lookups: { kept: 0, fetched: 1, failed: 0 }, refused: 0 });
  });

  it.each([1, 5, 256, 300, 768, 70_000])('proves records anywhere in a tree of %i', async (size) => {
    const { open } = await makeWorld({ pad: size });
    const { lookup, told } = open();
    for (const id of new Set([0, 255, 256, Math.floor(size / 2), size - 1].filter((one) => one < size))) {
      expect(await lookup(paddingModule(id))).toMatchObject({ id, treeSize: size });
    }
    expect(told).toEqual([`head 0 ${size}`]);
  });

  it('is asked once for many who ask for the same, and never again', async () => {
    const { log, open } = await makeWorld({ pad: 300, modules: [A] });
    const { lookup, database } = open();

    const records = await Promise.all(Array.from({ length: 20 }, () => lookup(A)));

    expect(new Set(records).size).toBe(1);
    await lookup(A);
    expect(log.count(/^\/lookup\//)).toBe(1);
    expect(log.count('/latest')).toBe(1);
    expect(new Set(log.requests.map(({ path }) => path)).size).toBe(log.requests.length);
    expect(database.figures.lookups).toEqual({ kept: 1, fetched: 20, failed: 0 });
  });

  it('moves the head when a record lies beyond it, and shows that it continues', async () => {
    const { log, open, store } = await makeWorld({ pad: 300, modules: [A] });
    const { lookup, told } = open();
    await lookup(A);
    for (const more of [1, 300, 69_000]) {
      log.pad(more);
      expect(await lookup(paddingModule(log.size - 1))).toMatchObject({ treeSize: log.size });
    }
    expect(told).toEqual(['head 0 301', 'head 301 302', 'head 302 602', 'head 602 69602']);
    expect(store.headSize).toBe(69_602);
  });

  it('looks behind the reply whether the head of an answer contradicts the known one', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    const { lookup, database, told } = open();
    await lookup(paddingModule(1));
    log.lie({ kind: 'stale_head', size: 77 });
    log.reset();

    await lookup(paddingModule(2));
    await database.idle();
    await lookup(paddingModule(3));
    await database.idle();

    // Both records, and what the tree of 77 is made of, are in tiles that are here.
    expect(log.count(/^\/tile\//)).toBe(0);
    expect(told).toEqual(['head 0 300']);
  });

  it('records modules when they are first looked up', async () => {
    const { log, open } = await makeWorld({ pad: 3 });
    log.onDemand((path) => (path === B.path ? B : undefined));
    const { lookup } = open();
    expect(await lookup(B)).toMatchObject({ id: 3, zipH1: B.zipH1, treeSize: 4 });
  });

  it('is asked at its own address where no upstream has it, and who does not offer it is left out', async () => {
    const log = await startLog({ pad: 20 });
    const other = await startLog({ name: 'other.test', pad: 1 });
    const stranger = await upstreamOf(other, 'stranger');
    const targets: string[] = [];
    const watched: typeof stranger = {
      name: 'stranger',
      isPrivate: false,
      stopsOnError: false,
      fetch: (request) => {
        targets.push(request.target);
        return stranger.fetch(request);
      },
      close: () => Promise.resolve(),
    };
    const clock = new FakeClock();
    const { lookup } = openDatabase(log, {
      upstreams: [watched],
      direct: [upstreamAt(log.url, 'own')],
      clock,
    });

    const asked = () => targets.filter((target) => !target.endsWith('/supported')).length;

    let next = 0;
    // Once its no to `supported` is here, nothing more is asked of it.
    await expect
      .poll(async () => {
        const before = asked();
        await lookup(paddingModule(next));
        next += 1;
        return asked() - before;
      })
      .toBe(0);
    expect(targets.filter((target) => target.endsWith('/supported'))).toHaveLength(1);
    const before = asked();
    await lookup(paddingModule(16));
    expect(asked()).toBe(before);
    await clock.advance(10 * 60_000);
    await lookup(paddingModule(17));
    expect(asked()).toBe(before + 1);
  });
});

describe('head', () => {
  it('is the known one while it is young enough, and asked for again when it is not', async () => {
    const clock = new FakeClock();
    const { log, open } = await makeWorld({ pad: 10 });
    const { database } = open({ clock });
    expect((await database.head(askerOf(), 60_000))?.note.toString()).toBe(log.head());
    log.pad(10);
    expect(await database.head(askerOf(), 60_000)).toMatchObject({ treeSize: 10 });
    await clock.advance(60_001);
    expect(await database.head(askerOf(), 60_000)).toMatchObject({
      treeSize: 20,
      confirmedAtMs: clock.now(),
    });
    expect(log.count('/latest')).toBe(2);
  });

  it('stays when nobody answers, or only with an older one', async () => {
    const clock = new FakeClock();
    const { log, open } = await makeWorld({ pad: 10 });
    const { database, told } = open({ clock });
    await database.head(askerOf(), 0);
    await clock.advance(1);
    log.lie({ kind: 'stale_head', size: 4 });
    expect(await database.head(askerOf(), 0)).toMatchObject({ treeSize: 10, confirmedAtMs: clock.now() });
    log.lie({ kind: 'status', status: 500 });
    await clock.advance(1);
    expect(await database.head(askerOf(), 0)).toMatchObject({ treeSize: 10, confirmedAtMs: clock.now() - 1 });
    expect(told).toEqual(['head 0 10']);
  });

  it('is undefined where none is known and none can be had', async () => {
    const { log, open } = await makeWorld({ pad: 10 });
    const { database } = open();
    expect(await database.head(askerOf({ storedOnly: true }), 0)).toBeUndefined();
    expect(log.requests).toEqual([]);
    log.lie({ kind: 'status', status: 500 });
    expect(await database.head(askerOf(), 0)).toBeUndefined();
  });
});

describe('tile', () => {
  const full = { level: 0, n: 0, width: 256 };

  it('is proven inside the known tree, in any width', async () => {
    const { log, open } = await makeWorld({ pad: 600 });
    const { database } = open();
    await database.head(askerOf(), 0);
    const whole = await database.tile(full, askerOf());
    expect(whole).toMatchObject({ isProven: true, source: 'upstream:up' });
    log.reset();
    const again = await database.tile({ ...full, width: 7 }, askerOf());
    expect(again).toEqual({ bytes: whole.bytes.subarray(0, 7 * 32), isProven: true, source: 'store' });
    const edge = await database.tile({ level: 0, n: 2, width: 80 }, askerOf());
    expect([edge.isProven, edge.bytes.length]).toEqual([true, 80 * 32]);
    expect(log.requests).toEqual([]);
  });

  it('moves the head when it lies beyond it', async () => {
    const { log, open } = await makeWorld({ pad: 600 });
    const { database, told } = open();
    await database.head(askerOf(), 0);
    log.pad(300);
    expect(await database.tile({ level: 0, n: 2, width: 256 }, askerOf())).toMatchObject({ isProven: true });
    expect(told).toEqual(['head 0 600', 'head 600 900']);
  });

  it('is handed out unproven, and not kept, where the head does not reach', async () => {
    const clock = new FakeClock();
    const { log, open, store } = await makeWorld({ pad: 600 });
    const { database } = open({ clock });
    log.lie({ kind: 'stale_head', size: 600, match: '/latest' });
    await database.head(askerOf(), 0);
    log.pad(300);
    log.reset();
    const wish = { level: 0, n: 2, width: 256 };
    for (let asked = 0; asked < 3; asked += 1) {
      expect(await database.tile(wish, askerOf())).toMatchObject({ isProven: false, source: 'upstream:up' });
    }
    expect(log.count('/latest')).toBe(1);
    expect([...store.files.keys()]).toEqual([]);
    await expect(database.tile(wish, askerOf({ storedOnly: true }))).rejects.toMatchObject({
      code: 'offline',
    });
  });

  it('that the known tree has and nobody else is no absence', async () => {
    const { log, open } = await makeWorld({ pad: 600 });
    const { database } = open();
    await database.head(askerOf(), 0);
    log.lie({ kind: 'missing_tile' });
    await expect(database.tile(full, askerOf())).rejects.toMatchObject({ code: 'unreachable' });
    await expect(database.tile({ level: 0, n: 9, width: 1 }, askerOf())).rejects.toMatchObject({
      code: 'absent',
    });
  });

  it.each([
    { level: 64, n: 0, width: 1 },
    { level: -1, n: 0, width: 1 },
    { level: 0, n: 2 ** 53, width: 1 },
    { level: 7, n: 0, width: 1 },
    { level: 0.5, n: 0, width: 1 },
    { level: 0, n: 0, width: 257 },
    { level: 0, n: 0, width: 0 },
    { level: 0, n: Number.NaN, width: 1 },
  ])('is absent without asking anybody where it is absurd: %o', async (wish) => {
    const { log, open } = await makeWorld({ pad: 3 });
    await expect(open().database.tile(wish, askerOf())).rejects.toMatchObject({ code: 'absent' });
    expect(log.requests).toEqual([]);
  });
});
