/**
 * Small real servers for the tests of this folder: HTTP by listener, or exactly given bytes over TCP. Each closes
 * with everything open on it when the test ends.
 */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcp, type Server, type Socket } from 'node:net';
import { createHttpUpstream, type HttpUpstreamOptions } from './http-upstream.ts';
import { readBody } from './read-body.ts';
import { type Upstream, type UpstreamAnswer, UpstreamError, type UpstreamRequest } from './types.ts';

/** What a test has opened; call `closeAll` in `afterEach`. */
export class TestServers {
  readonly #closers: (() => unknown)[] = [];

  onClose(close: () => unknown): void {
    this.#closers.push(close);
  }

  async closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }

  /** Listens on a free port of 127.0.0.1 and resolves to it. */
  async listen(server: Server): Promise<number> {
    server.on('connection', (socket: Socket) => {
      socket.on('error', () => {});
      this.onClose(() => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.onClose(() => server.close());
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  async serve(listener: RequestListener): Promise<string> {
    return `http://127.0.0.1:${await this.listen(createServer(listener))}`;
  }

  /** Says exactly these bytes to each connection after its first data, then does `then`. */
  async serveRaw(bytes: string, then: (socket: Socket) => void = () => {}): Promise<string> {
    return this.serveTcp((socket) => {
      socket.once('data', () => socket.write(bytes, () => then(socket)));
    });
  }

  async serveTcp(listener: (socket: Socket) => void): Promise<string> {
    return `http://127.0.0.1:${await this.listen(createTcp(listener))}`;
  }

  upstreamAt(url: string, more: Partial<HttpUpstreamOptions> = {}): Upstream {
    const upstream = createHttpUpstream({ name: 'up', url, version: '1.2.3', instanceId: 'me', ...more });
    this.onClose(() => upstream.close());
    return upstream;
  }
}

export function ask(upstream: Upstream, more: Partial<UpstreamRequest> = {}): Promise<UpstreamAnswer> {
  const { signal } = new AbortController();
  return upstream.fetch({ target: '/m/@v/v1.0.0.zip', answerClass: 'zip', signal, ...more });
}

export async function text(upstream: Upstream, more: Partial<UpstreamRequest> = {}): Promise<string> {
  return (await readBody(await ask(upstream, more), 1_000_000)).toString();
}

/** The UpstreamError that `work` must reject with. */
export async function failure(work: Promise<unknown>): Promise<UpstreamError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
