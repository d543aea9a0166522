import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type LookupFunction, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { TestServers } from '../upstream/test-servers.ts';
import { dial, exchange } from './connect-steps.ts';

const servers = new TestServers();
afterEach(() => servers.closeAll());

const noLookup: LookupFunction = () => {};

/** A port of 127.0.0.1 that answers no connection: its process never accepts, and what may wait there is full. */
async function deafPort(): Promise<number> {
  const script = `require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1}, function () {
    require('fs').writeSync(1, this.address().port + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  servers.onClose(() => child.kill('SIGKILL'));
  let port = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    port = Number(line);
    break;
  }
  for (let waiting = 0; waiting < 2; waiting += 1) {
    const socket = connect(port, '127.0.0.1');
    servers.onClose(() => socket.destroy());
    await once(socket, 'connect');
  }
  return port;
}

describe('dial', () => {
  async function failed(port: number, host = '127.0.0.1', lookup = noLookup): Promise<unknown> {
    const clock = new FakeClock();
    const dialled = dial({ host, port, lookup }, { timeoutMs: 5000, clock }, () => {});
    const failure = dialled.then(
      () => 'connected',
      (error: unknown) => error,
    );
    await clock.advance(5000);
    return await failure;
  }

  it('tells a connection that does not come about in time', async () => {
    expect(await failed(await deafPort())).toMatchObject({
      code: 'connect',
      message: 'no connection within 5 s',
    });
  });

  it('tells a name service that does not answer in time', async () => {
    expect(await failed(9, 'a.example')).toMatchObject({
      code: 'dns',
      message: 'its name was not resolved within 5 s',
    });
  });

  it('tells a name that does not exist', async () => {
    const lookup: LookupFunction = (_name, _options, callback) => {
      callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 4);
    };
    expect(await failed(9, 'a.example', lookup)).toMatchObject({
      code: 'dns',
      message: 'its name could not be resolved (ENOTFOUND)',
    });
  });
});

describe('exchange', () => {
  it('gives back what came behind the reply', async () => {
    const { port } = new URL(await servers.serveRaw('okrest'));
    const socket: Socket = connect(Number(port), '127.0.0.1');
    servers.onClose(() => socket.destroy());
    const reply = await exchange(
      socket,
      {
        send: 'hello',
        read: (received) => (received.length < 2 ? undefined : { reply: received.toString(), usedBytes: 2 }),
        maxBytes: 10,
      },
      { timeoutMs: 5000, clock: new FakeClock() },
    );

    expect(reply.startsWith('ok')).toBe(true);
    let rest = '';
    while (rest.length < 4) {
      const chunk: unknown = socket.read();
      if (chunk === null) await once(socket, 'readable');
      else rest += (chunk as Buffer).toString();
    }
    expect(rest).toBe('rest');
  });

  it('fails at once on a socket that closes', async () => {
    const server = createServer((socket) => socket.destroy());
    const socket = connect(await servers.listen(server), '127.0.0.1');
    socket.on('error', () => {});
    const asked = exchange(
      socket,
      { send: 'hello', read: () => undefined, maxBytes: 10 },
      { timeoutMs: 5000, clock: new FakeClock() },
    );

    await expect(asked).rejects.toMatchObject({ code: 'closed' });
  });
});
