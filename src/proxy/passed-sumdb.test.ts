import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import {
  contextOf,
  hang,
  makeTestProxy,
  playedUpstream,
  type Says,
  settle,
  textOf,
  until,
} from './test-proxy.ts';

const lookup = 'lookup/example.com/a@v1.0.0';
const record =
  '5\nexample.com/a v1.0.0 h1:x\nexample.com/a v1.0.0/go.mod h1:y\n\ngo.sum database tree\n9\nz\n';
const head = 'go.sum database tree\n9\nz\n\n— sum.test sig\n';
const fullTile = 'tile/8/0/x001/234';
const tileBytes = Buffer.alloc(256 * 32, 7);
tileBytes.fill(9, 0, 32);
const partTile = 'tile/8/0/x001/234.p/17';

async function makeSumdb(options: { folder?: string; clock?: FakeClock } = {}) {
  const test = await makeTestProxy(options);
  const ask = (operation: string, more = {}) =>
    test.proxy.handle({ kind: 'sumdb', rest: `sum.test/${operation}` }, contextOf(more));
  return { ...test, ask };
}

/** A folder in which a process before this one has kept everything, so many milliseconds ago by the new clock. */
async function keptBefore(agoMs = 0) {
  const folder = makeTestFolder();
  const store = await folder.open();
  for (const [operation, body] of [
    [lookup, record],
    ['latest', head],
    [fullTile, tileBytes],
    ['tile/8/1/000.p/3', Buffer.alloc(96, 3)],
  ] as const) {
    await store.keepSumdb('sum.test', operation, Buffer.from(body));
  }
  await store.close();
  return makeSumdb({ folder: folder.path, clock: new FakeClock(Date.now() + agoMs) });
}

function good(escaped: string): Says | undefined {
  const target = decodeURIComponent(escaped);
  if (target.endsWith(lookup)) return record;
  if (target.endsWith('latest')) return head;
  if (target.endsWith(fullTile)) return tileBytes;
  if (target.endsWith('.p/17')) return tileBytes.subarray(0, 17 * 32);
  return undefined;
}

const minute = 60_000;

