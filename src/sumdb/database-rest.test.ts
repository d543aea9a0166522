import { describe, expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import { askerOf, openDatabase, startLog, upstreamAt } from './test-database.ts';

/** A log that is asked at its own address only, with its head and first tiles known. */
async function known(more: { readonly wrap?: (own: Upstream) => Upstream } = {}) {
  const clock = new FakeClock();
  const log = await startLog({ pad: 300 });
  const own = upstreamAt(log.url, 'own');
  const opened = openDatabase(log, { direct: [more.wrap?.(own) ?? own], clock });
  await opened.lookup(paddingModule(0));
  log.reset();
  return { clock, log, ...opened };
}

/** The database rests after this. */
async function rest() {
  const world = await known();
  await world.log.server.refuse();
  await expect(world.lookup(paddingModule(1))).rejects.toMatchObject({ code: 'unreachable' });
  await world.log.server.listenAgain();
  world.log.reset();
  return world;
}

const resting = { code: 'unreachable', message: expect.stringContaining('not asked for some seconds') };

describe('one lookup that fails holds up no other', () => {
  it.each([
    { name: 'by a status', lie: { kind: 'status', status: 502 } as const },
    { name: 'by an answer that is cut', lie: { kind: 'cut' } as const },
  ])('$name', async ({ lie }) => {
    const { log, lookup } = await known();
    log.lie({ ...lie, match: /lookup\/pad\.test\/m1@/ });
    await expect(lookup(paddingModule(1))).rejects.toMatchObject({ code: 'unreachable' });
    expect(await lookup(paddingModule(2))).toMatchObject({ id: 2 });
    // It is remembered by itself.
    await expect(lookup(paddingModule(1))).rejects.toMatchObject({ code: 'unreachable' });
    expect(log.count(/m1@/)).toBe(1);
  });

  it('by silence, also while it is asked', async () => {
    const { clock, log, lookup } = await known();
    log.lie({ kind: 'hang', match: /lookup\/pad\.test\/m1@/ });
    const silent = lookup(paddingModule(1));
    await expect.poll(() => log.count(/m1@/)).toBe(1);
    expect(await lookup(paddingModule(2))).toMatchObject({ id: 2 });
    await Promise.all([expect(silent).rejects.toMatchObject({ code: 'unreachable' }), clock.advance(30_000)]);
    expect(await lookup(paddingModule(3))).toMatchObject({ id: 3 });
  });

  it('three different ones in a row do, until a source has answered', async () => {
    const { clock, log, lookup } = await known();
    log.lie({ kind: 'status', status: 502 });
    const failing = async (id: number) =>
      expect(lookup(paddingModule(id))).rejects.toMatchObject({ message: expect.stringContaining('502') });
    await failing(1);
    await failing(2);
    await failing(2);
    log.lie(undefined);
    expect(await lookup(paddingModule(9))).toMatchObject({ id: 9 });
    log.lie({ kind: 'status', status: 502 });
    await failing(3);
    await failing(4);
    await failing(5);
    log.reset();
    await expect(lookup(paddingModule(6))).rejects.toMatchObject(resting);
    expect(log.requests).toEqual([]);
    log.lie(undefined);
    await clock.advance(5_000);
    expect(await lookup(paddingModule(6))).toMatchObject({ id: 6 });
  });

  it('full places of our own tell nothing of the database', async () => {
    let isFull = false;
    let refusals = 0;
    const { lookup } = await known({
      wrap: (own) => ({
        name: own.name,
        isPrivate: false,
        stopsOnError: false,
        fetch(request) {
          if (!isFull) return own.fetch(request);
          refusals += 1;
          return Promise.reject(new UpstreamError('own', 'busy', 'its queue is full'));
        },
        close: () => Promise.resolve(),
      }),
    });
    isFull = true;
    for (const id of [1, 2, 3, 4]) {
      await expect(lookup(paddingModule(id))).rejects.toMatchObject({ code: 'unreachable' });
    }
    expect(refusals).toBe(4);
    isFull = false;
    expect(await lookup(paddingModule(5))).toMatchObject({ id: 5 });
  });
});

describe('a database of which nobody can be reached', () => {
  it('rests at once: nobody is asked for anything, and what is kept is given', async () => {
    const { clock, log, lookup, database } = await rest();
    await expect(lookup(paddingModule(2))).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/not asked for some seconds.*own: /),
    });
    expect(await lookup(paddingModule(0))).toMatchObject({ id: 0 });
    expect(await database.head(askerOf(), 0)).toMatchObject({ treeSize: 300 });
    expect(log.requests).toEqual([]);
    await clock.advance(5_000);
    expect(await lookup(paddingModule(2))).toMatchObject({ id: 2 });
    expect(await lookup(paddingModule(1))).toMatchObject({ id: 1 });
  });

  it('is tried by asking for its head, not by somebody’s lookup', async () => {
    const { clock, log, lookup } = await rest();
    await clock.advance(5_000);
    log.lie({ kind: 'hang', match: /lookup\/pad\.test\/m1@/ });
    const hanging = lookup(paddingModule(1));
    hanging.catch(() => {});
    await expect.poll(() => log.count(/m1@/)).toBe(1);
    expect(log.requests[0]?.path).toBe('/latest');
    expect(await lookup(paddingModule(2))).toMatchObject({ id: 2 });
    expect(log.count('/latest')).toBe(1);
  });

  it('has one trial for all who come, which ends after five seconds', async () => {
    const { clock, log, lookup } = await rest();
    await clock.advance(5_000);
    log.lie({ kind: 'hang' });
    const gone = new AbortController();
    const left = lookup(paddingModule(4), { signal: gone.signal });
    const asked = [2, 3].map((id) => lookup(paddingModule(id)));
    const ends = Promise.allSettled([...asked, left]);
    await expect.poll(() => log.requests.length).toBe(1);
    gone.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    await clock.advance(5_000);
    for (const end of (await ends).slice(0, 2)) expect(end).toMatchObject({ reason: resting });
    await expect(lookup(paddingModule(5))).rejects.toMatchObject(resting);
    expect(log.requests.map(({ path }) => path)).toEqual(['/latest']);
    log.lie(undefined);
    await clock.advance(5_000);
    expect(await lookup(paddingModule(5))).toMatchObject({ id: 5 });
  });

  it('is there again as soon as any source has answered anything', async () => {
    const { log, lookup, database } = await rest();
    log.pad(100);
    // A tile outside the known tree is asked for in any case.
    expect(await database.tile({ level: 0, n: 1, width: 100 }, askerOf())).toMatchObject({ isProven: false });
    expect(await lookup(paddingModule(2))).toMatchObject({ id: 2 });
  });
});
