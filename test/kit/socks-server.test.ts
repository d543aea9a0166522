import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type SocksServerOptions, startSocksServer } from './socks-server.ts';
import { listenOn } from './tcp-server.ts';

async function serverWith(options?: SocksServerOptions) {
  const server = await startSocksServer(options);
  onTestFinished(server.close);
  return server;
}

/** Sends all pieces and resolves to the bytes that come until the end. */
async function say(port: number, ...pieces: (readonly number[] | string)[]): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  for (const piece of pieces) socket.write(Buffer.from(piece as string));
  const got: Buffer[] = [];
  socket.on('data', (chunk) => got.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(got);
}

const name = 'a.example';
const connectTo = [5, 1, 0, 3, name.length, ...Buffer.from(name), 0, 80];

describe('startSocksServer', () => {
  it('joins to the target', async () => {
    const listening = await listenOn(createServer((_asked, response) => response.end('from the target')));
    onTestFinished(listening.close);
    const server = await serverWith({ ports: { 'a.example:80': listening.port } });
    const get = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const got = await say(server.port, [5, 1, 0], connectTo, get);

    expect([...got.subarray(0, 12)]).toEqual([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(got.toString()).toContain('from the target');
    expect(server.targets).toEqual([{ kind: 'name', host: name, port: 80 }]);
  });

  it('wants user and password', async () => {
    const server = await serverWith({ credentials: { username: 'u', password: 'p' } });
    expect([...(await say(server.port, [5, 1, 0]))]).toEqual([5, 0xff]);
    const login = [1, 1, 117, 1];
    expect([...(await say(server.port, [5, 2, 0, 2], [...login, 120]))]).toEqual([5, 2, 1, 1]);
    const right = await say(server.port, [5, 2, 0, 2], [...login, 112], [...connectTo.slice(0, -1), 0]);
    expect([...right.subarray(0, 6)]).toEqual([5, 2, 1, 0, 5, 5]);
  });

  it('commits faults', async () => {
    const refusing = await serverWith({ fault: { kind: 'reply', code: 2 } });
    expect([...(await say(refusing.port, [5, 1, 0], connectTo)).subarray(2, 4)]).toEqual([5, 2]);
    const cutting = await serverWith({ fault: { kind: 'cut', at: 'greeting' } });
    expect((await say(cutting.port, [5, 1, 0])).length).toBe(0);
    const other = await serverWith({ fault: { kind: 'bytes', text: 'hm' } });
    expect((await say(other.port, [5, 1, 0])).toString()).toBe('hm');
  });
});