describe('a database that is passed through', () => {
  it('keeps what passes through, for the time without sources', async () => {
    const test = await makeSumdb();
    test.sources.says = good;
    for (const operation of [lookup, 'latest', fullTile, partTile]) {
      expect(await test.ask(operation)).toMatchObject({ source: 'upstream:played' });
    }
    for (const operation of [lookup, 'latest', fullTile, partTile]) {
      await until(async () => (await test.store.keptSumdb('sum.test', operation)) !== undefined);
    }

    const again = await makeSumdb({ folder: test.folder });
    again.sources.isOffline = true;
    for (const operation of [lookup, 'latest', fullTile, partTile]) {
      expect(textLatin(await again.ask(operation))).toBe(textLatin(await test.ask(operation)));
    }
    expect(again.upstream.asked).toEqual([]);
  });

  it('serves all of it offline after a restart, and asks nobody', async () => {
    const test = await keptBefore(60 * minute);
    test.sources.isOffline = true;

    expect(textOf(await test.ask('supported'))).toBe('');
    expect(textOf(await test.ask(lookup))).toBe(record);
    expect(textOf(await test.ask('latest'))).toBe(head);
    expect(await test.ask(fullTile)).toMatchObject({ source: 'store', cache: { kind: 'immutable' } });
    expect(await test.ask('tile/8/1/000.p/3')).toMatchObject({ source: 'store', cache: { kind: 'none' } });
    await expect(test.ask('lookup/example.com/b@v1.0.0')).rejects.toMatchObject({
      code: 'not_fetched',
      message: expect.stringContaining('offline mode'),
    });
    expect(test.upstream.asked).toEqual([]);
  });

  it('makes a partial tile out of the full one, which begins with the same hashes', async () => {
    const test = await keptBefore();
    test.sources.isOffline = true;

    const reply = await test.ask(partTile);

    expect(textLatin(reply)).toBe(tileBytes.toString('latin1', 0, 17 * 32));
    await expect(test.ask('tile/8/1/000.p/4')).rejects.toMatchObject({ code: 'not_fetched' });
  });

  it('serves full tiles and young lookups without asking, other things not', async () => {
    const test = await keptBefore(9 * minute);
    test.sources.says = good;

    await test.ask(fullTile);
    await test.ask(lookup);
    expect(test.upstream.asked).toEqual([]);

    expect(await test.ask(lookup, { revalidate: true })).toMatchObject({ source: 'upstream:played' });
    expect(await test.ask('latest')).toMatchObject({ source: 'upstream:played' });
    expect(await test.ask(partTile)).toMatchObject({ source: 'upstream:played' });
    expect(test.upstream.asked).toHaveLength(3);
  });

  it('asks for an older lookup, and serves the kept one when the sources fail', async () => {
    const test = await keptBefore(11 * minute);
    test.sources.says = () => ({ error: 'connect' });

    expect(await test.ask(lookup)).toMatchObject({ source: 'store' });
    expect(test.upstream.asked).toHaveLength(1);
    expect(textOf(await test.ask('latest'))).toBe(head);
    await expect(test.ask('lookup/example.com/b@v1.0.0')).rejects.toMatchObject({ isAbsence: false });
  });

  it('leaves failed sources alone for ten seconds while there is something to serve', async () => {
    const test = await keptBefore(11 * minute);
    test.sources.says = () => ({ error: 'connect' });
    for (let asked = 0; asked < 5; asked += 1) await test.ask(lookup);
    expect(test.upstream.asked).toHaveLength(1);

    await test.clock.advance(10_000);
    await test.ask(lookup);
    expect(test.upstream.asked).toHaveLength(2);
  });

  it('asks nobody for what is kept while nobody can be expected to answer', async () => {
    const test = await keptBefore(11 * minute);
    test.sources.mayAnswer = false;

    expect(textOf(await test.ask(lookup))).toBe(record);
    expect(textOf(await test.ask('latest'))).toBe(head);
    expect(test.upstream.asked).toEqual([]);
  });

  it('then asks the own address of the database behind the reply, once in ten seconds', async () => {
    const test = await keptBefore(11 * minute);
    const direct = playedUpstream((target) => (target.endsWith('latest') ? head.replace('9', '10') : hang));
    test.sources.sumdb = direct;
    test.sources.says = () => ({ error: 'connect' });
    test.sources.mayAnswer = false;

    expect(textOf(await test.ask(lookup))).toBe(record);
    await direct.untilAsked(1);
    expect(textOf(await test.ask('latest'))).toBe(head);
    await test.clock.advance(10_000);
    expect(textOf(await test.ask('latest'))).toBe(head);
    await direct.untilAsked(2);
    await until(async () => (await test.store.keptSumdb('sum.test', 'latest'))?.body.includes('10') === true);
    expect(direct.asked).toHaveLength(2);
  });

  it('serves the kept answer when patience ends, once for all', async () => {
    const test = await keptBefore(11 * minute);
    test.sources.says = () => hang;

    const waiting = test.ask(lookup);
    await test.upstream.untilAsked(1);
    await test.clock.advance(2_000);

    expect(await waiting).toMatchObject({ source: 'store' });
    expect(textOf(await test.ask('latest'))).toBe(head);
    expect(test.upstream.asked).toHaveLength(1);

    // From now on it is asked behind a reply, until it answers.
    await test.clock.advance(10_000);
    expect(textOf(await test.ask('latest'))).toBe(head);
    await test.upstream.untilAsked(2);
    test.sources.says = good;
    await test.clock.advance(10_000);
    expect(await test.ask('tile/8/1/000.p/3')).toMatchObject({ source: 'store' });
    await test.upstream.untilAsked(3);
  });

  it('is not served where the disk has garbled it', async () => {
    const test = await makeSumdb();
    await test.store.keepSumdb('sum.test', fullTile, tileBytes.subarray(0, 100));
    test.sources.says = good;

    expect(await test.ask(fullTile)).toMatchObject({ source: 'upstream:played', body: tileBytes });
  });

  it('goes on when the disk does not', async () => {
    const test = await makeSumdb();
    test.store.keepSumdb = () => Promise.reject(new Error('EIO'));
    test.store.keptSumdb = () => Promise.reject(new Error('EIO'));
    test.sources.says = good;

    expect(textOf(await test.ask(lookup))).toBe(record);
    await settle();
  });

  it('is never served for other databases', async () => {
    const test = await keptBefore();
    await test.store.keepSumdb('other.test', lookup, Buffer.from(record));

    await expect(
      test.proxy.handle({ kind: 'sumdb', rest: `other.test/${lookup}` }, contextOf()),
    ).rejects.toMatchObject({ code: 'absent' });
  });
});

function textLatin(reply: { readonly kind: string; readonly body?: unknown }): string {
  if (!Buffer.isBuffer(reply.body)) throw new Error(`a reply of kind ${reply.kind}`);
  return reply.body.toString('latin1');
}
