/**
 * HTTP by hand over a TCP socket, for what no client library sends (malformed, slow, pipelined, aborted requests)
 * and for what it hides (duplicate headers, how exactly a connection ended).
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../src/lib/errors.ts';
import { parseResponses, type RawResponse } from './raw-response.ts';
import { KitTimeout } from './request-log.ts';

/** How the other side ended it: `fin` orderly, `reset` by RST, `local` when we did. */
export type Ending = 'fin' | 'reset' | 'local';

export interface RawConnection extends AsyncDisposable {
  /** Resolves when the system has taken the bytes. Never rejects: what became of them, `ended` tells. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Writes byte by byte in even steps. */
  drip(bytes: string | Uint8Array, bytesPerSecond: number): Promise<void>;
  /** Everything that came so far. */
  received(): Buffer;
  /** Resolves once so many bytes came. Rejects with KitTimeout, also when the connection ends before. */
  waitForBytes(count: number, timeoutMs?: number): Promise<Buffer>;
  /** Resolves once what came matches (as latin1). */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Stops reading, so that the other side feels back-pressure; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Half-closes: FIN, and still reads. */
  end(): void;
  /** RST, as a client that was killed. */
  reset(): void;
  /** Closes at once. Idempotent. */
  readonly destroy: () => void;
  readonly ended: Promise<Ending>;
}

/** Connects to 127.0.0.1. Rejects when refused. */
export async function openRaw(port: number): Promise<RawConnection> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const chunks: Buffer[] = [];
  const watchers = new Set<() => void>();
  const ended = Promise.withResolvers<Ending>();
  let isOver = false;
  const over = (how: Ending): void => {
    isOver = true;
    ended.resolve(how);
    for (const watcher of watchers) watcher();
  };
  let receivedBytes = 0;
  // Joined only when somebody looks: a test may take many megabytes in.
  const received = (): Buffer => {
    if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
    return chunks[0] ?? Buffer.alloc(0);
  };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    receivedBytes += chunk.length;
    for (const watcher of watchers) watcher();
  });
  socket.on('end', () => over('fin'));
  socket.on('error', (error) =>
    over(['ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '') ? 'reset' : 'local'),
  );
  socket.on('close', () => over('local'));

  const write = (bytes: string | Uint8Array): Promise<void> =>
    new Promise((resolve) => void socket.write(bytes, () => resolve()));

  function waitUntil<T>(what: string, timeoutMs: number, look: () => T | null | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        stop();
        const got = received();
        const text = `${what}: ${why}; got ${got.length} bytes: ${JSON.stringify(got.toString('latin1').slice(0, 300))}`;
        reject(new KitTimeout('kit_timeout', text));
      };
      const timer = setTimeout(() => fail(`not in ${timeoutMs} ms`), timeoutMs);
      const stop = (): void => {
        clearTimeout(timer);
        watchers.delete(check);
      };
      const check = (): void => {
        const found = look();
        if (found !== null && found !== undefined) {
          stop();
          resolve(found);
        } else if (isOver) fail('the connection ended before');
      };
      watchers.add(check);
      check();
    });
  }

  const destroy = (): void => void socket.destroy();
  return {
    write,
    async drip(bytes, bytesPerSecond) {
      for (const byte of Buffer.from(bytes)) {
        if (isOver) return;
        await write(Buffer.of(byte));
        await sleep(1000 / bytesPerSecond);
      }
    },
    received,
    waitForBytes: (count, timeoutMs = 10_000) =>
      waitUntil(`waiting for ${count} bytes`, timeoutMs, () =>
        receivedBytes >= count ? received() : undefined,
      ),
    waitFor: (pattern, timeoutMs = 10_000) =>
      waitUntil(`waiting for ${String(pattern)}`, timeoutMs, () =>
        pattern.exec(received().toString('latin1')),
      ),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    destroy,
    ended: ended.promise,
    [Symbol.asyncDispose]: async () => destroy(),
  };
}

export interface RawRequestOptions {
  /** Method of the requests, when not to be read from the bytes: decides whether a body is expected. */
  readonly method?: string;
  /** How many responses to wait for (pipelining). Default 1. */
  readonly responses?: number;
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

/**
 * Sends bytes, or lines joined by CRLF with an empty line behind them, and reads one response to its end. An end
 * of the connection counts as the end of the response; `endedCleanly` tells whether it was one. Rejects with
 * KitTimeout when neither comes.
 */
export async function rawRequest(
  port: number,
  request: string | Uint8Array | readonly string[],
  options: RawRequestOptions = {},
): Promise<RawResponse> {
  const { found, ending } = await exchange(port, request, { ...options, responses: 1 });
  return found[0] ?? { ...NOTHING, ending };
}

/** As rawRequest, for several requests in one go. Gives as many responses as came, at most `responses`. */
export async function rawPipeline(
  port: number,
  request: string | Uint8Array | readonly string[],
  options: RawRequestOptions = {},
): Promise<RawResponse[]> {
  return (await exchange(port, request, options)).found;
}

async function exchange(
  port: number,
  request: string | Uint8Array | readonly string[],
  options: RawRequestOptions,
): Promise<{ found: RawResponse[]; ending: Ending | undefined }> {
  const { responses = 1, timeoutMs = 10_000 } = options;
  const bytes = isLines(request) ? `${request.join('\r\n')}\r\n\r\n` : request;
  const method = options.method ?? /^[A-Z]+/.exec(Buffer.from(bytes).toString('latin1'))?.[0] ?? 'GET';
  await using connection = await openRaw(port);
  void connection.write(bytes);
  const signal = AbortSignal.timeout(timeoutMs);
  let ending: Ending | undefined;
  void connection.ended.then((how) => (ending = how));
  for (;;) {
    const found = parseResponses(connection.received(), { method, ending });
    const complete = found.filter((response) => response.endedCleanly);
    if (complete.length >= responses || ending !== undefined)
      return { found: found.slice(0, responses), ending };
    if (signal.aborted) {
      const got = JSON.stringify(connection.received().toString('latin1').slice(0, 300));
      throw new KitTimeout('kit_timeout', `no complete response in ${timeoutMs} ms; got ${got}`);
    }
    const before = connection.received().length;
    // Whatever comes first: more bytes, the end, or the time limit. The loop looks which.
    await connection.waitForBytes(before + 1, timeoutMs).catch(() => {});
  }
}

const NOTHING = {
  statusLine: '',
  status: 0,
  headers: [],
  body: Buffer.alloc(0),
  endedCleanly: false,
} as const;

function isLines(request: string | Uint8Array | readonly string[]): request is readonly string[] {
  return Array.isArray(request);
}
