import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readBody } from './read-body.ts';
import { ask, failure, TestServers, text } from './test-servers.ts';

const servers = new TestServers();
afterEach(() => servers.closeAll());

describe('what a status means', () => {
  it.each([
    [404, 'absent'],
    [410, 'gone'],
    [204, 'status'],
    [206, 'protocol'],
    [304, 'status'],
    [401, 'status'],
    [429, 'status'],
    [500, 'status'],
    [503, 'status'],
    [508, 'loop'],
  ])('%i is %s', async (status, code) => {
    const url = await servers.serve((_request, response) => response.writeHead(status).end());
    expect(await failure(ask(servers.upstreamAt(url)))).toMatchObject({ code, status, upstream: 'up' });
  });

  it('quotes the first line of a plain text, printable and short', async () => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(`\n  not found: \u0007m@v1\u001b[31m ${'x'.repeat(500)}\nsecond line`);
    });
    const { message } = await failure(ask(servers.upstreamAt(url)));
    expect(message).toMatch(/^status 404: not found: m@v1\[31m x+$/);
    expect(message.length).toBeLessThan(220);
  });

  it.each(['text/html', 'application/json'])('does not quote %s', async (type) => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(404, { 'content-type': type }).end('secret page');
    });
    expect((await failure(ask(servers.upstreamAt(url)))).message).toBe('status 404');
  });

  it('does not wait for the text of a refusal that never ends', async () => {
    const url = await servers.serveRaw(
      'HTTP/1.1 404 No\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    expect((await failure(ask(servers.upstreamAt(url)))).code).toBe('absent');
  });

  it.each([
    ['7', 7000],
    ['100000', 300_000],
    [new Date(0).toUTCString(), 0],
    ['soon', undefined],
  ])('reads Retry-After %s', async (value, expected) => {
    const url = await servers.serve((_request, response) =>
      response.writeHead(503, { 'retry-after': value }).end(),
    );
    expect((await failure(ask(servers.upstreamAt(url)))).retryAfterMs).toBe(expected);
  });

  it('refuses a page with status 200, as captive portals send it', async () => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>log in</html>');
    });
    expect(await failure(ask(servers.upstreamAt(url)))).toMatchObject({ code: 'refused', status: 200 });
  });

  it('refuses a body in a coding it did not ask for', async () => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('xx');
    });
    expect((await failure(ask(servers.upstreamAt(url)))).code).toBe('protocol');
  });
});

