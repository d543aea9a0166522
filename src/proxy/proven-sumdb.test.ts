import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SumdbError, type SumdbErrorCode } from '../sumdb/types.ts';
import type { SourceOutcome, UpstreamErrorCode } from '../upstream/types.ts';
import { hang } from './test-proxy.ts';
import { makeProven, noteOf, recordText as text } from './test-sumdb.ts';

const lookup = 'sum.test/lookup/example.com/a@v1.0.0';
const second = 1_000;

function outcome(source: string, code: UpstreamErrorCode): SourceOutcome {
  return { source, code, message: `says ${code}`, tookMs: 1 };
}

describe('lookups of a proven database', () => {
  it('are composed of the record and the known head, and never asked of an upstream here', async () => {
    const { ask, database, upstream, direct } = makeProven();

    const reply = await ask(lookup);

    expect(reply.body.toString()).toBe(`1\n${text}\n${noteOf(9).toString()}`);
    expect(reply).toMatchObject({
      contentType: 'text',
      cache: { kind: 'none' },
      source: 'store',
      keep: false,
    });
    expect(reply.sha256).toBe(createHash('sha256').update(reply.body).digest('hex'));
    expect(database.asked).toEqual(['lookup example.com/a@v1.0.0', 'stored head']);
    expect([...upstream.asked, ...direct.asked]).toEqual([]);
  });

  it('come with the head as it is then', async () => {
    const { ask, database } = makeProven();
    const before = await ask(lookup);
    database.known = database.headOf(12);

    const after = await ask(lookup);

    expect(after.body.toString()).toBe(`1\n${text}\n${noteOf(12).toString()}`);
    expect(after.sha256).not.toBe(before.sha256);
  });

  it('are asked unescaped', async () => {
    const { ask, database } = makeProven();

    await ask('sum.test/lookup/example.com/!azure@v2.0.0+incompatible');

    expect(database.asked[0]).toBe('lookup example.com/Azure@v2.0.0+incompatible');
  });

  it('ask for no newer head, however old the known one is', async () => {
    const { ask, database, clock } = makeProven();
    await clock.advance(86_400 * second);

    await ask(lookup, { revalidate: true });

    expect(database.asked).toEqual(['lookup example.com/a@v1.0.0', 'stored head']);
  });

  it('tell for the access log whether anything had to be fetched', async () => {
    const { ask, database } = makeProven();
    const plain = database.lookup.bind(database);
    database.lookup = (...asked) => {
      database.fetched += 1;
      return plain(...asked);
    };

    expect(await ask(lookup)).toMatchObject({ source: 'modferry' });
  });

  it('never come with a head that does not cover the record', async () => {
    const { ask, database, clock } = makeProven();
    database.known = database.headOf(1);
    database.latest = async () => database.headOf(1);
    await expect(ask(lookup)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no tree head of sum.test that covers it'),
    });

    await clock.advance(1);
    database.latest = async () => database.headOf(2);
    expect((await ask(lookup)).body.toString()).toContain('tree\n2\n');
  });

  it('wait for a head after the known one was forgotten, and fail when nobody gives one', async () => {
    const { ask, database } = makeProven();
    database.known = undefined;
    await expect(ask(lookup)).rejects.toMatchObject({ code: 'unavailable', isAbsence: false });
    await expect(ask(lookup, { storedOnly: true })).rejects.toMatchObject({ code: 'not_fetched' });

    database.latest = async () => database.headOf(40);
    expect((await ask(lookup)).body.toString()).toContain('tree\n40\n');
  });
});

describe('tiles of a proven database', () => {
  it.each([
    ['tile/8/0/000', '0/0/256', 'immutable'],
    ['tile/8/2/x001/x234/067', '2/1234067/256', 'immutable'],
    ['tile/8/0/000.p/17', '0/0/17', 'none'],
    ['tile/8/63/000.p/255', '63/0/255', 'none'],
  ])('%s', async (operation, wish, kind) => {
    const { ask, database } = makeProven();

    const reply = await ask(`sum.test/${operation}`);

    expect(database.asked).toEqual([`tile ${wish}`]);
    expect(reply).toMatchObject({ contentType: 'octets', cache: { kind }, source: 'store' });
    expect(reply.body).toHaveLength(Number(wish.split('/')[2]) * 32);
  });

  it('may not be kept by anybody while nothing proves them', async () => {
    const { ask, database } = makeProven();
    database.onTile = ({ width }) => ({
      bytes: Buffer.alloc(width * 32),
      isProven: false,
      source: 'upstream:a',
    });

    expect(await ask('sum.test/tile/8/0/000')).toMatchObject({
      cache: { kind: 'none' },
      source: 'upstream:a',
    });
  });

  it.each(['tile/4/0/000', 'tile/16/0/000.p/3', 'tile/2/0/x001/234'])(
    'are of height 8 only: nobody is asked for %s',
    async (operation) => {
      const { ask, left } = makeProven();

      await expect(ask(`sum.test/${operation}`)).rejects.toMatchObject({
        code: 'absent',
        message: expect.stringContaining('height 8'),
      });

      expect(left()).toEqual([]);
    },
  );

  it('of records are passed through, and neither kept nor called final', async () => {
    const { ask, database, upstream, state, kept } = makeProven();
    state.says = () => text;

    for (let times = 0; times < 2; times += 1) {
      const reply = await ask('sum.test/tile/8/data/000');
      expect(reply).toMatchObject({ source: 'upstream:played', cache: { kind: 'none' } });
      expect(reply.body.toString()).toBe(text);
    }

    expect(upstream.asked).toEqual(['/sumdb/sum.test/tile/8/data/000', '/sumdb/sum.test/tile/8/data/000']);
    expect(kept.size).toBe(0);
    expect(database.asked).toEqual([]);
  });

  it('of records are asked for once by many', async () => {
    const { ask, upstream, state } = makeProven();
    state.says = () => hang;
    const controller = new AbortController();
    const { signal } = controller;
    const askers = [1, 2, 3].map(() => ask('sum.test/tile/8/data/000', { signal }));
    await upstream.untilAsked(1);
    controller.abort(new Error('the client left'));

    for (const asker of askers) await expect(asker).rejects.toThrow('the client left');
    expect(upstream.asked).toHaveLength(1);
  });

  it.each([{ storedOnly: true }, {}])('of records are not stored', async (more) => {
    const { ask, left, state } = makeProven();
    state.isOffline = more.storedOnly !== true;

    await expect(ask('sum.test/tile/8/data/000', more)).rejects.toMatchObject({ code: 'not_fetched' });

    expect(left()).toEqual([]);
  });
});

