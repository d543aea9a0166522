import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { parseRoute } from '../http/route.ts';
import { answerFor } from '../http/status.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { contextOf } from './test-proxy.ts';
import { makeTestSumdb } from './test-sumdb.ts';

describe('/sumdb/', () => {
  it('gives each database what is asked of it: the longest name wins', async () => {
    const { ask, database, inner, upstream } = makeTestSumdb();
    database.known = database.headOf(9);
    inner.known = inner.headOf(5);

    expect((await ask('sum.test/latest')).body).toEqual(database.known.note);
    expect((await ask('sum.test/inner/latest')).body).toEqual(inner.known.note);

    expect(database.asked).toEqual(['stored head']);
    expect(inner.asked).toEqual(['stored head']);
    expect(upstream.asked).toEqual([]);
  });

  it('passes a database through whose key is not known', async () => {
    const { ask, upstream, database, state, kept } = makeTestSumdb();
    const record = '5\nexample.com/a v1.0.0 h1:x\n\ngo.sum database tree\n9\nz\n';
    state.says = () => record;

    const reply = await ask('passed.test/lookup/example.com/a@v1.0.0');

    expect(reply).toMatchObject({ source: 'upstream:played', cache: { kind: 'none' } });
    expect(reply.body.toString()).toBe(record);
    expect(upstream.asked).toEqual(['/sumdb/passed.test/lookup/example.com/a%40v1.0.0']);
    expect([...kept.keys()]).toEqual(['passed.test/lookup/example.com/a@v1.0.0']);
    expect(database.asked).toEqual([]);
  });

  it.each(['sum.test', 'sum.test/inner', 'passed.test'])('says that %s is supported', async (name) => {
    const { ask, left, state, database } = makeTestSumdb();
    database.isForked = true;
    state.isOffline = true;

    const reply = await ask(`${name}/supported`);

    expect(reply.body).toHaveLength(0);
    expect(left()).toEqual([]);
  });

  it('says of other databases which ones there are', async () => {
    const { ask } = makeTestSumdb();

    const failure = await failureOf(ask('other.test/latest'));

    expect(failure).toMatchObject({ code: 'absent' });
    expect(answerFor(failure, 30)).toMatchObject({
      status: 404,
      headers: { 'cache-control': 'no-store' },
      text: expect.stringContaining('allowed: sum.test, sum.test/inner, passed.test'),
    });
  });
});

describe('private modules in /sumdb/', () => {
  const lookups = [
    'lookup/corp.test@v1.0.0',
    'lookup/corp.test/secret@v1.0.0',
    'lookup/corp.test/secret/!sub@v1.0.0',
    'lookup/corp.test/secret@v0.0.0-20260101000000-0123456789ab',
    'lookup/corp.test/secret@main',
  ];
  const names = ['sum.test', 'sum.test/inner', 'passed.test'];

  it.each(names.flatMap((name) => lookups.map((lookup) => `${name}/${lookup}`)))(
    'never tells anybody of %s',
    async (rest) => {
      const { ask, left, state } = makeTestSumdb();
      state.says = () => '5\ncorp.test v1.0.0 h1:x\n\ngo.sum database tree\n9\nz\n';
      for (const privateAnswer of ['not_found', 'forbidden'] as const) {
        state.privateAnswer = privateAnswer;
        for (const more of [{}, { revalidate: true }, { storedOnly: true }]) {
          await expect(ask(rest, more)).rejects.toThrow(/private here.* never looked up/);
        }
      }
      expect(left()).toEqual([]);
    },
  );

  it.each([
    ['not_found', 404],
    ['forbidden', 403],
  ] as const)('answers %s with %i, which nobody may keep', async (privateAnswer, status) => {
    const { ask, state } = makeTestSumdb();
    state.privateAnswer = privateAnswer;

    const failure = await failureOf(ask('sum.test/lookup/corp.test/secret@v1.0.0'));

    expect(answerFor(failure, 30)).toMatchObject({
      status,
      headers: { 'cache-control': 'no-store' },
      text: expect.stringContaining('set GONOSUMDB'),
    });
  });
});

