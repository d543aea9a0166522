/**
 * TLS and outbound proxies, with a real TLS server and a real CONNECT proxy. The certificate is its own authority,
 * is good for localhost and 127.0.0.1 until 2124, and protects nothing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { proxyRule } from '../outbound/proxy-rule.ts';
import { failure, TestServers, text } from './test-servers.ts';

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6pjf1P0zvQHmhQYK
WgDmZu5HNk3h8QwFs+Z1r6Hbfl+hRANCAASRjJvxCO29I1LIX9sZI1UkTRfy6nw2
NnWppZr50ofzWW+Xpkp3JBlbEwbH0NsvpV7XrLrSLj6Pi+Cu/FaSJnRT
-----END PRIVATE KEY-----
`;
const certificate = `-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1tb2RmZXJy
eSB0ZXN0MCAXDTI0MDEwMTAwMDAwMFoYDzIxMjQwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1tb2RmZXJyeSB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkYyb
8QjtvSNSyF/bGSNVJE0X8up8NjZ1qaWa+dKH81lvl6ZKdyQZWxMGx9DbL6Ve16y6
0i4+j4vgrvxWkiZ0U6NOMEwwDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARggls
b2NhbGhvc3SHBH8AAAEwHQYDVR0OBBYEFHTM9uhDoCELcDTZ8/weig7EkRRoMAoG
CCqGSM49BAMCA0gAMEUCICz0abvr23/+PkP6pYUQPx6z0at67V683GGLy6yMFSzU
AiEAumCeJ89QSssNdB8/DSauQbsqTLxnXwjQkUcjI2RkWqM=
-----END CERTIFICATE-----
`;

let folder: string;
let caFile: string;
const servers = new TestServers();
afterEach(() => servers.closeAll());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modferry-tls-'));
  caFile = join(folder, 'ca.pem');
  await writeFile(caFile, certificate);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});
async function tlsServer(listener: RequestListener): Promise<string> {
  const port = await servers.listen(createHttps({ key, cert: certificate }, listener));
  return `https://127.0.0.1:${port}`;
}

interface ConnectProxy {
  readonly port: number;
  readonly asked: { what: string; authorization: string | undefined }[];
}

/** Tunnels CONNECT to `to`, whatever name is asked for, and answers plain requests itself. */
async function connectProxy(options: {
  to?: number;
  status?: number;
  isSilent?: boolean;
}): Promise<ConnectProxy> {
  const asked: ConnectProxy['asked'] = [];
  const server = createHttp((request, response) => {
    asked.push({ what: request.url ?? '', authorization: request.headers['proxy-authorization'] });
    response.statusCode = options.status ?? 200;
    response.end('from the proxy');
  });
  server.on('connect', (request, socket) => {
    asked.push({ what: request.url ?? '', authorization: request.headers['proxy-authorization'] });
    socket.on('error', () => {});
    if (options.isSilent === true) return;
    if (options.to === undefined) {
      socket.end(`HTTP/1.1 ${options.status ?? 403} No\r\n\r\n`);
      return;
    }
    const onward = connect(options.to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => {});
  });
  return { port: await servers.listen(server), asked };
}

