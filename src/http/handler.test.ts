import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { PassThrough } from '../ingest/pass-through.ts';
import { type FailureKind, SourcesFailure } from '../ingest/types.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { Operation } from '../proxy/operation.ts';
import { newHotCounters } from '../proxy/request-events.ts';
import type { Reply, RequestContext } from '../proxy/types.ts';
import { AccessLog } from './access-log.ts';
import { BufferPool } from './buffer-pool.ts';
import { Handler, type HandlerDeps } from './handler.ts';
import { HotCache } from './hot-cache.ts';
import { testGate } from './test-gate.ts';

const path = '/example.com/m/@v/v1.0.0.mod';
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const body: Reply = {
  kind: 'bytes',
  body: Buffer.from('module example.com/m\n'),
  sha256: 'ab'.repeat(32),
  lastModifiedMs: undefined,
  contentType: 'text',
  cache: { kind: 'immutable' },
  source: 'store',
  keep: true,
};

function noUploads(clock: Clock): HandlerDeps['uploads'] {
  const { gate } = testGate();
  const refuse = async (): Promise<never> => {
    throw new Error('no test uploads here');
  };
  return {
    registry: { publish: refuse, unpublish: refuse },
    gate,
    audit: { note: () => {} },
    clock,
    pathPrefix: '',
    maxZipBytes: () => 0,
  };
}

/** A real server over a use case that a test scripts. */
async function serve(
  handle: (operation: Operation, context: RequestContext) => Promise<Reply>,
  more: Partial<HandlerDeps> & { clock?: Clock } = {},
) {
  const clock = more.clock ?? new FakeClock();
  const contexts: RequestContext[] = [];
  let logged = '';
  const accessLog = new AccessLog('all', clock, async (text) => {
    logged += text;
  });
  const handler = new Handler({
    clock,
    proxy: {
      handle(operation, context) {
        contexts.push(context);
        return handle(operation, context);
      },
    },
    hot: new HotCache(1024 * 1024),
    hotCounters: newHotCounters(),
    requests: new EventBus(),
    accessLog,
    pool: new BufferPool(),
    version: '1.2.3',
    instanceId: 'me',
    pathPrefix: '',
    idleWriteMs: 5_000,
    negativeMaxAgeS: () => 30,
    provenance: () => 'proof',
    page: () => ({ status: 200, contentType: 'text/plain', body: 'page\n', headers: { 'x-more': 'yes' } }),
    gate: testGate().gate,
    uploads: noUploads(clock),
    api: async (exchange) => exchange.text(404, 'no such thing\n'),
    onUnexpected: () => {},
    ...more,
  });
  const server = createServer((asked, response) => handler.handle(asked, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    contexts,
    ask: (target: string, headers: Record<string, string> = {}) => ask(port, target, headers),
    lines: async () => {
      await accessLog.flush();
      return logged
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { id: string; status: number });
    },
  };
}

function ask(port: number, target: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

function telling(headers: IncomingHttpHeaders): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('x-modferry') || name === 'x-request-id');
}

