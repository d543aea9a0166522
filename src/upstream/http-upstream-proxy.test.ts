/** Outbound proxies as an upstream meets them: CONNECT, in the clear and in TLS, and SOCKS5, with each of their faults. */
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type ConnectProxy,
  type ConnectProxyOptions,
  startConnectProxy,
} from '../../test/kit/connect-proxy.ts';
import { type SocksServer, type SocksServerOptions, startSocksServer } from '../../test/kit/socks-server.ts';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../../test/kit/tls.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { PacError } from '../outbound/pac-answer.ts';
import { envProxyRule, fixedProxyRule } from '../outbound/proxy-rule.ts';
import { failure, TestServers, text } from './test-servers.ts';

let dir: TempDir;
let authority: TestAuthority;
let certificate: Certificate;
let caFile: string;
const servers = new TestServers();
beforeAll(async () => {
  dir = await tempDir('proxy');
  authority = await testAuthority(dir.path);
  certificate = await authority.issue({ names: ['localhost', '127.0.0.1', 'mirror.example'] });
  caFile = authority.certFile;
});
afterEach(() => servers.closeAll());
afterAll(() => dir.remove());

async function connectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const proxy = await startConnectProxy(options);
  servers.onClose(proxy.close);
  return proxy;
}

async function socksServer(options: SocksServerOptions = {}): Promise<SocksServer> {
  const server = await startSocksServer(options);
  servers.onClose(server.close);
  return server;
}

/** A TLS server that says who logged in, and the port of it. */
async function tlsTarget(): Promise<number> {
  const { cert, key } = certificate;
  return await servers.listen(
    createHttps({ cert, key }, (request, response) => {
      response.end(`tunnelled ${request.headers.authorization ?? 'nobody'}`);
    }),
  );
}

