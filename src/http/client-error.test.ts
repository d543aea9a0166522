import { expect, it, onTestFinished } from 'vitest';
import { openRaw } from '../../test/kit/raw-http.ts';
import { listen } from './server.ts';

/** Answers half of every body and leaves the other half for later. */
async function port(): Promise<number> {
  const listening = await listen(
    [{ host: '127.0.0.1', port: 0 }],
    {
      maxConnections: 10,
      headersTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      keepAliveMs: 5_000,
      maxHeaderBytes: 16_384,
      idleMs: 60_000,
    },
    (request, response) => {
      request.on('error', () => {});
      response.writeHead(200, { 'content-length': 10 }).write('12345');
    },
  );
  onTestFinished(() => listening.destroy());
  return listening.addresses[0]?.port ?? 0;
}

it.each([
  ['garbage behind a request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', '\u0001 garbage\r\n\r\n'],
  ['a body that ends early', 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n', undefined],
])('puts no second answer into one that has begun: %s', async (_, request, more) => {
  const connection = await openRaw(await port());
  onTestFinished(connection.destroy);
  await connection.write(request);
  await connection.waitFor(/12345$/);

  if (more !== undefined) await connection.write(more);
  connection.end();
  await connection.ended;

  expect(
    connection
      .received()
      .toString()
      .match(/HTTP\/1\.1 /g),
  ).toHaveLength(1);
});

it('answers what is no request', async () => {
  const connection = await openRaw(await port());
  onTestFinished(connection.destroy);

  await connection.write('\u0001 garbage\r\n\r\n');

  await connection.waitFor(/^HTTP\/1\.1 400 Bad Request\r\n/);
});