describe('an answer to another modferry', () => {
  it('says what answers, and the id under which it is logged', async () => {
    const server = await serve(async () => body);
    const answer = await server.ask(path, { 'x-modferry-via': 'child', 'x-request-id': 'r-1' });

    expect(answer).toMatchObject({ status: 200, text: 'module example.com/m\n' });
    expect(answer.headers).toMatchObject({ 'x-modferry': '1.2.3', 'x-request-id': 'r-1' });
    expect(await server.lines()).toMatchObject([{ id: 'r-1', status: 200 }]);
  });

  it('never calls absent what was not asked: a child would believe it', async () => {
    const server = await serve(() =>
      Promise.reject(new SourcesFailure('not_fetched', 'not stored, and modferry is in offline mode')),
    );
    const toChild = await server.ask(path, { 'x-modferry-via': 'child' });
    expect(toChild.status).toBe(503);
    expect(toChild.headers['x-modferry-cause']).toBe('sources');
    expect((await server.ask(path)).status).toBe(404);
  });

  it('tells that not all have agreed on an absence', async () => {
    for (const partial of [true, false]) {
      const failure = new SourcesFailure('absent', 'not found', [], { partial });
      const server = await serve(() => Promise.reject(failure));
      const answer = await server.ask(path, { 'x-modferry-via': 'child' });
      expect(answer.status).toBe(404);
      expect(answer.headers['x-modferry-partial']).toBe(partial ? '1' : undefined);
      expect((await server.ask(path)).headers['x-modferry-partial']).toBeUndefined();
    }
  });

  it('says so too when it is an error, not modified, a page, or ready in memory', async () => {
    const server = await serve(async (_operation, { id }) => {
      if (id === 'bad') throw new SourcesFailure('absent', 'not found');
      return body;
    });
    await server.ask(path);
    const via = { 'x-modferry-via': 'child' };
    const asked: [string, Record<string, string>, number][] = [
      [path, via, 200],
      [path, { ...via, 'if-none-match': `"${'ab'.repeat(32)}"` }, 304],
      [path, { ...via, range: 'bytes=0-2' }, 206],
      [path, { ...via, 'x-request-id': 'bad' }, 404],
      ['/nothing', via, 404],
      ['/readyz', via, 200],
    ];
    for (const [target, headers, status] of asked) {
      const answer = await server.ask(target, headers);
      expect(answer.status, target).toBe(status);
      expect(answer.headers['x-modferry'], `${target} ${status}`).toBe('1.2.3');
      expect(answer.headers['x-request-id'], `${target} ${status}`).toMatch(/^(bad|me-\w+)$/);
    }
  });

  it('gives a plain client none of it', async () => {
    const server = await serve(async () => {
      throw new SourcesFailure('failed', 'no source could answer');
    });
    const failed = await server.ask(path);
    expect(failed.status).toBe(502);
    expect(telling(failed.headers)).toEqual(['x-request-id']);
    const page = await server.ask('/readyz');
    expect(telling(page.headers)).toEqual([]);
    expect(page.headers['x-more']).toBe('yes');
  });

  it.each([
    ['failed', 502, 'sources'],
    ['timeout', 504, 'sources'],
    ['unavailable', 503, 'sources'],
    ['overload', 503, 'overload'],
    ['disk_full', 503, 'disk'],
    ['absent', 404, undefined],
    ['loop', 508, undefined],
  ] as [FailureKind, number, string | undefined][])(
    'has for %s, %i, the cause %s',
    async (kind, status, cause) => {
      const server = await serve(async () => {
        throw new SourcesFailure(kind, 'x');
      });
      const answer = await server.ask(path, { 'x-modferry-via': 'child' });
      expect(answer.status).toBe(status);
      expect(answer.headers['x-modferry-cause']).toBe(cause);
    },
  );
});

describe('what another modferry says', () => {
  it('is passed on: its way, and that it verifies by itself', async () => {
    const server = await serve(async () => body);
    await server.ask(path, { 'x-modferry-via': 'edge, bad id, region', 'x-modferry-hold': 'no' });
    await server.ask(path, { 'x-modferry-via': 'edge' });

    expect(server.contexts).toMatchObject([
      { via: ['edge', 'region'], noHold: true },
      { via: ['edge'], noHold: false },
    ]);
  });

  it('counts for nothing from a plain client', async () => {
    const clock = new FakeClock();
    const server = await serve(async () => body, { clock });
    const answer = await server.ask(path, { 'x-modferry-hold': 'no', 'x-modferry-remaining': '5' });

    expect(answer.status).toBe(200);
    expect(server.contexts).toMatchObject([{ via: [], noHold: false }]);
  });

  it('that came back to us, or passed too many, is refused with 508', async () => {
    const server = await serve(async () => body);
    const back = await server.ask(path, { 'x-modferry-via': 'other, me' });
    expect(back).toMatchObject({ status: 508, text: expect.stringContaining('came back') });
    const long = await server.ask(path, { 'x-modferry-via': 'a, b, c, d, e' });
    expect(long).toMatchObject({ status: 508, text: 'the request passed 5 modferries in a row\n' });
    expect(server.contexts).toEqual([]);
  });
});