describe('TLS', () => {
  it('refuses a certificate that nobody vouches for, as tls', async () => {
    const url = await tlsServer((_request, response) => response.end('hello'));
    expect((await failure(text(servers.upstreamAt(url)))).code).toBe('tls');
  });

  it('trusts the authorities of the extra file', async () => {
    const url = await tlsServer((_request, response) => response.end('hello'));
    expect(await text(servers.upstreamAt(url, { caFile }))).toBe('hello');
  });

  it('still refuses a certificate for another name', async () => {
    const port = new URL(await tlsServer((_request, response) => response.end('hello'))).port;
    const proxy = await connectProxy({ to: Number(port) });
    const rule = proxyRule(`http://127.0.0.1:${proxy.port}`, {});
    const error = await failure(text(servers.upstreamAt('https://other.example', { caFile, proxy: rule })));
    expect(error.code).toBe('tls');
    expect(proxy.asked[0]?.what).toBe('other.example:443');
  });

  it('calls a plain server behind https a TLS fault', async () => {
    const port = await servers.listen(createHttp((_request, response) => response.end('plain')));
    expect((await failure(text(servers.upstreamAt(`https://127.0.0.1:${port}`)))).code).toBe('tls');
  });

  it('refuses a redirect from https to plain http', async () => {
    const plain = await servers.listen(createHttp((_request, response) => response.end('plain')));
    const url = await tlsServer((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${plain}/` }).end();
    });
    expect((await failure(text(servers.upstreamAt(url, { caFile })))).code).toBe('redirect');
  });

  it.each(['no-such-file.pem', 'empty.pem'])('says at once what is wrong with the file %s', async (name) => {
    await writeFile(join(folder, 'empty.pem'), '');
    expect(() => servers.upstreamAt('https://a.example', { caFile: join(folder, name) })).toThrow(
      expect.objectContaining({ code: 'ca_file' }),
    );
  });
});

describe('outbound proxies', () => {
  it('tunnels https through the proxy with its credentials and none of the upstream', async () => {
    let authorization: string | undefined;
    const port = new URL(
      await tlsServer((request, response) => {
        authorization = request.headers.authorization;
        response.end('tunnelled');
      }),
    ).port;
    const proxy = await connectProxy({ to: Number(port) });
    const rule = proxyRule(`http://pu:pp@127.0.0.1:${proxy.port}`, {});

    expect(await text(servers.upstreamAt('https://uu:up@localhost:8443', { caFile, proxy: rule }))).toBe(
      'tunnelled',
    );

    expect(proxy.asked).toEqual([
      { what: 'localhost:8443', authorization: `Basic ${Buffer.from('pu:pp').toString('base64')}` },
    ]);
    expect(authorization).toBe(`Basic ${Buffer.from('uu:up').toString('base64')}`);
  });

  it('sends plain http through the proxy with the whole URL', async () => {
    const proxy = await connectProxy({});
    const rule = proxyRule('env', { HTTP_PROXY: `127.0.0.1:${proxy.port}` });
    expect(await text(servers.upstreamAt('http://mirror.example/go', { proxy: rule }))).toBe(
      'from the proxy',
    );
    expect(proxy.asked[0]?.what).toBe('http://mirror.example/go/m/@v/v1.0.0.zip');
  });

  it.each([
    ['refuses the tunnel', 'https://a.example', 403],
    ['wants credentials for a tunnel', 'https://a.example', 407],
    ['wants credentials', 'http://a.example', 407],
  ])('blames the proxy when it %s, without its password', async (_what, url, status) => {
    const proxy = await connectProxy({ status });
    const rule = proxyRule(`http://u:hunter2@127.0.0.1:${proxy.port}`, {});
    const error = await failure(text(servers.upstreamAt(url, { proxy: rule })));
    expect(error.code).toBe('proxy');
    expect(error.message).toContain(`127.0.0.1:${proxy.port}`);
    expect(error.message).not.toContain('hunter2');
  });

  it('blames the proxy when nobody listens there', async () => {
    const server = createHttp();
    const port = await servers.listen(server);
    server.close();
    const proxy = proxyRule(`http://127.0.0.1:${port}`, {});
    expect((await failure(text(servers.upstreamAt('https://a.example', { proxy })))).code).toBe('proxy');
  });

  it('does not wait for ever for a proxy that never answers CONNECT', async () => {
    const silent = await connectProxy({ isSilent: true });
    const proxy = proxyRule(`http://127.0.0.1:${silent.port}`, {});
    const error = await failure(
      text(servers.upstreamAt('https://a.example', { proxy, connectTimeoutMs: 200 })),
    );
    expect(error.code).toBe('timeout');
  });
});