/** What the whole way from the URL on makes of it: a status, and who heard of it. */
async function statusOf(url: string): Promise<{ status: number; left: string[] }> {
  const { ask, left, database } = makeTestSumdb();
  database.known = database.headOf(9);
  database.records.set('example.com/a@v1.0.0', 'example.com/a v1.0.0 h1:x\n');
  try {
    const route = parseRoute(url, '');
    if (route.kind !== 'protocol' || route.operation.kind !== 'sumdb') return { status: 404, left: left() };
    await ask(route.operation.rest);
    return { status: 200, left: left() };
  } catch (error) {
    return { status: answerFor(error, 30).status, left: left() };
  }
}

describe('hostile paths in /sumdb/', () => {
  it.each([
    '/sumdb/169.254.169.254/latest',
    '/sumdb/169.254.169.254/latest/meta-data',
    '/sumdb/[::1]/latest',
    '/sumdb/localhost/latest',
    '/sumdb/sum.test@evil.test/latest',
    '/sumdb/evil.test@sum.test/latest',
    '/sumdb/user:pass@sum.test/latest',
    '/sumdb/sum.test:443/latest',
    '/sumdb/sum.test:80@evil.test/latest',
    '/sumdb/sum.test%3a443/latest',
    '/sumdb/sum.test./latest',
    '/sumdb/sum.test.evil.test/latest',
    '/sumdb/evil.test/sum.test/latest',
    '/sumdb/SUM.TEST/latest',
    '/sumdb/Sum.test/latest',
    '/sumdb/sum.tes/latest',
    '/sumdb/sum.test',
    '/sumdb/sum%2etest.evil.test/latest',
    '/sumdb/http:/evil.test/latest',
    '/sumdb/s\u00fcm.test/latest',
    '/sumdb/constructor/latest',
    '/sumdb/__proto__/latest',
    '/sumdb/',
  ])('finds no database at %s, and asks nobody', async (url) => {
    expect(await statusOf(url)).toEqual({ status: 404, left: [] });
  });

  it.each([
    '/sumdb/sum.test/',
    '/sumdb//latest',
    '/sumdb/sum.test//latest',
    '/sumdb/../latest',
    '/sumdb/./latest',
    '/sumdb/sum.test/../latest',
    '/sumdb/sum.test/%2e%2e/evil.test/latest',
    '/sumdb/sum.test/..',
    '/sumdb/sum.test%2flatest',
    '/sumdb/sum.test%2Fevil.test/latest',
    '/sumdb/sum.test%5clatest',
    '/sumdb/sum.test/latest%00',
    '/sumdb/sum.test/latest%0d%0aHost:%20evil.test',
    '/sumdb/sum.test/latest/',
    '/sumdb/sum.test/latest/more',
    '/sumdb/sum.test/LATEST',
    '/sumdb/sum.test/supported/more',
    '/sumdb/sum.test/%zz',
    '/sumdb/sum.test/lookup/',
    '/sumdb/sum.test/lookup/@v1.0.0',
    '/sumdb/sum.test/lookup/example.com/a',
    '/sumdb/sum.test/lookup/example.com/a@',
    '/sumdb/sum.test/lookup/example.com/a@../../x',
    '/sumdb/sum.test/lookup/example.com/a@v1.0.0/go.mod',
    '/sumdb/sum.test/lookup/example.com/A@v1.0.0',
    '/sumdb/sum.test/lookup/example.com/a@v1.0.0@v1.0.0',
    '/sumdb/sum.test/lookup/example.com/a@main',
    '/sumdb/sum.test/lookup/example.com/a@v1',
    '/sumdb/sum.test/lookup/example.com/a@v1.0.0+meta',
    '/sumdb/sum.test/lookup/nodot/a@v1.0.0',
    '/sumdb/sum.test/lookup/example.com/%2541@v1.0.0',
    '/sumdb/sum.test/tile/8',
    '/sumdb/sum.test/tile/8/0',
    '/sumdb/sum.test/tile/8/-1/000',
    '/sumdb/sum.test/tile/8/64/000',
    '/sumdb/sum.test/tile/08/0/000',
    '/sumdb/sum.test/tile/8/00/000',
    '/sumdb/sum.test/tile/8/0/1',
    '/sumdb/sum.test/tile/8/0/x000/001',
    '/sumdb/sum.test/tile/8/0/x999/x999/x999/x999/x999/x999/999',
    '/sumdb/sum.test/tile/8/0/000.p/0',
    '/sumdb/sum.test/tile/8/0/000.p/256',
    '/sumdb/sum.test/tile/8/0/000.p/999',
    '/sumdb/sum.test/tile/8/0/000.p/01',
    '/sumdb/sum.test/tile/8/0/000.p/-1',
    '/sumdb/sum.test/tile/8/0/000/.p/3',
    `/sumdb/sum.test/lookup/example.com/${'a'.repeat(20_000)}@v1.0.0`,
    `/sumdb/sum.test/tile/8/0/${'x000/'.repeat(4_000)}000`,
    `/sumdb/${'a'.repeat(20_000)}/latest`,
  ])('refuses %s, and asks nobody', async (url) => {
    expect(await statusOf(url)).toEqual({ status: 400, left: [] });
  });

  it.each([
    `sum.test/lookup/example.com/${'a'.repeat(20_000)}@v1.0.0`,
    `sum.test/lookup/example.com/a@v1.0.0-${'a'.repeat(20_000)}`,
    `passed.test/lookup/example.com/a@${'a'.repeat(8_000)}`,
    `passed.test/tile/8/0/${'x000/'.repeat(2_000)}000`,
    `${'a'.repeat(20_000)}/latest`,
  ])('refuses what is far too long without the limit of the URL, too', async (rest) => {
    const { ask, left } = makeTestSumdb();

    await expect(ask(rest)).rejects.toThrow(InvalidRequestError);

    expect(left()).toEqual([]);
  });

  it('answers any text with an answer or an error of ours, and dials nothing but the databases on the list', async () => {
    const piece = fc.oneof(
      fc.constantFrom('sum.test', 'sum.test/inner', 'passed.test', 'lookup', 'tile', 'latest', 'supported'),
      fc.constantFrom(
        '/',
        '@',
        '..',
        '%2f',
        '!',
        '.p/',
        'x001',
        '000',
        '8',
        '0',
        'data',
        'v1.0.0',
        'corp.test',
      ),
      fc.constantFrom('example.com', '\u0000', ':80', '\\', '?', '#', '\ud800'),
      fc.string({ maxLength: 12, unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 14 }), async (pieces) => {
        const { ask, left } = makeTestSumdb();
        try {
          await ask(pieces.join(''));
        } catch (error) {
          expect(error instanceof InvalidRequestError || error instanceof SourcesFailure).toBe(true);
        }
        for (const asked of left()) {
          expect(asked).toMatch(
            /^(?:stored )?(?:head|lookup |tile )|^\/sumdb\/(?:sum\.test|passed\.test)\/|^\/(?:latest|lookup|tile)/,
          );
          expect(asked).not.toContain('corp.test');
        }
      }),
      { numRuns: 500 },
    );
  });
});

async function failureOf(asked: Promise<unknown>): Promise<unknown> {
  return asked.then(
    () => {
      throw new Error('it was answered');
    },
    (error: unknown) => error,
  );
}

// The context is the whole of what a request brings besides its path.
it('takes the id, the way and the time of the request along to the database', async () => {
  const { ask, database } = makeTestSumdb();
  database.known = database.headOf(9);
  database.records.set('example.com/a@v1.0.0', 'example.com/a v1.0.0 h1:x\n');
  const deadlineAtMs = (): number => 77;
  const { signal } = contextOf();

  await ask('sum.test/lookup/example.com/a@v1.0.0', { id: 'r1', via: ['a', 'b'], deadlineAtMs, signal });

  expect(database.askers[0]).toEqual({
    requestId: 'r1',
    via: ['a', 'b'],
    deadlineAtMs,
    signal,
    storedOnly: false,
  });
});
