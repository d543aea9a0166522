import { linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Certificate, type TestAuthority, testAuthority } from '../../test/kit/tls.ts';
import { anonymous } from '../access/types.ts';
import { listen } from './server.ts';
import { get, limits, startServer, tlsTarget } from './test-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'modferry-server-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let authority: TestAuthority;
let other: TestAuthority;
let server: Certificate;
let client: Certificate;
beforeAll(async () => {
  [authority, other] = await Promise.all([testAuthority(folder), testAuthority(folder, 'other authority')]);
  [server, client] = await Promise.all([authority.issue(), authority.issue({ subject: '/OU=build/CN=ci' })]);
});

const plain = { host: '127.0.0.1', port: 0 };

function socketPath(): string {
  const dir = mkdtempSync(join(tmpdir(), 'modferry-sock-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 's.sock');
}

/** Resolves to what the server sent until it closed. */
function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let got = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      got += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(got));
  });
}

function handshake(
  url: string,
  options: ConnectionOptions,
): Promise<{ protocol: string | null; alpn: unknown }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: hostname, port: Number(port), ca: authority.cert, ...options }, () => {
      resolve({ protocol: socket.getProtocol(), alpn: socket.alpnProtocol });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('listening', () => {
  it('on plain HTTP, HTTPS and a Unix socket side by side, several of each', async () => {
    const path = socketPath();
    const { listening } = await startServer(
      plain,
      tlsTarget(server),
      { ...plain, socket: path },
      plain,
      tlsTarget(server),
    );
    expect(listening.urls.map((url) => url.replace(/\d+$/, 'PORT'))).toEqual([
      'http://127.0.0.1:PORT',
      'https://127.0.0.1:PORT',
      `unix:${path}`,
      'http://127.0.0.1:PORT',
      'https://127.0.0.1:PORT',
    ]);
    for (const url of listening.urls) {
      const isUnix = url.startsWith('unix:');
      const asked = isUnix
        ? await get('http://localhost/', { socketPath: path })
        : await get(url, { ca: authority.cert });
      expect(JSON.parse(asked.text)).toEqual({ address: isUnix ? '' : '127.0.0.1' });
    }
    expect(listening.certificates()).toHaveLength(1);
  });

  it('opens all or none', async () => {
    const path = socketPath();
    const taken = (await startServer(plain)).listening.addresses[0];
    const broken = listen(
      [
        { ...plain, socket: path },
        { host: '127.0.0.1', port: taken?.port ?? 0 },
      ],
      limits,
      () => {},
    );
    await expect(broken).rejects.toMatchObject({ code: 'in_use' });
    expect(() => statSync(path)).toThrow(/ENOENT/);
  });

  it('tells plain HTTP on the port of HTTPS what to do', async () => {
    const { listening } = await startServer(tlsTarget(server));
    const got = await exchange(listening.urls[0] ?? '', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(got).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(got).toMatch(/this port speaks HTTPS only: write https:\/\/ in GOPROXY\n$/);
  });

  it('tells what is wrong with a request that is none', async () => {
    const [url = ''] = (await startServer(plain)).listening.urls;
    expect(await exchange(url, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*not a valid HTTP request\n$/s);
    const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`;
    expect(await exchange(url, long)).toMatch(/^HTTP\/1\.1 431 .*the request headers are too large\n$/s);
  });

  it.each([
    '\u0000\u0001\u0002garbage\r\n\r\n',
    '\u0016\u0003\u0001\u0000\u0005hello',
    '\u0016\u0003\u0001\u00ff\u00ff',
  ])('bears what is no handshake: %j', async (text) => {
    const { listening } = await startServer(tlsTarget(server));
    const [url = ''] = listening.urls;
    const cut = exchange(url, text);
    expect((await get(url, { ca: authority.cert })).status).toBe(200);
    listening.destroy();
    expect(await cut).not.toContain('200');
  });

  it('gives a handshake its time and no more', async () => {
    const short = { ...limits, handshakeTimeoutMs: 100 };
    const listening = await listen([tlsTarget(server)], short, (_request, response) => response.end());
    onTestFinished(() => listening.destroy());
    const [url = ''] = listening.urls;
    const slow = await Promise.all([
      exchange(url, ''),
      exchange(url, '\u0016\u0003\u0001\u0002\u0000\u0001'),
    ]);
    expect(slow).toEqual(['', '']);
    expect((await get(url, { ca: authority.cert })).status).toBe(200);
  });

  it('cuts handshakes under way when it is destroyed, and drains without waiting for the idle', async () => {
    const { listening } = await startServer(tlsTarget(server));
    const [url = ''] = listening.urls;
    const silent = exchange(url, '');
    await get(url, { ca: authority.cert });
    const drained = listening.drain();
    listening.destroy();
    await drained;
    expect(await silent).toBe('');
    await expect(get(url, { ca: authority.cert })).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('TLS', () => {
  it('is 1.2 or more, and HTTP/1.1', async () => {
    const { listening } = await startServer(tlsTarget(server), tlsTarget(server, { minVersion: 'TLSv1.3' }));
    const [from12 = '', from13 = ''] = listening.urls;
    const old = { minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' };
    await expect(handshake(from12, { ...old, maxVersion: 'TLSv1.1' })).rejects.toThrow(
      /alert protocol version/,
    );
    await expect(handshake(from13, { ...old, maxVersion: 'TLSv1.2' })).rejects.toThrow(
      /alert protocol version/,
    );
    const alpn = { ALPNProtocols: ['h2', 'http/1.1'] };
    expect(await handshake(from12, { ...alpn, maxVersion: 'TLSv1.2' })).toEqual({
      protocol: 'TLSv1.2',
      alpn: 'http/1.1',
    });
    expect(await handshake(from13, alpn)).toEqual({ protocol: 'TLSv1.3', alpn: 'http/1.1' });
  });

  it.each([
    [
      'no such file',
      () => tlsTarget({ certFile: join(folder, 'none'), keyFile: server.keyFile }),
      /none cannot be read/,
    ],
    [
      'a key of another',
      () => tlsTarget({ certFile: server.certFile, keyFile: client.keyFile }),
      /does not belong to/,
    ],
    [
      'a key for a certificate',
      () => tlsTarget({ certFile: server.keyFile, keyFile: server.keyFile }),
      /holds no certificate/,
    ],
    [
      'a certificate for a key',
      () => tlsTarget({ certFile: server.certFile, keyFile: server.certFile }),
      /holds no private key/,
    ],
    ['no authority of clients', () => tlsTarget(server, { clientAuth: 'required' }), /need their authority/],
    [
      'a bad one',
      () => tlsTarget(server, { clientAuth: 'optional', clientCaFile: server.keyFile }),
      /holds no certificate/,
    ],
  ])('does not start with %s', async (_, target, message) => {
    const started = listen([plain, target()], limits, () => {});
    await expect(started).rejects.toMatchObject({
      code: 'bad_certificate',
      message: expect.stringMatching(message),
    });
  });

  it('does not start with an encrypted key', async () => {
    const { certFile, keyFile } = await authority.issue({ passphrase: 'x' });
    await expect(listen([tlsTarget({ certFile, keyFile })], limits, () => {})).rejects.toThrow(
      /is encrypted/,
    );
  });
});

describe('client certificates', () => {
  /** Who the server takes this client for; 'refused' when the connection fails. */
  async function whoIs(
    url: string,
    shown: Partial<Certificate>,
    options: ConnectionOptions = {},
  ): Promise<unknown> {
    try {
      const { text } = await get(url, { ca: authority.cert, cert: shown.cert, key: shown.key, ...options });
      return (
        (JSON.parse(text) as { certificate?: { commonName: string } }).certificate?.commonName ??
        anonymous.name
      );
    } catch {
      return 'refused';
    }
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('are asked for as configured: %s', async (maxVersion) => {
    const of = (clientAuth: 'none' | 'optional' | 'required') =>
      tlsTarget(server, { clientAuth, clientCaFile: authority.certFile });
    const { listening } = await startServer(of('none'), of('optional'), of('required'));
    const [wrong, expired, early] = await Promise.all([
      other.issue({ commonName: 'ci' }),
      authority.issue({
        commonName: 'ci',
        validFrom: new Date('2020-01-01'),
        validTo: new Date('2021-01-01'),
      }),
      authority.issue({
        commonName: 'ci',
        validFrom: new Date('2090-01-01'),
        validTo: new Date('2091-01-01'),
      }),
    ]);
    const all = (shown: Partial<Certificate>): Promise<unknown[]> =>
      Promise.all(listening.urls.map((url) => whoIs(url, shown, { maxVersion })));
    expect(await all(client)).toEqual(['anonymous', 'ci', 'ci']);
    expect(await all({})).toEqual(['anonymous', 'anonymous', 'refused']);
    for (const bad of [wrong, expired, early])
      expect(await all(bad)).toEqual(['anonymous', 'anonymous', 'refused']);
  });

  it('tell groups and fingerprint, once for a connection', async () => {
    const { listening } = await startServer(
      tlsTarget(server, { clientAuth: 'required', clientCaFile: authority.certFile }),
    );
    const { text } = await get(listening.urls[0] ?? '', {
      ca: authority.cert,
      cert: client.cert,
      key: client.key,
    });
    expect(JSON.parse(text)).toMatchObject({
      certificate: {
        commonName: 'ci',
        units: ['build'],
        fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    });
  });
});

describe('a Unix socket', () => {
  it('is for owner and group', async () => {
    const path = socketPath();
    await startServer({ ...plain, socket: path });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  it('takes the place of one that a dead process left', async () => {
    const path = socketPath();
    // As a killed process leaves it: a second name of the file outlives the server that removes the first.
    const dead = createServer().listen(`${path}.x`);
    await new Promise((resolve) => dead.once('listening', resolve));
    linkSync(`${path}.x`, path);
    await new Promise((resolve) => dead.close(resolve));
    expect(statSync(path).isSocket()).toBe(true);
    await startServer({ ...plain, socket: path });
    expect((await get('http://localhost/', { socketPath: path })).status).toBe(200);
  });

  it('leaves that of a living process alone', async () => {
    const path = socketPath();
    await startServer({ ...plain, socket: path });
    await expect(listen([{ ...plain, socket: path }], limits, () => {})).rejects.toMatchObject({
      code: 'in_use',
    });
    expect((await get('http://localhost/', { socketPath: path })).status).toBe(200);
  });

  it('removes nothing that is no socket', async () => {
    const path = socketPath();
    writeFileSync(`${path}.txt`, 'precious');
    symlinkSync(`${path}.txt`, path);
    for (const socket of [path, `${path}.txt`])
      await expect(listen([{ ...plain, socket }], limits, () => {})).rejects.toThrow(/is no socket/);
    await expect(listen([{ ...plain, socket: '/proc/none/s.sock' }], limits, () => {})).rejects.toMatchObject(
      {
        name: 'ListenError',
      },
    );
    await expect(listen([{ ...plain, socket: `/tmp/${'x'.repeat(120)}` }], limits, () => {})).rejects.toThrow(
      /longer than/,
    );
  });
});

describe('drain', () => {
  it.each(['plain', 'tls', 'unix'] as const)('lets an answer under way finish: %s', async (kind) => {
    const path = socketPath();
    const target = { plain, tls: tlsTarget(server), unix: { ...plain, socket: path } }[kind];
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const listening = await listen([target], limits, (_request, response) => {
      response.write('begin ');
      asked.resolve();
      void gate.promise.then(() => response.end('end'));
    });
    const url = kind === 'unix' ? 'http://localhost/' : (listening.urls[0] ?? '');
    const answer = get(url, { ca: authority.cert, ...(kind === 'unix' ? { socketPath: path } : {}) });
    await asked.promise;
    const drained = listening.drain();
    await expect(
      get(url, { ca: authority.cert, ...(kind === 'unix' ? { socketPath: path } : {}) }),
    ).rejects.toThrow();
    gate.resolve();
    expect(await answer).toEqual({ status: 200, text: 'begin end' });
    await drained;
  });
});
