import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConnectProxyOptions, startConnectProxy } from './connect-proxy.ts';
import { listenOn } from './tcp-server.ts';

async function proxyWith(options?: ConnectProxyOptions) {
  const proxy = await startConnectProxy(options);
  onTestFinished(proxy.close);
  return proxy;
}

async function target(): Promise<number> {
  const listening = await listenOn(createServer((asked, response) => response.end(`target ${asked.url}`)));
  onTestFinished(listening.close);
  return listening.port;
}

/** Sends the text and resolves to all that comes until the end. */
async function say(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(text);
  let got = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (got += chunk));
  await once(socket, 'close');
  return got;
}

describe('startConnectProxy', () => {
  it('tunnels', async () => {
    const proxy = await proxyWith({ ports: { 'a.example:80': await target() } });
    const asked = 'CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n';
    const inner = 'GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n';

    expect(await say(proxy.port, asked + inner)).toMatch(/^HTTP\/1\.1 200 [^]*target \/x/);
    expect(proxy.requests).toEqual([{ method: 'CONNECT', target: 'a.example:80', authorization: undefined }]);
  });

  it('forwards plain http', async () => {
    const proxy = await proxyWith({ ports: { 'a.example:80': await target() } });
    const sent = request({ port: proxy.port, path: 'http://a.example/y?z=1' }).end();
    const [answer] = await once(sent, 'response');

    expect(Buffer.concat(await answer.toArray()).toString()).toBe('target /y?z=1');
  });

  it('wants credentials', async () => {
    const proxy = await proxyWith({ credentials: { username: 'u', password: 'p' } });
    expect(await say(proxy.port, 'CONNECT a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 407 /,
    );
  });

  it('commits faults, until told otherwise', async () => {
    const proxy = await proxyWith({ fault: { kind: 'cut' } });
    const asked = 'CONNECT a.example:1 HTTP/1.1\r\nHost: a\r\n\r\n';
    expect(await say(proxy.port, asked)).toBe('');
    proxy.setFault({ kind: 'status', status: 503 });
    expect(await say(proxy.port, asked)).toMatch(/^HTTP\/1\.1 503 /);
    proxy.setFault({ kind: 'bytes', text: 'hm' });
    expect(await say(proxy.port, asked)).toBe('hm');
    proxy.setFault(undefined);
    expect(await say(proxy.port, asked)).toMatch(/^HTTP\/1\.1 502 /);
  });
});