async function plainTarget(): Promise<number> {
  return await servers.listen(
    createHttp((request, response) => {
      const { host, 'proxy-authorization': secret } = request.headers;
      response.end(`${request.url} ${host} ${secret ?? 'no secret'}`);
    }),
  );
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
const credentials = { username: 'pu', password: 'p@p' };
const login = 'pu:p%40p@';

describe.each(['http', 'https'] as const)('an %s proxy', (scheme) => {
  async function proxyWith(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
    return await connectProxy(scheme === 'http' ? options : { tls: certificate, ...options });
  }

  it('tunnels https with its own credentials, and passes on those of the upstream', async () => {
    const port = await tlsTarget();
    const proxy = await proxyWith({ credentials, ports: { 'mirror.example:8443': port } });
    const rule = fixedProxyRule(proxy.url.replace('//', `//${login}`));
    const upstream = servers.upstreamAt('https://uu:up@mirror.example:8443', {
      caFile,
      proxy: rule,
      maxConcurrent: 1,
    });

    expect(await text(upstream)).toBe(`tunnelled ${basic('uu:up')}`);
    expect(proxy.requests).toEqual([
      { method: 'CONNECT', target: 'mirror.example:8443', authorization: basic('pu:p@p') },
    ]);
    // The tunnel is kept.
    await text(upstream);
    expect(proxy.requests).toHaveLength(1);
  });

  it('forwards plain http by the whole URL, and keeps its credentials to itself', async () => {
    const port = await plainTarget();
    const proxy = await proxyWith({ credentials, ports: { 'mirror.example:80': port } });
    const rule = fixedProxyRule(proxy.url.replace('//', `//${login}`));
    const upstream = servers.upstreamAt('http://mirror.example/go', { caFile, proxy: rule });

    expect(await text(upstream)).toBe('/go/m/@v/v1.0.0.zip mirror.example no secret');
    expect(proxy.requests[0]).toEqual({
      method: 'GET',
      target: 'http://mirror.example/go/m/@v/v1.0.0.zip',
      authorization: basic('pu:p@p'),
    });
  });

  it.each([
    ['https://a.example', 'wants credentials (407); write them into its address', ''],
    ['http://a.example', 'wants credentials (407); write them into its address', ''],
    ['https://a.example', 'does not accept these credentials (407)', 'pu:hunter2@'],
    ['http://a.example', 'does not accept these credentials (407)', 'pu:hunter2@'],
  ])('for %s is proxy_auth when it %s', async (url, expected, wrong) => {
    const proxy = await proxyWith({ credentials });
    const rule = fixedProxyRule(proxy.url.replace('//', `//${wrong}`));
    const error = await failure(text(servers.upstreamAt(url, { caFile, proxy: rule })));

    expect(error.code).toBe('proxy_auth');
    expect(error.message).toContain(`the outbound proxy ${proxy.url} ${expected}`);
    expect(error.message).not.toContain('hunter2');
  });

  it.each([
    [403, 'refused the tunnel to a.example:443: status 403'],
    [502, 'could not reach a.example:443: status 502'],
    [503, 'could not reach a.example:443: status 503'],
    [504, 'could not reach a.example:443: status 504'],
  ])('is proxy when it answers CONNECT with %i', async (status, expected) => {
    const proxy = await proxyWith({ fault: { kind: 'status', status } });
    const rule = fixedProxyRule(proxy.url.replace('//', '//u:hunter2@'));
    const error = await failure(text(servers.upstreamAt('https://a.example', { caFile, proxy: rule })));

    expect(error).toMatchObject({ code: 'proxy', message: `the outbound proxy ${proxy.url} ${expected}` });
  });

  it.each([
    ['closes instead of answering', { kind: 'cut' } as const, 'closed the connection before it answered'],
    ['speaks something else', { kind: 'bytes', text: 'SSH-2.0-x\r\n\r\n' } as const, 'does not speak HTTP'],
    [
      'sends a head without end',
      { kind: 'bytes', text: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}` } as const,
      'sent too long an answer',
    ],
  ])('is proxy when it %s', async (_what, fault, expected) => {
    const proxy = await proxyWith({ fault });
    const rule = fixedProxyRule(proxy.url);
    const error = await failure(text(servers.upstreamAt('https://a.example', { caFile, proxy: rule })));

    expect(error).toMatchObject({ code: 'proxy', message: `the outbound proxy ${proxy.url} ${expected}` });
  });

  it('is proxy when it does not answer in time', async () => {
    const clock = new FakeClock();
    const proxy = await proxyWith({ fault: { kind: 'hang' } });
    const rule = fixedProxyRule(proxy.url);
    const upstream = servers.upstreamAt('https://a.example', {
      caFile,
      proxy: rule,
      clock,
      connectTimeoutMs: 5000,
    });
    const failed = failure(text(upstream));
    await expect.poll(() => proxy.requests.length).toBe(1);
    await clock.advance(5000);

    expect(await failed).toMatchObject({
      code: 'proxy',
      message: `the outbound proxy ${proxy.url} did not answer within 5 s`,
    });
  });

  it.each(['https://a.example', 'http://a.example'])(
    'is proxy when nobody listens there, for %s',
    async (url) => {
      const proxy = await proxyWith();
      await proxy.close();
      const rule = fixedProxyRule(proxy.url);
      const error = await failure(text(servers.upstreamAt(url, { caFile, proxy: rule })));

      expect(error.code).toBe('proxy');
      expect(error.message).toBe(
        `the outbound proxy ${proxy.url} cannot be used: no connection (ECONNREFUSED)`,
      );
    },
  );

  it('tells a certificate fault of the target beyond it', async () => {
    const stranger = await testAuthority(dir.path);
    const { cert, key } = await stranger.issue({ names: ['a.example'] });
    const port = await servers.listen(createHttps({ cert, key }));
    const proxy = await proxyWith({ ports: { 'a.example:443': port } });
    const rule = fixedProxyRule(proxy.url);
    const error = await failure(text(servers.upstreamAt('https://a.example', { caFile, proxy: rule })));

    expect(error.code).toBe('tls');
    expect(error.message).toMatch(/unknown authority.*, through the outbound proxy https?:\/\/127/);
  });
});

describe('the way to a proxy', () => {
  it('is proxy when its name does not exist', async () => {
    const rule = fixedProxyRule('http://no-such-host.invalid:3128');
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error.code).toBe('proxy');
    expect(error.message).toContain('cannot be used: its name could not be resolved');
  });

  it('is proxy when its certificate is not trusted', async () => {
    const proxy = await connectProxy({ tls: certificate });
    const rule = fixedProxyRule(proxy.url);
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error.code).toBe('proxy');
    expect(error.message).toMatch(/cannot be used: TLS failed: .*unknown authority/);
  });

  it('follows the environment', async () => {
    const port = await plainTarget();
    const proxy = await connectProxy({ ports: { 'mirror.example:80': port } });
    const rule = envProxyRule({ HTTP_PROXY: `127.0.0.1:${proxy.port}`, NO_PROXY: '127.0.0.1' });

    await text(servers.upstreamAt('http://mirror.example', { proxy: rule }));
    expect(proxy.requests).toHaveLength(1);
    await text(servers.upstreamAt(`http://127.0.0.1:${port}`, { proxy: rule }));
    expect(proxy.requests).toHaveLength(1);
  });

  it('is proxy when a PAC script cannot say it, by the name of the script', async () => {
    const proxy = (): Promise<never> => Promise.reject(new PacError('the PAC script /x.pac failed: boo'));
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy })));

    expect(error).toMatchObject({ code: 'proxy', message: 'the PAC script /x.pac failed: boo' });
  });
});

