import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { RequestEvents } from '../proxy/request-events.ts';
import { AccessLog } from './access-log.ts';
import { createApi } from './api.ts';
import { Exchange } from './exchange.ts';
import { testGate } from './test-gate.ts';

/** Address of a server with one endpoint, which tells how long the body was. */
async function serve(): Promise<string> {
  const { gate } = testGate();
  const api = createApi([
    {
      method: 'POST',
      name: 'hook',
      may: 'own',
      answer: ({ body }) => ({ status: 202, body: { is: body.length } }),
    },
  ]);
  const deps = {
    clock: systemClock,
    accessLog: new AccessLog('off', systemClock, async () => {}),
    requests: new EventBus<RequestEvents>(),
    version: '1',
    negativeMaxAgeS: () => 1,
    onUnexpected: () => {},
  };
  const server = createServer((request, response) => {
    const exchange = new Exchange(request, response, 'id', deps);
    api(exchange, 'hook', gate, new AbortController().signal).catch(() => response.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => new Promise<void>((done) => server.close(() => done())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('a body sent to the API', () => {
  it.each([
    [1024 * 1024, 202, '{"is":1048576}\n'],
    [1024 * 1024 + 1, 413, 'the body is larger than 1 MiB\n'],
    [20 * 1024 * 1024, 413, 'the body is larger than 1 MiB\n'],
  ])('of %d bytes is answered with %d, which reaches who sends it', async (bytes, status, text) => {
    const response = await fetch(await serve(), { method: 'POST', body: Buffer.alloc(bytes) });
    expect([response.status, await response.text()]).toEqual([status, text]);
  });
});
