/**
 * Corporate networks from outside: a real modferry whose only way out is a proxy, and upstreams that want a client
 * certificate. Whole modules come through each way; what cannot work says so.
 */

import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConnectProxy, type ConnectProxyOptions, startConnectProxy } from '../kit/connect-proxy.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { type SocksServer, type SocksServerOptions, startSocksServer } from '../kit/socks-server.ts';
import { listenOn } from '../kit/tcp-server.ts';
import { type Certificate, testAuthority } from '../kit/tls.ts';
import { ask, folder, modferry, runModferry, upstream } from './support.ts';

const one = fakeModule({ path: 'example.com/one', paddingBytes: 300_000 });
const two = fakeModule({ path: 'example.com/two' });

async function connectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const proxy = await startConnectProxy(options);
  onTestFinished(proxy.close);
  return proxy;
}

async function socksServer(options: SocksServerOptions = {}): Promise<SocksServer> {
  const server = await startSocksServer(options);
  onTestFinished(server.close);
  return server;
}

async function fileWith(name: string, text: string): Promise<string> {
  const file = join((await folder('outbound')).path, name);
  await writeFile(file, text);
  return file;
}

/** A TLS server before a plain one. Resolves to its port. */
async function tlsBefore(port: number, certificate: Certificate, clientCa?: string): Promise<number> {
  const { cert, key } = certificate;
  const wanted = clientCa === undefined ? {} : { requestCert: true, rejectUnauthorized: true, ca: clientCa };
  const server = createTlsServer({ cert, key, ...wanted }, (asked, response) => {
    const onward = request({ port, path: asked.url, headers: asked.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end();
  });
  server.on('tlsClientError', () => {});
  const listening = await listenOn(server);
  onTestFinished(listening.close);
  return listening.port;
}

/** .info, .mod and .zip, byte for byte. */
async function expectModule(base: string, module: typeof one): Promise<void> {
  for (const ext of ['info', 'mod', 'zip'] as const) {
    const answer = await ask(base, `/${module.path}/@v/${module.version}.${ext}`);
    expect([ext, answer.status, answer.status === 200 ? '' : answer.text]).toEqual([ext, 200, '']);
    if (ext !== 'info') expect(answer.body.equals(module[ext])).toBe(true);
  }
}

/** The text of the failure of one .info. */
async function failureText(base: string, module = one): Promise<string> {
  const answer = await ask(base, `/${module.path}/@v/${module.version}.info`);
  expect(answer.status).toBe(502);
  return answer.text;
}

describe('modules come', () => {
  it('through CONNECT to an upstream with an authority of its own', async () => {
    const server = await upstream({ modules: [one] });
    const authority = await testAuthority((await folder('outbound')).path);
    const port = await tlsBefore(server.port, await authority.issue({ names: ['mirror.example'] }));
    const proxy = await connectProxy({
      credentials: { username: 'me', password: 'hunter2' },
      ports: { 'mirror.example:443': port },
    });
    const entry = {
      url: 'https://mirror.example',
      proxy: proxy.url.replace('//', '//me:hunter2@'),
      ca_file: authority.certFile,
    };
    const ferry = await modferry({ config: { upstreams: [entry] } });

    await expectModule(ferry.url, one);
    expect(new Set(proxy.requests.map(({ target }) => target))).toEqual(new Set(['mirror.example:443']));
    expect(ferry.stdout() + ferry.stderr()).not.toContain('hunter2');
  });

  it('through SOCKS5, which resolves the name', async () => {
    const server = await upstream({ modules: [one] });
    const socks = await socksServer({
      credentials: { username: 'me', password: 'hunter2' },
      ports: { 'mirror.example:80': server.port },
    });
    const entry = { url: 'http://mirror.example', proxy: socks.url.replace('//', '//me:hunter2@') };
    const ferry = await modferry({ config: { upstreams: [entry] } });

    await expectModule(ferry.url, one);
    expect(socks.targets[0]).toEqual({ kind: 'name', host: 'mirror.example', port: 80 });
  });

  it('through the proxy of the environment, SOCKS too', async () => {
    const server = await upstream({ modules: [one] });
    const socks = await socksServer({ ports: { 'mirror.example:80': server.port } });
    const ferry = await modferry({
      upstreams: ['http://mirror.example'],
      env: { HTTP_PROXY: `socks5h://127.0.0.1:${socks.port}` },
    });

    await expectModule(ferry.url, one);
    expect(socks.targets.length).toBeGreaterThan(0);
  });

  it('as a PAC file says: one host by proxy, the other directly', async () => {
    const first = await upstream({ modules: [one] });
    const second = await upstream({ modules: [two] });
    const gone = await connectProxy();
    await gone.close();
    const proxy = await connectProxy({ ports: { 'mirror.example:80': first.port } });
    const pac = await fileWith(
      'proxy.pac',
      `function FindProxyForURL(url, host) {
         if (dnsDomainIs(host, ".example")) return "PROXY 127.0.0.1:${gone.port}; PROXY 127.0.0.1:${proxy.port}";
         return "DIRECT";
       }`,
    );
    const entries = [{ url: 'http://mirror.example' }, { url: second.url, proxy: 'pac' }];
    const ferry = await modferry({ config: { network: { pac }, upstreams: entries } });

    await expectModule(ferry.url, one);
    await expectModule(ferry.url, two);
    expect(proxy.requests.every(({ target }) => target.startsWith('http://mirror.example/'))).toBe(true);
    expect(second.requests.length).toBeGreaterThan(0);
  });

  it('as a PAC script from a server says', async () => {
    const server = await upstream({ modules: [one] });
    const socks = await socksServer({ ports: { 'mirror.example:80': server.port } });
    const script = `function FindProxyForURL() { return "SOCKS5 127.0.0.1:${socks.port}"; }`;
    const wpad = await listenOn(createServer((_asked, response) => response.end(script)));
    onTestFinished(wpad.close);
    const entry = { url: 'http://mirror.example', proxy: `pac:http://127.0.0.1:${wpad.port}/wpad.dat` };
    const ferry = await modferry({ config: { upstreams: [entry] } });

    await expectModule(ferry.url, one);
  });

  it('from an upstream that wants a client certificate', async () => {
    const server = await upstream({ modules: [one] });
    const authority = await testAuthority((await folder('outbound')).path);
    const client = await authority.issue({ commonName: 'modferry' });
    const port = await tlsBefore(server.port, await authority.issue(), authority.cert);
    const entry = {
      url: `https://localhost:${port}`,
      ca_file: authority.certFile,
      client_cert: client.certFile,
      client_key: client.keyFile,
    };
    const ferry = await modferry({ config: { upstreams: [entry] } });

    await expectModule(ferry.url, one);
  });
});

describe('what cannot work', () => {
  it.each([
    ['loops', 'function FindProxyForURL() { while (true) {} }', 'ran longer than 1 s and was stopped'],
    ['is a page', '<!doctype html><title>Log in</title>', 'is a page, not a PAC script'],
    ['is not there', undefined, 'cannot be read'],
  ])('is a PAC script that %s: the answer names it, and others go on', async (_what, script, expected) => {
    const server = await upstream({ modules: [two] });
    const pac = script === undefined ? '/no/such/proxy.pac' : await fileWith('proxy.pac', script);
    const entries = [{ url: 'http://mirror.example', proxy: `pac:${pac}`, probe: 'off' }];
    const ferry = await modferry({ config: { upstreams: entries } });
    const text = await failureText(ferry.url);
    expect(text).toContain(pac);
    expect(text).toContain(expected);

    const beside = await modferry({ config: { upstreams: [...entries, server.url] } });
    await expectModule(beside.url, two);
  });

  it('is a proxy that wants other credentials: the answer says so without them', async () => {
    const proxy = await connectProxy({ credentials: { username: 'me', password: 'right' } });
    const entry = {
      url: 'https://mirror.example',
      proxy: proxy.url.replace('//', '//me:hunter2@'),
      probe: 'off',
    };
    const ferry = await modferry({ config: { upstreams: [entry] } });
    const text = await failureText(ferry.url);

    expect(text).toContain('does not accept these credentials (407)');
    expect(text + ferry.stdout() + ferry.stderr()).not.toContain('hunter2');
  });

  it('is a proxy address that is none', async () => {
    const config = await fileWith(
      'modferry.yaml',
      'upstreams:\n  - { url: https://a.example, proxy: "socks9://x" }\n',
    );
    const result = await runModferry(['config', 'check', config]);

    expect(result.code).not.toBe(0);
    expect(result.stdout + result.stderr).toContain('upstreams[0].proxy: "socks9://x" is not the address of');
  });

  it('is a client key that does not fit: the start says so', async () => {
    const dir = await folder('outbound');
    const authority = await testAuthority(dir.path);
    const [client, other] = [await authority.issue(), await authority.issue()];
    const entry = `{ url: https://a.example, client_cert: ${client.certFile}, client_key: ${other.keyFile} }`;
    const config = await fileWith('modferry.yaml', `upstreams:\n  - ${entry}\n`);
    const data = join(dir.path, 'data');
    const args = ['serve', '--listen', '127.0.0.1:0', '--data', data, '--config', config];
    const result = await runModferry(args);

    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('does not belong to the certificate');
  });
});
