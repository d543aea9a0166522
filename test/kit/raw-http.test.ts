import { createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openRaw, rawPipeline, rawRequest } from './raw-http.ts';
import { headerValues } from './raw-response.ts';
import { KitTimeout } from './request-log.ts';

/** A TCP server that hands each connection to `talk`. */
async function server(talk: (socket: Socket) => void): Promise<number> {
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    talk(socket);
  });
  onTestFinished(() => void listener.close());
  await new Promise<void>((resolve) => void listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** Answers with fixed bytes as soon as anything comes, and then does as told. */
function saying(bytes: string, then: (socket: Socket) => void = () => {}): Promise<number> {
  return server((socket) => socket.once('data', () => void socket.write(bytes, () => then(socket))));
}

describe('rawRequest', () => {
  it('keeps the order and the duplicates of headers', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\nB: 1\r\na: 2\r\nB:  3 \r\nContent-Length: 2\r\n\r\nhi');
    const answer = await rawRequest(port, ['GET / HTTP/1.1', 'Host: x']);
    expect(answer.headers.slice(0, 3)).toEqual([
      ['B', '1'],
      ['a', '2'],
      ['B', '3'],
    ]);
    expect(headerValues(answer, 'b')).toEqual(['1', '3']);
    expect(answer).toMatchObject({ statusLine: 'HTTP/1.1 200 OK', status: 200, endedCleanly: true });
    expect(answer.body.toString()).toBe('hi');
  });

  it('sends lines with CRLF and an empty line, and bytes as they are', async () => {
    const got: string[] = [];
    const port = await server((socket) =>
      socket.once('data', (data) => {
        got.push(data.toString('latin1'));
        socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      }),
    );
    await rawRequest(port, ['GET / HTTP/1.1', 'Host: x']);
    await rawRequest(port, Buffer.from([0, 255, 10]));
    expect(got).toEqual(['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\u0000\u00ff\n']);
  });

  it('joins chunks and knows whether the last one came', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const whole = await rawRequest(await saying(`${head}2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: 1\r\n\r\n`), [
      'GET /',
    ]);
    const cut = await rawRequest(await saying(`${head}2\r\nab\r\n3\r\nc`, (socket) => socket.end()), [
      'GET /',
    ]);
    expect([whole.body.toString(), whole.endedCleanly]).toEqual(['abcde', true]);
    expect([cut.body.toString(), cut.endedCleanly, cut.ending]).toEqual(['abc', false, 'fin']);
  });

  it('without length or chunks takes FIN for the end, and RST for none', async () => {
    const text = 'HTTP/1.0 200 OK\r\n\r\nhello';
    const whole = await rawRequest(await saying(text, (socket) => socket.end()), ['GET /']);
    const waiting = await saying(text, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const client = await openRaw(waiting);
    await client.write('GET /\r\n\r\n');
    await client.waitFor(/hello/);
    await client.write('again');
    expect([whole.body.toString(), whole.endedCleanly]).toEqual(['hello', true]);
    await expect(client.ended).resolves.toBe('reset');
  });

  it('does not wait for the body of a HEAD answer', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n');
    const answer = await rawRequest(port, ['HEAD / HTTP/1.1', 'Host: x']);
    expect(answer).toMatchObject({ endedCleanly: true, body: Buffer.alloc(0) });
  });

  it('rejects with what came when no whole answer comes in time', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart');
    const failure: unknown = await rawRequest(port, ['GET /'], { timeoutMs: 100 }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(KitTimeout);
    expect(String(failure)).toContain('part');
  });
});

describe('rawPipeline', () => {
  it('tells the answers on one connection apart', async () => {
    const port = await saying(
      'HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    const answers = await rawPipeline(port, 'GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n', {
      responses: 2,
    });
    expect(answers.map(({ status, body }) => [status, body.toString()])).toEqual([
      [404, 'x'],
      [200, ''],
    ]);
  });
});

describe('openRaw', () => {
  it('drips bytes one at a time', async () => {
    const sizes: number[] = [];
    const port = await server((socket) => {
      socket.on('data', (data) => sizes.push(data.length));
      socket.on('end', () => socket.end());
    });
    const client = await openRaw(port);
    await client.drip('abcd', 200);
    client.end();
    await expect(client.ended).resolves.toBe('fin');
    expect(sizes).toEqual([1, 1, 1, 1]);
  });

  it('resets for real', async () => {
    const failed = Promise.withResolvers<Error>();
    const port = await server((socket) => void socket.on('error', failed.resolve).resume());
    const client = await openRaw(port);
    await client.write('GET /');
    client.reset();
    expect(await failed.promise).toMatchObject({ code: 'ECONNRESET' });
  });

  it('makes the other side wait while paused', async () => {
    const big = Buffer.alloc(32 * 1024 * 1024);
    let isTaken = false;
    const port = await server((socket) =>
      socket.once('data', () => void socket.write(big, () => (isTaken = true))),
    );
    const client = await openRaw(port);
    const witness = await openRaw(port);
    client.pause();
    await client.write('go');
    await witness.write('go');
    // The witness has it all, asked for later and on the same machine: so the other one was given time enough.
    await witness.waitForBytes(big.length);
    expect(client.received()).toHaveLength(0);
    isTaken = false;

    client.resume();

    expect(await client.waitForBytes(big.length)).toHaveLength(big.length);
    expect(isTaken).toBe(true);
  });

  it('tells at once when the connection ends before the bytes that are waited for', async () => {
    const port = await saying('abc', (socket) => socket.end());
    const client = await openRaw(port);
    await client.write('x');
    await expect(client.waitForBytes(4)).rejects.toThrow('the connection ended before; got 3 bytes: "abc"');
  });
});
