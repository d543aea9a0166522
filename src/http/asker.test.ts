import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, createServer, Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askerOf, noteConnection } from './asker.ts';
import { get, startServer } from './test-tls.ts';

function requestWith(socket: Socket, rawHeaders: readonly string[]): IncomingMessage {
  return { socket, rawHeaders } as unknown as IncomingMessage;
}

describe('askerOf', () => {
  it('takes the first Authorization and every X-Forwarded-For, however they are spelled', async () => {
    const { listening } = await startServer({ host: '127.0.0.1', port: 0 });
    const headers = { AUTHORIZATION: 'Bearer x', 'X-fOrWaRdEd-For': ['10.0.0.1, 10.0.0.2', '10.0.0.3'] };
    const { text } = await get(listening.urls[0] ?? '', { headers });
    expect(JSON.parse(text)).toEqual({
      authorization: 'Bearer x',
      address: '127.0.0.1',
      forwardedFor: '10.0.0.1, 10.0.0.2, 10.0.0.3',
    });
    const twice = ['Authorization', 'Bearer a', 'authorization', 'Bearer b'];
    expect(askerOf(requestWith(new Socket(), twice)).authorization).toBe('Bearer a');
  });

  it('takes nobody who has gone for a client on a Unix socket', async () => {
    const gone = new Socket();
    expect(noteConnection(gone, false)).toBe(false);
    expect(askerOf(requestWith(gone, [])).address).toBe('unknown');
    const local = new Socket();
    expect(noteConnection(local, true)).toBe(true);
    expect(askerOf(requestWith(local, [])).address).toBe('');
  });

  it('remembers the address when the client has gone meanwhile', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const address = server.address();
    const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    expect(noteConnection(socket, false)).toBe(true);
    client.destroy();
    socket.destroy();
    await once(socket, 'close');
    expect(askerOf(requestWith(socket, [])).address).toBe('127.0.0.1');
  });

  it('costs less than a microsecond', () => {
    const socket = new Socket();
    noteConnection(socket, true);
    const usual = ['Host', 'localhost:8080', 'User-Agent', 'Go-http-client/1.1', 'Accept-Encoding', 'gzip'];
    const request = requestWith(socket, [...usual, 'Authorization', 'Basic dTpw']);
    const rounds = 100_000;
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const startedMs = performance.now();
      for (let index = 0; index < rounds; index += 1) askerOf(request);
      best = Math.min(best, ((performance.now() - startedMs) * 1_000) / rounds);
    }
    expect(best).toBeLessThan(1);
  });
});
