import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../lib/secret.ts';

import { readBody } from './read-body.ts';
import { ask, failure, TestServers, text } from './test-servers.ts';

const servers = new TestServers();
afterEach(() => servers.closeAll());

describe('a good answer', () => {
  it('comes with its facts and its bytes', async () => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/zip',
        'content-length': 5,
        etag: '"x"',
        'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      });
      response.end('hello');
    });
    const answer = await ask(servers.upstreamAt(url));

    expect(answer).toMatchObject({
      upstream: 'up',
      contentLength: 5,
      contentType: 'application/zip',
      etag: '"x"',
      lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT',
    });
    expect(answer.firstByteMs).toBeGreaterThan(0);
    expect((await readBody(answer, 5)).toString()).toBe('hello');
  });

  it('is asked for under the base path with the headers a mirror should see', async () => {
    let seen: IncomingMessage | undefined;
    const url = await servers.serve((request, response) => {
      seen = request;
      response.end('ok');
    });
    const upstream = servers.upstreamAt(`${url}/base/`, {
      auth: { kind: 'bearer', token: new Secret('tok') },
    });
    await readBody(await ask(upstream, { target: '/!m/@v/list', requestId: 'r-1', via: ['first'] }), 10);

    expect(seen?.method).toBe('GET');
    expect(seen?.url).toBe('/base/!m/@v/list');
    expect(seen?.headers).toMatchObject({
      'accept-encoding': 'identity',
      'user-agent': 'modferry/1.2.3',
      'x-modferry-via': 'first, me',
      'x-request-id': 'r-1',
      authorization: 'Bearer tok',
    });
  });

  it('comes over kept connections, absences included', async () => {
    const sockets = new Set<Socket>();
    let count = 0;
    const url = await servers.serve((request, response) => {
      sockets.add(request.socket);
      count += 1;
      if (count % 2 === 0) response.writeHead(404).end('not found');
      else response.end('ok');
    });
    const upstream = servers.upstreamAt(url);
    for (let round = 0; round < 5; round += 1) {
      await text(upstream);
      await failure(text(upstream));
    }
    // The pool counts a connection as free a turn after its answer has ended: two take turns.
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  it('is asked for once more when a kept connection was closed under it', async () => {
    let connections = 0;
    const url = await servers.serveTcp((socket) => {
      connections += 1;
      const isFirst = connections === 1;
      let requests = 0;
      socket.on('data', () => {
        requests += 1;
        if (isFirst && requests === 2) socket.end();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const upstream = servers.upstreamAt(url);

    expect(await text(upstream)).toBe('ok');
    expect(await text(upstream)).toBe('ok');
    expect(connections).toBe(2);
  });
});

describe('a kept connection that is reset', () => {
  it('is no news: it is asked for once more, though not for ever', async () => {
    let requests = 0;
    let connections = 0;
    const url = await servers.serveTcp((socket) => {
      connections += 1;
      const isOld = connections === 1;
      socket.on('error', () => {});
      socket.on('data', () => {
        requests += 1;
        if (isOld && requests > 1) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const upstream = servers.upstreamAt(url);
    expect(await text(upstream)).toBe('ok');
    expect(await text(upstream)).toBe('ok');
    expect(connections).toBe(2);
  });

  it('is a failure where nothing has answered before', async () => {
    let connections = 0;
    const url = await servers.serveTcp((socket) => {
      connections += 1;
      socket.on('error', () => {});
      socket.on('data', () => socket.resetAndDestroy());
    });
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('reset');
    expect(connections).toBe(1);
  });
});

describe('places', () => {
  it('lets real requests in before background ones, and says busy when the queue is full', async () => {
    const order: string[] = [];
    const held: (() => void)[] = [];
    const arrived: PromiseWithResolvers<void>[] = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const url = await servers.serve((request, response) => {
      arrived[order.length]?.resolve();
      order.push(request.url ?? '');
      held.push(() => response.end('ok'));
    });
    const upstream = servers.upstreamAt(url, { maxConcurrent: 1, maxQueued: 2 });
    async function run(name: string, priority: 'normal' | 'low'): Promise<void> {
      await readBody(await ask(upstream, { target: `/${name}`, priority }), 10);
    }
    const all = [run('first', 'normal'), run('background', 'low'), run('client', 'normal')];
    expect((await failure(run('fourth', 'normal'))).code).toBe('busy');

    for (const [index, one] of arrived.entries()) {
      await one.promise;
      held[index]?.();
    }
    await Promise.all(all);

    expect(order).toEqual(['/first', '/client', '/background']);
  });

  it('gives the place back after a failure, a cancel, and an abort while waiting', async () => {
    let status = 500;
    const url = await servers.serve((_request, response) => response.writeHead(status).end('x'));
    const upstream = servers.upstreamAt(url, { maxConcurrent: 1 });
    await failure(ask(upstream));
    status = 200;
    const open = await ask(upstream);
    const controller = new AbortController();
    const waiting = failure(ask(upstream, { signal: controller.signal }));
    controller.abort(new Error('client gone'));
    expect((await waiting).code).toBe('aborted');
    open.cancel();
    expect(await text(upstream)).toBe('x');
  });
});

describe('loops', () => {
  it('does not send what has passed through here before, or through very many', async () => {
    const upstream = servers.upstreamAt('http://127.0.0.1:1');
    expect((await failure(ask(upstream, { via: ['other', 'me'] }))).code).toBe('loop');
    const many = Array.from({ length: 16 }, (_, index) => `i${index}`);
    expect((await failure(ask(upstream, { via: many }))).code).toBe('loop');
  });
});

describe('redirects', () => {
  it('are followed on the same server with credentials', async () => {
    const seen: (string | undefined)[] = [];
    const url = await servers.serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.url === '/final') response.end('here');
      else response.writeHead(302, { location: '/final' }).end();
    });
    const credentials = url.replace('://', '://u:p@');
    expect(await text(servers.upstreamAt(credentials))).toBe('here');
    expect(seen).toEqual(['Basic dTpw', 'Basic dTpw']);
  });

  it('to another server carry no credentials, not even on the way back', async () => {
    const seen: [string, string | undefined][] = [];
    const home = await servers.serve((request, response) => {
      seen.push(['home', request.headers.authorization]);
      if (request.url === '/back') response.end('back');
      else response.writeHead(307, { location: `${away}/x` }).end();
    });
    const away = await servers.serve((request, response) => {
      seen.push(['away', request.headers.authorization]);
      response.writeHead(301, { location: `${home}/back` }).end();
    });
    expect(await text(servers.upstreamAt(home.replace('://', '://u:p@')))).toBe('back');
    expect(seen).toEqual([
      ['home', 'Basic dTpw'],
      ['away', undefined],
      ['home', undefined],
    ]);
  });

  it('are followed five times and not six', async () => {
    const url = await servers.serve((request, response) => {
      const left = Number(new URL(request.url ?? '', 'http://x').searchParams.get('left') ?? limit);
      if (left === 0) response.end('end');
      else response.writeHead(302, { location: `/?left=${left - 1}` }).end();
    });
    let limit = 5;
    expect(await text(servers.upstreamAt(url))).toBe('end');
    limit = 6;
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('redirect');
  });

  it.each([
    ['a circle', '/m/@v/v1.0.0.zip'],
    ['another scheme', 'ftp://a.example/'],
    ['nonsense', 'http://'],
    ['nowhere', undefined],
  ])('to %s are refused', async (_what, location) => {
    const url = await servers.serve((_request, response) => {
      response.writeHead(302, location === undefined ? {} : { location }).end();
    });
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('redirect');
  });

  it('use up the body of the redirect, or do without it', async () => {
    const url = await servers.serve((request, response) => {
      if (request.url === '/final') response.end('here');
      else {
        response.writeHead(302, { location: '/final' });
        response.write('this text does not end');
      }
    });
    expect(await text(servers.upstreamAt(url))).toBe('here');
  });
});
