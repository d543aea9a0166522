import type { IncomingHttpHeaders } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { hopMs, isSourcesFault, parentAfter, parentOf } from './parent-headers.ts';
import { readBody } from './read-body.ts';
import { ask, failure, TestServers } from './test-servers.ts';
import { UpstreamError } from './types.ts';

const servers = new TestServers();
afterEach(() => servers.closeAll());

describe('parentOf', () => {
  it('knows a modferry by its version', () => {
    expect(parentOf({ 'x-modferry': '1.2.3', 'x-modferry-failover': '6000' })).toEqual({
      version: '1.2.3',
      failoverMs: 6000,
    });
    expect(parentOf({ 'x-modferry': '1.2.3-rc.1+x' })).toEqual({
      version: '1.2.3-rc.1+x',
      failoverMs: undefined,
    });
  });

  it.each(['', 'a b', 'x'.repeat(65), '1\u0007'])('takes %j for nothing', (version) => {
    expect(parentOf({ 'x-modferry': version })).toBeUndefined();
  });
});

describe('hopMs', () => {
  it.each([
    ['1', 1],
    ['1500', 1500],
    ['600000', 600_000],
    ['0', undefined],
    ['600001', undefined],
    ['99999999999999999999', undefined],
    ['-5', undefined],
    ['1e3', undefined],
    ['1.5', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as [string | undefined, number | undefined][])('reads %j as %j', (text, ms) => {
    expect(hopMs(text)).toBe(ms);
  });
});

describe('parentAfter', () => {
  const known = { version: '1.0.0', failoverMs: 6000 };

  it('keeps the fail-over time, which only /readyz tells, while the version stays', () => {
    expect(parentAfter(known, 200, { 'x-modferry': '1.0.0' })).toBe(known);
    expect(parentAfter(known, 200, { 'x-modferry': '1.1.0' })).toEqual({
      version: '1.1.0',
      failoverMs: undefined,
    });
    expect(parentAfter(known, 200, { 'x-modferry': '1.0.0', 'x-modferry-failover': '2000' })).toEqual({
      version: '1.0.0',
      failoverMs: 2000,
    });
  });

  it('forgets it when another server answers well, not when something on the way fails', () => {
    for (const status of [200, 404, 410]) expect(parentAfter(known, status, {})).toBeUndefined();
    for (const status of [400, 431, 502, 503, 504]) expect(parentAfter(known, status, {})).toBe(known);
  });
});

describe('isSourcesFault', () => {
  it.each([
    [502, { 'x-modferry': '1', 'x-modferry-cause': 'sources' }, true],
    [503, { 'x-modferry': '1', 'x-modferry-cause': 'sources' }, true],
    [504, { 'x-modferry': '1', 'x-modferry-cause': 'deadline' }, true],
    [503, { 'x-modferry': '1', 'x-modferry-cause': 'overload' }, false],
    [503, { 'x-modferry': '1', 'x-modferry-cause': 'draining' }, false],
    [503, { 'x-modferry': '1', 'x-modferry-cause': 'disk' }, false],
    [502, { 'x-modferry': '1', 'x-modferry-cause': 'internal' }, false],
    [502, { 'x-modferry': '1' }, false],
    [500, { 'x-modferry': '1', 'x-modferry-cause': 'sources' }, false],
    [502, { 'x-modferry-cause': 'sources' }, false],
  ] as [number, IncomingHttpHeaders, boolean][])('%i with %j: %j', (status, headers, expected) => {
    expect(isSourcesFault(status, headers)).toBe(expected);
  });
});

describe('an upstream that is a modferry', () => {
  it('is known from its first answer on, and hears from then on what a child has to say', async () => {
    const seen: IncomingHttpHeaders[] = [];
    const url = await servers.serve((request, response) => {
      seen.push(request.headers);
      response.writeHead(200, { 'x-modferry': '1.2.3', 'x-modferry-failover': '6000' });
      response.end('ok');
    });
    const upstream = servers.upstreamAt(url, { lastHopeMs: 9_000 });
    expect(upstream.parent).toBeUndefined();
    await readBody(await ask(upstream, { remainingMs: 1500.7 }), 10);
    expect(upstream.parent).toEqual({ version: '1.2.3', failoverMs: 6000 });
    await readBody(await ask(upstream, { remainingMs: 1500.7 }), 10);
    await readBody(await ask(upstream, { remainingMs: 20_000 }), 10);
    await readBody(await ask(upstream), 10);

    const said = seen.map((headers) => [headers['x-modferry-hold'], headers['x-modferry-remaining']]);
    expect(said).toEqual([
      [undefined, undefined],
      ['no', '1500'],
      // It never waits longer than its last hope.
      ['no', '9000'],
      ['no', '9000'],
    ]);
  });

  it('is forgotten when another server answers at its address', async () => {
    let headers: Record<string, string> = { 'x-modferry': '1.2.3' };
    const url = await servers.serve((_request, response) => {
      response.writeHead(404, headers);
      response.end();
    });
    const upstream = servers.upstreamAt(url);
    await failure(ask(upstream));
    expect(upstream.parent?.version).toBe('1.2.3');
    headers = {};
    await failure(ask(upstream));
    expect(upstream.parent).toBeUndefined();
  });

  it('is not made of the server that a redirect leads to', async () => {
    const other = await servers.serve((_request, response) => {
      response.writeHead(200, { 'x-modferry': '1.2.3' });
      response.end('ok');
    });
    const url = await servers.serve((_request, response) => {
      response.writeHead(302, { location: `${other}/x` });
      response.end();
    });
    const upstream = servers.upstreamAt(url);
    await readBody(await ask(upstream), 10);
    expect(upstream.parent).toBeUndefined();
  });

  it.each([
    ['sources', true],
    ['deadline', true],
    ['overload', false],
  ])('whose answer has the cause %s: fault of its sources %j', async (cause, expected) => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(502, {
        'content-type': 'text/plain',
        'x-modferry': '1.2.3',
        'x-modferry-cause': cause,
        'retry-after': '2',
      });
      response.end('a@v1: no source could answer\nmirror: no connection\n');
    });
    const error = await failure(ask(servers.upstreamAt(url)));

    expect(error).toMatchObject({ code: 'status', status: 502, isSourcesFault: expected });
    expect(error.retryAfterMs, 'its sources need the pause, not the parent').toBe(
      expected ? undefined : 2_000,
    );
    expect(error.message).toBe('status 502: a@v1: no source could answer');
  });
});

describe('a request whose time runs out in our own queue', () => {
  it('is busy, since the server was never asked', async () => {
    const url = await servers.serve(() => {});
    const upstream = servers.upstreamAt(url, { maxConcurrent: 1 });
    const leave = new AbortController();
    const first = failure(ask(upstream, { answerClass: 'meta', signal: leave.signal }));
    const patience = new AbortController();
    const second = failure(ask(upstream, { answerClass: 'meta', signal: patience.signal }));
    patience.abort(new UpstreamError('up', 'timeout', 'too slow'));

    expect((await second).code).toBe('busy');
    leave.abort();
    expect((await first).code).toBe('aborted');
  });
});
