/** TLS as an upstream meets it: real servers, certificates made for the test, and what each fault is called. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createServer as createTls, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../../test/kit/tls.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { failure, TestServers, text } from './test-servers.ts';

let dir: TempDir;
let authority: TestAuthority;
let stranger: TestAuthority;
let good: Certificate;
let client: Certificate;
let caFile: string;
const servers = new TestServers();
beforeAll(async () => {
  dir = await tempDir('tls');
  authority = await testAuthority(dir.path);
  stranger = await testAuthority(dir.path, 'stranger');
  good = await authority.issue();
  client = await authority.issue({ commonName: 'client' });
  caFile = authority.certFile;
});
afterEach(() => servers.closeAll());
afterAll(() => dir.remove());

/** Says `hello`, or the name in the client's certificate. */
async function tlsServer(certificate: Certificate, options: TlsOptions = {}): Promise<string> {
  const { cert, key } = certificate;
  const server = createHttps({ cert, key, ...options }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    response.end(peer.subject?.CN ?? 'hello');
  });
  server.on('tlsClientError', () => {});
  return `https://127.0.0.1:${await servers.listen(server)}`;
}

describe('TLS', () => {
  it('trusts the authorities of the extra file, and only those', async () => {
    const url = await tlsServer(good);

    expect(await text(servers.upstreamAt(url, { caFile }))).toBe('hello');
    const error = await failure(text(servers.upstreamAt(url, { caFile: stranger.certFile })));
    expect(error).toMatchObject({ code: 'tls' });
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    ['nobody knows', () => tlsServer(good), /signed by an unknown authority; .*ca_file/],
    ['is its own authority', () => tlsServer(stranger), /is self-signed; .*ca_file/],
    [
      'has expired',
      async () =>
        tlsServer(await authority.issue({ validTo: new Date('2021-01-01'), validFrom: new Date(0) })),
      /has expired/,
    ],
    [
      'is not valid yet',
      async () =>
        tlsServer(
          await authority.issue({
            validFrom: new Date(Date.now() + 3_600_000),
            validTo: new Date(Date.now() + 7_200_000),
          }),
        ),
      /not valid yet; is this clock right/,
    ],
    [
      'is for another name',
      async () => tlsServer(await authority.issue({ names: ['other.example'] })),
      /is for another name: .*127\.0\.0\.1/,
    ],
  ])('tells a certificate that %s', async (what, serve, expected) => {
    const url = await serve();
    const trusted = what === 'nobody knows' || what === 'is its own authority' ? {} : { caFile };
    const error = await failure(text(servers.upstreamAt(url, trusted)));

    expect(error.code).toBe('tls');
    expect(error.message).toMatch(expected);
  });

  it('tells a plain server', async () => {
    const port = await servers.listen(createHttp((_request, response) => response.end('plain')));
    const error = await failure(text(servers.upstreamAt(`https://127.0.0.1:${port}`)));
    expect(error).toMatchObject({
      code: 'tls',
      message: expect.stringContaining('does not speak TLS on this port'),
    });
  });

  it('tells a server that knows only old versions', async () => {
    const ciphers = 'DEFAULT@SECLEVEL=0';
    const url = await tlsServer(good, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers });
    const error = await failure(text(servers.upstreamAt(url, { caFile })));
    expect(error.code).toBe('tls');
    expect(error.message).toMatch(/version/i);
  });

  it.each<[string, (socket: { destroy(): void; resetAndDestroy(): void }) => void]>([
    ['closed', (socket) => socket.destroy()],
    ['reset', (socket) => socket.resetAndDestroy()],
  ])('tells a handshake that is %s', async (_what, end) => {
    const url = await servers.serveTcp((socket) => {
      socket.once('data', () => end(socket));
    });
    const error = await failure(text(servers.upstreamAt(url.replace('http:', 'https:'))));
    expect(error).toMatchObject({ code: 'tls', message: expect.stringMatching(/closed/) });
  });

  it('tells a handshake that takes too long from a slow connection', async () => {
    const clock = new FakeClock();
    const connected = Promise.withResolvers<void>();
    const url = await servers.serveTcp((socket) => {
      socket.once('data', () => connected.resolve());
    });
    const upstream = servers.upstreamAt(url.replace('http:', 'https:'), { clock, connectTimeoutMs: 5000 });
    const failed = failure(text(upstream));
    await connected.promise;
    await clock.advance(5000);

    expect(await failed).toMatchObject({ code: 'tls', message: 'TLS failed: no handshake within 5 s' });
  });

  it('takes up a session again on a later connection', async () => {
    const resumed: boolean[] = [];
    const server = createTls({ cert: good.cert, key: good.key }, (socket) => {
      resumed.push(socket.isSessionReused());
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
      });
    });
    const url = `https://127.0.0.1:${await servers.listen(server)}`;
    const upstream = servers.upstreamAt(url, { caFile });
    await text(upstream);
    await text(upstream);

    expect(resumed).toEqual([false, true]);
  });

  it('refuses a redirect from https to plain http', async () => {
    const plain = await servers.listen(createHttp((_request, response) => response.end('plain')));
    const server = createHttps({ cert: good.cert, key: good.key }, (_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${plain}/` }).end();
    });
    const url = `https://127.0.0.1:${await servers.listen(server)}`;
    expect((await failure(text(servers.upstreamAt(url, { caFile })))).code).toBe('redirect');
  });

  it.each(['no-such-file.pem', 'empty.pem'])('says at once what is wrong with the file %s', async (name) => {
    await writeFile(join(dir.path, 'empty.pem'), '');
    expect(() => servers.upstreamAt('https://a.example', { caFile: join(dir.path, name) })).toThrow(
      expect.objectContaining({ code: 'ca_file' }),
    );
  });
});