describe('a proven database without sources', () => {
  it.each([
    ['in offline mode', {}, true],
    ['for Disable-Module-Fetch', { storedOnly: true }, false],
  ])('is only asked for what is kept %s', async (_, more, isOffline) => {
    const { ask, database, clock, state } = makeProven();
    state.isOffline = isOffline;
    await clock.advance(86_400 * second);

    expect((await ask(lookup, more)).body.toString()).toContain(text);
    expect(await ask('sum.test/latest', more)).toMatchObject({ body: noteOf(9), source: 'store' });
    expect(await ask('sum.test/tile/8/0/000', more)).toMatchObject({ cache: { kind: 'immutable' } });

    expect(database.asked).toEqual([
      'stored lookup example.com/a@v1.0.0',
      'stored head',
      'stored head',
      'stored tile 0/0/256',
    ]);
  });

  it.each([
    [true, 'offline mode'],
    [false, 'fetching was not allowed'],
  ])('says 404, uncached, for what is not kept', async (isOffline, why) => {
    const { ask, database, state } = makeProven();
    state.isOffline = isOffline;
    database.fault = new SumdbError('offline', 'not kept');

    for (const rest of [lookup, 'sum.test/tile/8/0/000']) {
      await expect(ask(rest, { storedOnly: true })).rejects.toMatchObject({
        code: 'not_fetched',
        message: expect.stringContaining(why),
      });
    }
  });
});

describe('failures of a proven database', () => {
  const cases: readonly (readonly [SumdbErrorCode, readonly SourceOutcome[], string])[] = [
    ['absent', [outcome('a', 'absent'), outcome('own', 'absent')], 'absent'],
    ['absent', [outcome('a', 'gone'), outcome('own', 'gone')], 'gone'],
    ['absent', [], 'absent'],
    // A 404 beside a failure is no knowledge.
    ['absent', [outcome('a', 'timeout'), outcome('own', 'absent')], 'failed'],
    ['unreachable', [], 'unavailable'],
    ['unreachable', [outcome('a', 'skipped'), outcome('own', 'busy')], 'unavailable'],
    ['unreachable', [outcome('a', 'timeout'), outcome('own', 'timeout')], 'timeout'],
    ['unreachable', [outcome('a', 'timeout'), outcome('own', 'connect')], 'failed'],
    ['unreachable', [outcome('a', 'absent'), outcome('own', 'absent')], 'failed'],
    ['unreachable', [outcome('a', 'loop')], 'loop'],
    ['refused', [outcome('a', 'refused')], 'failed'],
    ['refused', [outcome('a', 'absent')], 'failed'],
    ['forked', [], 'unavailable'],
    ['forked', [outcome('a', 'absent')], 'unavailable'],
    ['offline', [], 'not_fetched'],
  ];

  it.each(cases)('%s with %j is %s', async (code, outcomes, kind) => {
    const { ask, database } = makeProven();
    database.fault = new SumdbError(code, 'what the database says', outcomes);
    for (const rest of [lookup, 'sum.test/tile/8/0/000']) {
      await expect(ask(rest)).rejects.toMatchObject({
        code: kind,
        outcomes: code === 'offline' ? [] : outcomes,
      });
    }
  });

  it('say what the database says, or that not everybody could be heard', async () => {
    const { ask, database } = makeProven();
    database.fault = new SumdbError('absent', 'sum.test has no record of it', [outcome('a', 'absent')]);
    await expect(ask(lookup)).rejects.toThrow('sum.test has no record of it');

    database.fault = new SumdbError('absent', 'sum.test has no record of it', [
      outcome('a', 'absent'),
      outcome('b', 'reset'),
    ]);
    await expect(ask(lookup)).rejects.toThrow('no source could answer');
  });

  it('of a fork name it, and the command that shows it', async () => {
    const { ask, database } = makeProven();
    database.fault = new SumdbError('forked', 'forked');

    await expect(ask(lookup)).rejects.toThrow(
      /two tree heads that contradict each other.*modferry sumdb show sum\.test/,
    );
    expect((await ask('sum.test/supported')).body).toHaveLength(0);
    expect(await ask('sum.test/latest')).toMatchObject({ body: noteOf(9) });
  });

  it('that are none of the database go on as they are', async () => {
    const { ask, database } = makeProven();
    database.fault = new TypeError('a fault of ours');

    await expect(ask(lookup)).rejects.toBe(database.fault);
  });
});
