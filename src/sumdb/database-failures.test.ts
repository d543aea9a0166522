import { describe, expect, it } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { Upstream, UpstreamRequest } from '../upstream/types.ts';
import { makeWorld, openDatabase, startLog, upstreamAt, upstreamOf } from './test-database.ts';

const A = fakeModule({ path: 'example.com/a', version: 'v1.2.3' });

describe('failed lookups', () => {
  it('are remembered ten seconds when the record is absent, never longer', async () => {
    const clock = new FakeClock();
    const { log, open } = await makeWorld({ pad: 300 });
    const { lookup } = open({ clock });
    for (let asked = 0; asked < 3; asked += 1) {
      await expect(lookup(A)).rejects.toMatchObject({
        code: 'absent',
        message: expect.stringMatching(
          /sum\.test\.example does not have a record for example\.com\/a@v1\.2\.3; check the name.* \(up: .*404/,
        ),
        outcomes: [expect.objectContaining({ source: 'up', code: 'absent' })],
      });
    }
    expect(log.count(/^\/lookup\//)).toBe(1);
    log.add(A);
    await clock.advance(9_999);
    await expect(lookup(A)).rejects.toMatchObject({ code: 'absent' });
    await clock.advance(1);
    expect(await lookup(A)).toMatchObject({ id: 300 });
  });

  it('of one module, refused, do not hold up others', async () => {
    const { log, open } = await makeWorld({ pad: 300, modules: [A] });
    const { lookup, database } = open();
    log.lie({ kind: 'wrong_hash', path: A.path });
    await expect(lookup(A)).rejects.toMatchObject({ code: 'refused' });
    expect(await lookup(paddingModule(1))).toMatchObject({ id: 1 });
    expect(database.figures).toMatchObject({ refused: 1, lookups: { fetched: 1, failed: 1 } });
  });

  it('of an asker that leaves are none', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    const { lookup, database } = open();
    log.lie({ kind: 'hang', match: /lookup/ });
    const controller = new AbortController();
    const left = lookup(paddingModule(1), { signal: controller.signal });
    await expect.poll(() => log.count(/^\/lookup/)).toBe(1);
    controller.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    log.lie(undefined);
    expect(await lookup(paddingModule(1))).toMatchObject({ id: 1 });
    expect(database.figures.lookups).toEqual({ kept: 0, fetched: 1, failed: 0 });
  });

  it('of one asker do not spoil it for another', async () => {
    const { log, open } = await makeWorld({ pad: 300 });
    const { lookup } = open();
    log.lie({ kind: 'slow', ms: 100 });
    const controller = new AbortController();
    const left = lookup(paddingModule(1), { signal: controller.signal });
    const stayed = lookup(paddingModule(1));
    await expect.poll(() => log.count(/^\/lookup/)).toBe(1);
    controller.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(await stayed).toMatchObject({ id: 1 });
    expect(log.count(/^\/lookup/)).toBe(1);
  });

  it('say so where nobody offers the database', async () => {
    const log = await startLog({ pad: 3 });
    await expect(openDatabase(log, {}).lookup(paddingModule(1))).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('no upstream offers it, and no address of its own is set'),
    });
  });

  it('take a 404 for an absence only from who offers the database', async () => {
    const log = await startLog({ pad: 3 });
    const other = await startLog({ name: 'other.test' });
    const { lookup, told } = openDatabase(log, { upstreams: [await upstreamOf(other, 'stranger')] });
    await expect(lookup(paddingModule(1))).rejects.toMatchObject({ code: 'unreachable', outcomes: [] });
    expect(told).toEqual([]);
  });

  it('take the 404 of an own address for an absence, though an upstream of its name does not offer the database', async () => {
    const log = await startLog({ pad: 3 });
    const other = await startLog({ name: 'other.test' });
    const { lookup } = openDatabase(log, {
      upstreams: [await upstreamOf(other, 'same.test')],
      direct: [upstreamAt(log.url, 'same.test')],
    });
    await expect(lookup(A)).rejects.toMatchObject({
      code: 'absent',
      outcomes: [expect.objectContaining({ source: 'same.test', code: 'absent' })],
    });
  });

  it('ask nobody in offline mode, nor for what is to come from the store', async () => {
    const { log, open } = await makeWorld({ pad: 3 });
    await expect(open().lookup(paddingModule(1), { storedOnly: true })).rejects.toMatchObject({
      code: 'offline',
    });
    await expect(open({ isOffline: () => true }).lookup(paddingModule(1))).rejects.toMatchObject({
      code: 'offline',
    });
    expect(log.requests).toEqual([]);
  });
});

describe('blame', () => {
  it('goes to the source that sent wrong bytes, and not to one whose head could not be followed', async () => {
    const { log, up, open } = await makeWorld({ pad: 700 });
    const blames: string[] = [];
    const watched: Upstream = {
      name: 'up',
      isPrivate: false,
      stopsOnError: false,
      async fetch(request: UpstreamRequest) {
        const answer = await up.fetch(request);
        return { ...answer, blame: (code) => blames.push(`${code} ${request.target}`) };
      },
      close: () => Promise.resolve(),
    };
    const { lookup } = open({ upstreams: [watched] });
    log.lie({ kind: 'wrong_tile', match: '/tile/8/0/000' });
    await expect(lookup(paddingModule(1))).rejects.toMatchObject({ code: 'refused' });
    expect(blames).toEqual(['refused /sumdb/sum.test.example/tile/8/0/000']);
  });
});

it('refuses a verifier key that is none', async () => {
  const log = await startLog();
  expect(() => openDatabase(log, { verifierKey: 'sum.test+00000000+AAAA' })).toThrow(
    expect.objectContaining({ code: 'bad_key' }),
  );
});