/** By openssl, which says over TLS why it refuses a certificate; Node only hangs up. */
async function strictServer(): Promise<string> {
  const files = ['-cert', good.certFile, '-key', good.keyFile, '-CAfile', authority.certFile];
  const checks = ['-Verify', '1', '-verify_return_error', '-www'];
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', ...files, ...checks], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  servers.onClose(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^ACCEPT .*:(\d+)$/.exec(line)?.[1];
    if (port !== undefined) return `https://127.0.0.1:${port}`;
  }
  throw new Error('openssl did not listen');
}

describe('client certificates', () => {
  const wanted = (): TlsOptions => ({ requestCert: true, rejectUnauthorized: true, ca: authority.cert });

  it('are shown to a server that wants one', async () => {
    const url = await tlsServer(good, wanted());
    const upstream = servers.upstreamAt(url, { caFile, clientCertificate: client });

    expect(await text(upstream)).toBe('client');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('are missed by a server over %s', async (version) => {
    const url = await tlsServer(good, { ...wanted(), minVersion: version, maxVersion: version });
    const error = await failure(text(servers.upstreamAt(url, { caFile })));

    expect(error.code).toBe('tls');
    if (version === 'TLSv1.3') expect(error.message).toContain('wants a client certificate');
  });

  it('are refused when the server does not know their authority', async () => {
    const url = await strictServer();
    const clientCertificate = await stranger.issue();
    const error = await failure(text(servers.upstreamAt(url, { caFile, clientCertificate })));

    expect(error).toMatchObject({
      code: 'tls',
      message: expect.stringMatching(/does not know the authority of our client certificate/),
    });
  });

  it('are not shown to servers that it redirects to', async () => {
    const other = await tlsServer(good, { requestCert: true, rejectUnauthorized: false });
    const server = createHttps({ cert: good.cert, key: good.key, ...wanted() }, (_request, response) =>
      response.writeHead(302, { location: `${other}/x` }).end(),
    );
    const url = `https://127.0.0.1:${await servers.listen(server)}`;
    const upstream = servers.upstreamAt(url, { caFile, clientCertificate: client });

    expect(await text(upstream)).toBe('hello');
  });
});