describe('the time that another modferry has left', () => {
  function hanging() {
    const begun = Promise.withResolvers<AbortSignal>();
    const handle = (_operation: Operation, { signal }: RequestContext): Promise<Reply> => {
      begun.resolve(signal);
      return raceAbort(new Promise<never>(() => {}), signal);
    };
    return { begun: begun.promise, handle };
  }

  it('ends its wait with 504 a little earlier, with a text and the cause', async () => {
    const clock = new FakeClock();
    const { begun, handle } = hanging();
    const server = await serve(handle, { clock });
    const asked = server.ask(path, { 'x-modferry-via': 'child', 'x-modferry-remaining': '1000' });
    const signal = await begun;

    await clock.advance(899);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
    const answer = await asked;
    expect(answer).toMatchObject({
      status: 504,
      text: 'no answer within the 1000 ms that the asking modferry had left\n',
    });
    expect(answer.headers).toMatchObject({ 'x-modferry-cause': 'deadline', 'cache-control': 'no-store' });
    expect(await server.lines()).toMatchObject([{ status: 504 }]);
  });

  it.each(['0', '600001', '1e9', '-1', 'soon'])('is not believed when it is %s', async (remaining) => {
    const clock = new FakeClock();
    const { begun, handle } = hanging();
    const server = await serve(handle, { clock });
    server.ask(path, { 'x-modferry-via': 'child', 'x-modferry-remaining': remaining }).catch(() => {});
    const signal = await begun;
    await clock.advance(3_600_000);
    expect(signal.aborted).toBe(false);
  });

  it('is passed on until the answer begins, and then no more', async () => {
    const clock = new FakeClock();
    const seen: (number | undefined)[] = [];
    const handle = async (_operation: Operation, context: RequestContext): Promise<Reply> => {
      await clock.advance(300);
      seen.push((context.deadlineAtMs?.() ?? Number.NaN) - clock.monotonic());
      return body;
    };
    const server = await serve(handle, { clock });
    await server.ask(path, { 'x-modferry-via': 'child', 'x-modferry-remaining': '1000' });
    expect(seen).toEqual([600]);
    expect(server.contexts[0]?.deadlineAtMs?.()).toBeUndefined();
    await server.ask('/example.com/m/@v/v1.0.1.mod', { 'x-modferry-remaining': '1000' });
    expect(server.contexts[1]?.deadlineAtMs).toBeUndefined();
  });

  it('leaves no timer behind once there is an answer', async () => {
    const clock = new FakeClock();
    const server = await serve(async () => body, { clock });
    const answer = await server.ask(path, { 'x-modferry-via': 'child', 'x-modferry-remaining': '1000' });
    expect(answer.status).toBe(200);
    await server.lines();
    expect(clock.timers).toBe(0);
  });
});

describe('the access line of a body that breaks', () => {
  it.each([
    ['a source that fails', undefined],
    ['a source that ends early', 0],
  ])('says how many bytes went out before %s', async (_what, end) => {
    const passing: Reply = {
      kind: 'passing',
      contentType: 'zip',
      cache: { kind: 'none' },
      source: 'upstream:one',
      body: {
        sizeBytes: 1_000_000,
        readAt: async (target: Buffer, length: number, position: number) => {
          if (position < 300_000) return Math.min(length, target.length, 300_000 - position);
          if (end === undefined) throw new Error('stalled');
          return end;
        },
        close: () => {},
      } as unknown as PassThrough,
    };
    const server = await serve(async () => passing);

    await expect(server.ask(path.replace('.mod', '.zip'))).rejects.toThrow();
    expect(await server.lines()).toMatchObject([{ status: 200, bytes: 300_000, aborted: true }]);
  });
});
