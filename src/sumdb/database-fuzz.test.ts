import fc from 'fast-check';
import { expect, it } from 'vitest';
import { paddingModule } from '../../test/kit/sumdb-log-records.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import { lookUp, makeWorld, openDatabase, startLog } from './test-database.ts';

/** An upstream that answers with the bytes of a log, changed by `change`. */
function tampering(url: string, change: (target: string, body: Buffer) => Buffer): Upstream {
  return {
    name: 'up',
    isPrivate: false,
    stopsOnError: false,
    async fetch({ target }) {
      const response = await fetch(url + target.replace(/^\/sumdb\/[^/]+/, ''));
      if (response.status !== 200) throw new UpstreamError('up', 'absent', '404', { status: 404 });
      const body = change(target, Buffer.from(await response.arrayBuffer()));
      return {
        upstream: 'up',
        contentLength: body.length,
        contentType: '',
        etag: undefined,
        lastModified: undefined,
        firstByteMs: 1,
        body: (async function* () {
          yield body;
        })(),
        cancel() {},
      };
    },
    close: () => Promise.resolve(),
  };
}

it('never gives out another record, whatever byte of whichever answer is changed', async () => {
  const log = await startLog({ pad: 700 });
  const module = paddingModule(300);
  const truth = await openDatabase(log, { upstreams: [tampering(log.url, (_, body) => body)] }).lookup(
    module,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('lookup', 'tile/8/0', 'tile/8/1', 'latest', ''),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'cut', 'add'),
      async (where, at, mask, how) => {
        const upstream = tampering(log.url, (target, body) => {
          if (!target.includes(where)) return body;
          const place = at % body.length;
          if (how === 'cut') return body.subarray(0, place);
          if (how === 'add') return Buffer.concat([body, Buffer.alloc(mask)]);
          body[place] = (body[place] ?? 0) ^ mask;
          return body;
        });
        const { database } = openDatabase(log, { upstreams: [upstream] });
        const record = await lookUp(database, module).catch((error: unknown) => {
          expect(error).toMatchObject({
            name: 'SumdbError',
            code: expect.stringMatching(/refused|unreachable|absent/),
          });
          return undefined;
        });
        if (record !== undefined) expect(record).toEqual(truth);
        expect(database.figures.isForked).toBe(false);
        database.close();
      },
    ),
    { numRuns: 150 },
  );
});

it('leaves no timer behind when all is answered', async () => {
  const clock = new FakeClock();
  const { open } = await makeWorld({ pad: 300 });
  const { database, lookup } = open({ clock });
  await Promise.all([1, 2, 3].map((id) => lookup(paddingModule(id))));
  await lookup({ path: 'example.com/none', version: 'v1.0.0' }).catch(() => {});
  await database.idle();
  expect(clock.timers).toBe(0);
});
