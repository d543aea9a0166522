import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startConnectProxy } from '../../../test/kit/connect-proxy.ts';
import { startSocksServer } from '../../../test/kit/socks-server.ts';
import { type TempDir, tempDir } from '../../../test/kit/temp.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../../../test/kit/tls.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { Secret } from '../../lib/secret.ts';
import { directRule, fixedProxyRule } from '../../outbound/proxy-rule.ts';
import type { BenchMirror, Measured } from './bench-types.ts';
import { MirrorClient } from './mirror-client.ts';

let dir: TempDir;
let authority: TestAuthority;
let certificate: Certificate;
beforeAll(async () => {
  dir = await tempDir('bench-tls');
  authority = await testAuthority(dir.path);
  certificate = await authority.issue();
});
afterAll(() => dir.remove());

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    sockets.add(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const https = async (listener: RequestListener) =>
  `https://localhost:${await listen(createHttps({ cert: certificate.cert, key: certificate.key }, listener))}`;
const http = async (listener: RequestListener) => `http://127.0.0.1:${await listen(createServer(listener))}`;

function clientOf(
  url: string,
  more: Partial<BenchMirror> = {},
  options: { timeoutMs?: number; clock?: Clock } = {},
) {
  const mirror: BenchMirror = {
    name: 'm',
    url,
    isPrivate: false,
    proxy: directRule,
    caFile: authority.certFile,
    clientCertificate: undefined,
    ...more,
  };
  const client = new MirrorClient({ mirror, version: '1', timeoutMs: 5000, clock: systemClock, ...options });
  onTestFinished(() => client.close());
  return client;
}

async function get(client: MirrorClient, isFresh = true): Promise<Measured & { body: string }> {
  let body = '';
  const onBody = (chunk: Buffer): void => {
    body += chunk.toString();
  };
  const request = { target: '/a/@v/list', isFresh, maxBytes: 1000, onBody };
  return { ...(await client.measure(request, new AbortController().signal)), body };
}

const hello: RequestListener = (_request, response) => response.end('hello');

describe('TLS', () => {
  it('is a step of its own on a new connection and none on a kept one', async () => {
    const client = clientOf(await https(hello));
    const fresh = await get(client);
    expect(fresh).toMatchObject({ fault: null, status: 200, isReused: false, body: 'hello' });
    expect(fresh.tlsMs).toBeGreaterThan(0);
    const steps = (fresh.dnsMs ?? 0) + (fresh.connectMs ?? 0) + (fresh.tlsMs ?? 0);
    expect(steps).toBeLessThanOrEqual(fresh.firstByteMs ?? 0);

    await get(client, false);
    const kept = await get(client, false);
    expect(kept).toMatchObject({ isReused: true, dnsMs: null, connectMs: null, tlsMs: null, body: 'hello' });
    expect(kept.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('fails as tls without the authority, or where nobody speaks it', async () => {
    const unknown = await get(clientOf(await https(hello), { caFile: undefined }));
    expect(unknown).toMatchObject({ fault: { kind: 'tls' }, status: null });
    expect(unknown.fault?.message).toContain('ca_file');
    expect(unknown.connectMs).not.toBeNull();

    const plain = (await http(hello)).replace('http:', 'https:');
    expect((await get(clientOf(plain))).fault?.kind).toBe('tls');
  });
});

describe('a deadline', () => {
  it.each([
    ['http', 'no first byte within 30 s'],
    ['https', 'no TLS handshake within 30 s'],
  ])('over %s names what it waited for', async (scheme, message) => {
    const heard = Promise.withResolvers<void>();
    const port = await listen(createTcp((socket) => socket.once('data', () => heard.resolve())));
    const clock = new FakeClock();
    const measuring = get(clientOf(`${scheme}://127.0.0.1:${port}`, {}, { clock, timeoutMs: 30_000 }));
    await heard.promise;
    await clock.advance(30_000);

    expect((await measuring).fault).toEqual({ kind: 'timeout', message });
  });
});

describe('redirects', () => {
  it('are followed, their time and connections counted, without the credentials', async () => {
    const seen: (string | undefined)[] = [];
    const target = await http((request, response) => {
      seen.push(request.headers.authorization);
      response.end('there');
    });
    const from = await http((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${target}/x` }).end('elsewhere');
    });
    const auth = { kind: 'bearer', token: new Secret('s3cret') } as const;
    const measured = await get(clientOf(from, { auth }));

    expect(measured).toMatchObject({ fault: null, redirects: 1, body: 'there', sizeBytes: 5 });
    expect(measured.redirectMs).toBeGreaterThan(0);
    expect(measured.firstByteMs).toBeGreaterThanOrEqual(measured.redirectMs ?? Number.NaN);
    expect(seen).toEqual(['Bearer s3cret', undefined]);
  });

  it('to another scheme or from https to http are refused', async () => {
    const toFile = await http((_request, response) =>
      response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
    );
    expect((await get(clientOf(toFile))).fault).toMatchObject({ kind: 'redirect' });
    const plain = await http(hello);
    const down = await https((_request, response) => response.writeHead(301, { location: plain }).end());
    expect((await get(clientOf(down))).fault).toMatchObject({ kind: 'redirect' });
  });
});

describe('an outbound proxy', () => {
  it('is timed as its own step on a tunnel, and TLS behind it', async () => {
    await using proxy = await startConnectProxy();
    const url = await https(hello);
    const measured = await get(clientOf(url, { proxy: fixedProxyRule(proxy.url) }));

    expect(measured).toMatchObject({ fault: null, isProxied: true, body: 'hello' });
    expect(measured.remoteAddress).toBe(`127.0.0.1:${proxy.port}`);
    expect(measured.proxyMs).toBeGreaterThan(0);
    expect(measured.tlsMs).toBeGreaterThan(0);
    expect(proxy.requests.map(({ method }) => method)).toEqual(['CONNECT']);
  });

  it('gets the whole URL for plain http, and by SOCKS a connection', async () => {
    const url = await http(hello);
    await using proxy = await startConnectProxy({ credentials: { username: 'u', password: 'p' } });
    const withLogin = proxy.url.replace('http://', 'http://u:p@');
    expect(await get(clientOf(url, { proxy: fixedProxyRule(withLogin) }))).toMatchObject({ body: 'hello' });
    expect(proxy.requests[0]?.target).toBe(`${url}/a/@v/list`);

    await using socks = await startSocksServer();
    const through = await get(clientOf(url, { proxy: fixedProxyRule(socks.url) }));
    expect(through).toMatchObject({ fault: null, isProxied: true, body: 'hello' });
    expect(socks.targets).toHaveLength(1);
  });

  it('that is away, refuses or wants a login fails as proxy', async () => {
    const url = await https(hello);
    await using proxy = await startConnectProxy({ credentials: { username: 'u', password: 'p' } });
    const login = await get(clientOf(url, { proxy: fixedProxyRule(proxy.url) }));
    expect(login.fault).toMatchObject({ kind: 'proxy', message: expect.stringContaining('407') as string });
    const plainLogin = await get(clientOf(await http(hello), { proxy: fixedProxyRule(proxy.url) }));
    expect(plainLogin.fault?.kind).toBe('proxy');
    await proxy.close();
    expect((await get(clientOf(url, { proxy: fixedProxyRule(proxy.url) }))).fault?.kind).toBe('proxy');
  });
});

describe('a rule that must be worked out first', () => {
  it('is waited for no longer than the request may take, and its failure is the proxy’s', async () => {
    const url = await http(hello);
    const clock = new FakeClock();
    const hanging = get(clientOf(url, { proxy: () => new Promise(() => {}) }, { clock, timeoutMs: 30_000 }));
    await clock.advance(30_000);
    expect((await hanging).fault).toEqual({ kind: 'timeout', message: 'no outbound proxy within 30 s' });

    const failing = clientOf(url, { proxy: () => Promise.reject(new Error('the script is broken')) });
    expect((await get(failing)).fault).toMatchObject({ kind: 'proxy' });
  });
});

describe('a kept connection that the server closed', () => {
  it('is replaced without counting as a failure', async () => {
    const sockets: Socket[] = [];
    const server = createServer(hello);
    server.on('connection', (socket) => sockets.push(socket));
    let asked = 0;
    server.prependListener('request', (request) => {
      asked += 1;
      // The second request on the first connection meets a reset, as when it crosses the server's idle timeout.
      if (asked === 2) request.socket.resetAndDestroy();
    });
    const client = clientOf(`http://127.0.0.1:${await listen(server)}`);
    await get(client, false);
    const second = await get(client, false);

    expect(second).toMatchObject({ fault: null, body: 'hello', isReused: false });
    expect(sockets).toHaveLength(2);
  });
});
