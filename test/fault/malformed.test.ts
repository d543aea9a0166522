/**
 * Raw bytes at the listening socket: malformed, hostile, slow and too many. Each gets the answer that HTTP has for
 * it or is cut off, within bounds, and the process answers everybody else as before.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask, withDefaults } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type ModferryProcess, startModferry } from '../kit/modferry-process.ts';
import { openRaw, type RawConnection, rawPipeline, rawRequest } from '../kit/raw-http.ts';
import { headerValues } from '../kit/raw-response.ts';

const module = fakeModule({ path: 'example.com/m' });
const maxConnections = 40;
let source: FakeUpstream;
let proxy: ModferryProcess;

beforeAll(async () => {
  source = await startFakeUpstream({ modules: [module] });
  const config = {
    server: {
      headers_timeout: '1s',
      request_timeout: '2s',
      max_connections: maxConnections,
      max_header: '16KiB',
      keep_alive: '5s',
    },
  };
  proxy = await startModferry(withDefaults({ upstreams: [source], config }));
  return async () => {
    await proxy.close();
    await source.close();
  };
});

afterEach(async () => {
  // Whatever was sent: the process lives and serves.
  const answer = await ask(proxy.url, '/example.com/m/@v/v1.0.0.mod');
  expect(answer).toMatchObject({ status: 200, body: module.mod });
  expect(proxy.stderr()).not.toMatch(/unhandled|uncaught/i);
});

const host = 'Host: modferry.test';

describe('malformed paths', () => {
  it.each([
    ['an encoded slash', '/example.com%2Fm/@v/list'],
    ['an encoded backslash', '/example.com%5Cm/@v/list'],
    ['NUL', '/example.com/m%00/@v/list'],
    ['an encoded line break', '/example.com/m%0d%0aX:1/@v/list'],
    ['a dot segment', '/example.com/../../etc/passwd/@v/list'],
    ['an encoded dot segment', '/example.com/%2e%2e/m/@v/list'],
    ['a double slash', '/example.com//m/@v/list'],
    ['bad percent-encoding', '/example.com/%zz/@v/list'],
    ['invalid UTF-8', '/example.com/%c3%28/@v/list'],
    ['a path that is encoded twice', '/example.com/%2521azure/@v/list'],
    ['an over-long path', `/example.com/${'a/'.repeat(3000)}m/@v/list`],
    ['a backslash', '/example.com\\m/@v/list'],
    ['a capital letter that is not escaped', '/example.com/M/@v/list'],
    ['an absolute URL', 'http://evil.test/example.com/m/@v/list'],
    ['a request line for a tunnel in a GET', 'evil.test:443'],
  ])('%s is 400 with one line of text, and nobody is asked', async (_, path) => {
    const before = source.requests.length;
    const answer = await rawRequest(proxy.port, [`GET ${path} HTTP/1.1`, host]);
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toMatch(/^[^\n]+\n$/);
    expect(headerValues(answer, 'content-type')).toEqual(['text/plain; charset=utf-8']);
    expect(source.requests).toHaveLength(before);
  });
});

describe('malformed HTTP', () => {
  it.each([
    ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['an unknown method', 'FROB / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['an unknown version', 'GET / HTTP/7.3\r\nHost: x\r\n\r\n'],
    ['a header without a colon', 'GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'],
    ['a space in a header name', 'GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ])('%s is 400, and the connection ends', async (_, bytes) => {
    const answer = await rawRequest(proxy.port, Buffer.from(bytes, 'latin1'));
    expect(answer.status).toBe(400);
    expect(headerValues(answer, 'connection').map((value) => value.toLowerCase())).toEqual(['close']);
  });

  it('huge headers are 431', async () => {
    const answer = await rawRequest(proxy.port, ['GET / HTTP/1.1', host, `X: ${'x'.repeat(64 * 1024)}`]);
    expect(answer.status).toBe(431);
  });

  it('CONNECT and upgrades open nothing', async () => {
    const tunnel = await rawRequest(proxy.port, ['CONNECT evil.test:443 HTTP/1.1', 'Host: evil.test:443']);
    expect(tunnel.status === 0 || tunnel.status >= 400).toBe(true);
    const upgrade = await rawRequest(proxy.port, [
      'GET /healthz HTTP/1.1',
      host,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
    expect([200, 400, 426]).toContain(upgrade.status);
  });

  it('a body that nobody asked for is not waited for', async () => {
    const answer = await rawRequest(proxy.port, [
      'POST /example.com/m/@v/list HTTP/1.1',
      host,
      'Content-Length: 1000000000',
    ]);
    expect(answer.status).toBe(405);
  });
});

describe('odd but right', () => {
  it('answers pipelined requests in their order', async () => {
    const paths = [
      '/healthz',
      '/example.com/m/@v/v1.0.0.info',
      '/nothing',
      '/example.com/m/@v/v1.0.0.mod',
      '/example.com/m/@v/v1.0.0.zip',
    ];
    const bytes = paths.map((path) => `GET ${path} HTTP/1.1\r\n${host}\r\n\r\n`).join('');
    const answers = await rawPipeline(proxy.port, bytes, { responses: paths.length });
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 200, 200]);
    expect(answers[1]?.body.equals(module.info)).toBe(true);
    expect(answers[3]?.body.equals(module.mod)).toBe(true);
    expect(answers[4]?.body.equals(module.zip)).toBe(true);
  });

  it('answers HTTP/1.0 and closes', async () => {
    const answer = await rawRequest(proxy.port, ['GET /example.com/m/@v/v1.0.0.zip HTTP/1.0']);
    expect(answer).toMatchObject({ status: 200, endedCleanly: true });
    expect(answer.body.equals(module.zip)).toBe(true);
    expect(headerValues(answer, 'transfer-encoding')).toEqual([]);
  });

  it('takes a half-close for leaving: without it a client that is gone would not be noticed while it waits', async () => {
    await using client = await openRaw(proxy.port);
    await client.write(`GET /example.com/m/@v/v1.0.0.info HTTP/1.1\r\n${host}\r\n\r\n`);
    client.end();
    expect(await client.ended).toMatch(/fin|reset/);
  });

  it('ignores a query string', async () => {
    const answer = await rawRequest(proxy.port, ['GET /example.com/m/@v/v1.0.0.mod?go-get=1 HTTP/1.1', host]);
    expect(answer.body.equals(module.mod)).toBe(true);
  });
});

describe('slow and many', () => {
  it('a client that does not finish its headers gets 408 or is cut', async () => {
    await using client = await openRaw(proxy.port);
    await client.write(`GET /healthz HTTP/1.1\r\n${host}\r\nX-Slow: `);
    expect(await client.ended).toMatch(/fin|reset/);
    expect(client.received().toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('connections beyond the limit are refused, and there is room again when others leave', async () => {
    const clients: RawConnection[] = [];
    for (let number = 0; number < maxConnections; number += 1) {
      const client = await openRaw(proxy.port);
      clients.push(client);
      await client.write(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
      await client.waitFor(/ok\n$/);
    }
    const refused = await openRaw(proxy.port);
    expect(await refused.ended).toMatch(/fin|reset|local/);
    expect(refused.received()).toHaveLength(0);
    for (const client of clients) client.destroy();
    // Until the server has seen them leave a new one may still be refused.
    await expect
      .poll(async () => (await ask(proxy.url, '/healthz')).status, { timeout: 5000, interval: 20 })
      .toBe(200);
  });

  it('a thousand clients that leave at once do no harm', async () => {
    for (let round = 0; round < 50; round += 1) {
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => openRaw(proxy.port).catch(() => undefined)),
      );
      for (const [number, client] of clients.entries()) {
        void client?.write(
          `GET /example.com/m/@v/v1.0.0.${number % 2 ? 'zip' : 'info'} HTTP/1.1\r\n${host}\r\n\r\n`,
        );
        if (number % 3 === 0) client?.reset();
        else client?.destroy();
      }
    }
    await expect
      .poll(async () => (await ask(proxy.url, '/healthz')).status, { timeout: 5000, interval: 20 })
      .toBe(200);
  });
});
