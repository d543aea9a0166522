/** Bodies that nobody reads, or not to their end: through the real server, which must live on. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { RequestEvents } from '../proxy/request-events.ts';
import { AccessLog } from './access-log.ts';
import { createApi } from './api.ts';
import { Exchange } from './exchange.ts';
import { listen } from './server.ts';
import { testGate } from './test-gate.ts';
import { limits } from './test-tls.ts';

async function serve(handler: RequestListener) {
  const clock = new FakeClock();
  const listening = await listen([{ host: '127.0.0.1', port: 0 }], limits, handler, { clock });
  onTestFinished(async () => {
    const drained = listening.drain();
    listening.destroy();
    await drained;
  });
  return { clock, url: listening.urls[0] ?? '' };
}

/** The API with one endpoint, which tells how long the body was. */
function api(): RequestListener {
  const { gate } = testGate();
  const clock = new FakeClock();
  const answer = createApi([
    {
      method: 'POST',
      name: 'login',
      may: 'own',
      answer: ({ body }) => ({ status: 202, body: { is: body.length } }),
    },
  ]);
  const deps = {
    clock,
    accessLog: new AccessLog('off', clock, async () => {}),
    requests: new EventBus<RequestEvents>(),
    version: '1',
    negativeMaxAgeS: () => 1,
    onUnexpected: () => {},
  };
  return (request, response) => {
    const exchange = new Exchange(request, response, 'id', deps);
    answer(exchange, 'login', gate, new AbortController().signal).catch(() => response.destroy());
  };
}

/** Sends the head of a POST of so many bytes, and the first of them; resolves when they are on their way. */
async function begin(url: string, sizeBytes: number, sentBytes: number): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(`POST /-/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: ${sizeBytes}\r\n\r\n`);
  await new Promise((resolve) => socket.write(Buffer.alloc(sentBytes), resolve));
  return socket;
}

async function isAlive(url: string): Promise<boolean> {
  const response = await fetch(`${url}/`, { method: 'POST', body: 'abc' });
  return (await response.text()).length > 0;
}

describe('a server', () => {
  it('answers bodies that are too large, and lives on', async () => {
    const { url } = await serve(api());
    for (const bytes of [1024 * 1024 + 1, 8 * 1024 * 1024]) {
      const response = await fetch(`${url}/`, { method: 'POST', body: Buffer.alloc(bytes) });
      expect([response.status, await response.text()]).toEqual([413, 'the body is larger than 1 MiB\n']);
    }
    expect(await isAlive(url)).toBe(true);
  });

  it('outlives clients that go away in the middle of a body', async () => {
    const { url, clock } = await serve(api());
    for (const sentBytes of [0, 100, 3 * 1024 * 1024]) {
      const socket = await begin(url, 4 * 1024 * 1024, sentBytes);
      socket.destroy();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect(await isAlive(url)).toBe(true);
    await clock.advance(60_000);
    expect(await isAlive(url)).toBe(true);
  });

  it('outlives a request that is given up before its answer', async () => {
    let hasSocket = true;
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      for await (const chunk of request) {
        // An iteration that ends early takes the request's socket away, whatever its type says.
        if ((chunk as Buffer).length > 3) break;
      }
      hasSocket = (request.socket as Socket | null) !== null;
      response.end('ok\n');
    };
    const { url, clock } = await serve((request, response) => void answer(request, response));
    const socket = await begin(url, 4 * 1024 * 1024, 1024 * 1024);
    await new Promise((resolve) => socket.once('data', resolve));
    expect(hasSocket).toBe(false);
    await clock.advance(60_000);
    expect(await isAlive(url)).toBe(true);
  });
});