describe('a SOCKS5 proxy', () => {
  it.each([
    ['mirror.example', 'name', 'mirror.example'],
    ['127.0.0.1', 'ipv4', '127.0.0.1'],
    ['[::1]', 'ipv6', '0:0:0:0:0:0:0:1'],
    ['[2001:db8::7:0:ff]', 'ipv6', '2001:db8:0:0:0:7:0:ff'],
  ])('is given %s as %s: it resolves names itself', async (host, kind, written) => {
    const port = await plainTarget();
    const server = await socksServer({ ports: { [`${written}:8080`]: port } });
    const rule = fixedProxyRule(server.url);

    expect(await text(servers.upstreamAt(`http://${host}:8080`, { proxy: rule }))).toContain('no secret');
    expect(server.targets).toEqual([{ kind, host: written, port: 8080 }]);
  });

  it.each(['socks5', 'socks5h'])('carries TLS as %s, with user and password', async (scheme) => {
    const port = await tlsTarget();
    const server = await socksServer({ credentials, ports: { 'mirror.example:443': port } });
    const rule = fixedProxyRule(`${scheme}://${login}127.0.0.1:${server.port}`);

    expect(await text(servers.upstreamAt('https://mirror.example', { caFile, proxy: rule }))).toBe(
      'tunnelled nobody',
    );
  });

  it.each([
    ['', 'wants credentials; write them into its address'],
    ['pu:hunter2@', 'does not accept these credentials'],
  ])('is proxy_auth for the login %j', async (given, expected) => {
    const server = await socksServer({ credentials });
    const rule = fixedProxyRule(server.url.replace('//', `//${given}`));
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error.code).toBe('proxy_auth');
    expect(error.message).toContain(`the outbound proxy ${server.url} ${expected}`);
    expect(error.message).not.toContain('hunter2');
  });

  it.each([
    [1, 'proxy', 'refused a.example:443: general failure (1)'],
    [2, 'proxy', 'refused a.example:443: not allowed by its rules (2)'],
    [3, 'connect', 'no connection: network unreachable (3), says the outbound proxy'],
    [4, 'connect', 'no connection: host unreachable (4), says the outbound proxy'],
    [5, 'connect', 'no connection: connection refused (5), says the outbound proxy'],
    [7, 'proxy', 'command not supported (7)'],
    [99, 'proxy', 'unknown reply (99)'],
  ])('answering %i is %s', async (code, expectedCode, expected) => {
    const server = await socksServer({ fault: { kind: 'reply', code } });
    const rule = fixedProxyRule(server.url);
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error.code).toBe(expectedCode);
    expect(error.message).toContain(expected);
    expect(error.message).toContain(server.url);
  });

  it.each(['greeting', 'login', 'connect'] as const)('is proxy when it is cut at the %s', async (at) => {
    const server = await socksServer({ credentials, fault: { kind: 'cut', at } });
    const rule = fixedProxyRule(server.url.replace('//', `//${login}`));
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error).toMatchObject({
      code: 'proxy',
      message: `the outbound proxy ${server.url} closed the connection before it answered`,
    });
  });

  it.each(['greeting', 'login', 'connect'] as const)('is proxy when it hangs at the %s', async (at) => {
    const server = await socksServer({ credentials, fault: { kind: 'hang', at } });
    const rule = fixedProxyRule(server.url.replace('//', `//${login}`));
    const upstream = servers.upstreamAt('https://a.example', { proxy: rule, connectTimeoutMs: 200 });

    expect(await failure(text(upstream))).toMatchObject({
      code: 'proxy',
      message: `the outbound proxy ${server.url} did not answer within 0.2 s`,
    });
  });

  it('is proxy when it speaks something else', async () => {
    const server = await socksServer({ fault: { kind: 'bytes', text: 'HTTP/1.1 400 Bad\r\n\r\n' } });
    const rule = fixedProxyRule(server.url);
    const error = await failure(text(servers.upstreamAt('https://a.example', { proxy: rule })));

    expect(error).toMatchObject({
      code: 'proxy',
      message: `the outbound proxy ${server.url} does not speak SOCKS5`,
    });
  });
});