describe('what a broken connection means', () => {
  it('is connect where nobody listens', async () => {
    const server = createServer();
    const port = await servers.listen(server);
    server.close();
    await once(server, 'close');
    const work = ask(servers.upstreamAt(`http://127.0.0.1:${port}`));
    expect((await failure(work)).code).toBe('connect');
  });

  it('is dns where the name does not exist', async () => {
    expect((await failure(ask(servers.upstreamAt('http://no-such-host.invalid')))).code).toBe('dns');
  });

  it('is reset when closed before a status line', async () => {
    const ended = await servers.serveRaw('', (socket) => socket.end());
    expect((await failure(ask(servers.upstreamAt(ended)))).code).toBe('reset');
    const reset = await servers.serveRaw('', (socket) => socket.resetAndDestroy());
    expect((await failure(ask(servers.upstreamAt(reset)))).code).toBe('reset');
  });

  it.each([
    ['not HTTP', 'SSH-2.0-server\r\n\r\n'],
    ['headers over 16 KiB', `HTTP/1.1 200 OK\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['a bad length', 'HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello'],
    [
      'both kinds of length',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ],
  ])('is protocol for %s', async (_what, bytes) => {
    const url = await servers.serveRaw(bytes, (socket) => socket.end());
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('protocol');
  });

  it('is timeout without a status line in time', async () => {
    const url = await servers.serveRaw('');
    expect(await failure(ask(servers.upstreamAt(url, { lastHopeMs: 100 })))).toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('first byte'),
    });
  });

  it('is timeout when the body stalls', async () => {
    const url = await servers.serveRaw('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    expect(await failure(text(servers.upstreamAt(url, { bodyIdleMs: 100 })))).toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('stalled'),
    });
  });

  it.each([
    ['a declared length', 'Content-Length: 10\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ])('is truncated when the body ends before %s', async (_what, rest) => {
    const url = await servers.serveRaw(`HTTP/1.1 200 OK\r\n${rest}`, (socket) => socket.end());
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('truncated');
  });

  it('never takes a reset in the body for its end', async () => {
    const url = await servers.serve((_request, response) => {
      response.write('hello');
      setImmediate(() => response.socket?.resetAndDestroy());
    });
    expect(['reset', 'truncated']).toContain((await failure(text(servers.upstreamAt(url)))).code);
  });

  it('does not become an uncaught error when nobody reads the body', async () => {
    const url = await servers.serveRaw('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', (socket) =>
      socket.resetAndDestroy(),
    );
    const answer = await ask(servers.upstreamAt(url)).catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    answer?.cancel();
  });
});

describe('giving up', () => {
  /** A body without an end; resolves when the server sees the client go. */
  async function endless(): Promise<{ url: string; gone: Promise<unknown>; asked: Promise<unknown> }> {
    const gone = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const url = await servers.serve((_request, response) => {
      asked.resolve();
      response.writeHead(200, { 'content-length': 1e9 });
      response.write(Buffer.alloc(100_000));
      response.on('close', () => gone.resolve());
    });
    return { url, gone: gone.promise, asked: asked.promise };
  }

  it('closes the socket on cancel, any number of times', async () => {
    const { url, gone } = await endless();
    const answer = await ask(servers.upstreamAt(url));
    answer.cancel();
    answer.cancel();
    await gone;
    expect((await failure(readBody(answer, 2e9))).code).toBe('aborted');
  });

  it('closes the socket when the reader stops early', async () => {
    const { url, gone } = await endless();
    const answer = await ask(servers.upstreamAt(url));
    for await (const chunk of answer.body) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    await gone;
  });

  it('ends the body when the signal fires', async () => {
    const { url, gone } = await endless();
    const controller = new AbortController();
    const answer = await ask(servers.upstreamAt(url), { signal: controller.signal });
    const reading = failure(readBody(answer, 2e9));
    controller.abort(new Error('client gone'));
    expect((await reading).code).toBe('aborted');
    await gone;
  });

  it('ends the wait for a status line when the signal fires, a deadline being a timeout', async () => {
    for (const [reason, code] of [
      [new Error('client gone'), 'aborted'],
      [new DOMException('late', 'TimeoutError'), 'timeout'],
    ] as const) {
      const asked = Promise.withResolvers<void>();
      const url = await servers.serve(() => asked.resolve());
      const controller = new AbortController();
      const waiting = failure(ask(servers.upstreamAt(url), { signal: controller.signal }));
      await asked.promise;
      controller.abort(reason);
      expect((await waiting).code).toBe(code);
    }
  });

  it('asks nothing for a signal that has fired already', async () => {
    const upstream = servers.upstreamAt('http://127.0.0.1:1');
    expect((await failure(ask(upstream, { signal: AbortSignal.abort() }))).code).toBe('aborted');
  });

  it('ends what is under way when the upstream is closed', async () => {
    const { url, gone } = await endless();
    const upstream = servers.upstreamAt(url);
    const reading = failure(readBody(await ask(upstream), 2e9));
    await upstream.close();
    await gone;
    expect((await reading).code).toBeDefined();
    expect((await failure(ask(upstream))).code).toBe('aborted');
  });

  it('lets a body be read only once', async () => {
    const url = await servers.serve((_request, response) => response.end('hello'));
    const answer = await ask(servers.upstreamAt(url));
    await readBody(answer, 10);
    expect((await failure(readBody(answer, 10))).code).toBe('protocol');
  });
});
