/**
 * A GOPROXY server for tests and the bench: a real HTTP server on 127.0.0.1 over modules in memory or a folder in
 * Go's download-cache layout. It keeps a record of every request, adds a constant latency, and commits the faults
 * that a script orders (`faults.ts`). It checks nothing: what it serves is the test's affair.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FakeModule } from './fake-module.ts';
import { type FaultRule, type FaultScript, faultScript, type RequestMatch } from './faults.ts';
import { type Exchange, sendFaulty } from './faulty-reply.ts';
import { unescapeName } from './go-names.ts';
import { answer } from './goproxy-answers.ts';
import { conditional, textReply } from './reply.ts';
import { type RequestRecord, requestLog, type WaitOptions } from './request-log.ts';
import { type SumdbHandler, type SumdbRemote, type SumdbReply, sumdbHandler } from './sumdb-remote.ts';

export interface FakeUpstreamOptions {
  readonly modules?: readonly FakeModule[];
  /** A folder like GOMODCACHE/cache/download. Modules in memory win over it. */
  readonly root?: string;
  /** Waited before the first byte of each reply. Default 0. */
  readonly latencyMs?: number;
  /** Default 0: any free port. */
  readonly port?: number;
  /** `path@query` → version, e.g. `{'example.com/a@main': 'v1.2.0'}`; the query may be `latest`. */
  readonly queries?: Readonly<Record<string, string>>;
  /** Who answers `/sumdb/…`: a function, or databases elsewhere. Default: 404, as a server without pass-through. */
  readonly sumdb?: SumdbHandler | readonly SumdbRemote[];
  /** Answers every path (percent-decoded, with its slash) in place of all of the above: a server of another kind. */
  readonly answer?: (path: string) => SumdbReply | Promise<SumdbReply>;
  readonly rules?: readonly FaultRule[];
}

export interface FakeUpstream extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly faults: FaultScript;
  /** Adds or replaces modules; they are served from the next request on. */
  add(...modules: FakeModule[]): void;
  remove(path: string, version: string): void;
  /** Sets what `path@query` gives (undefined: nothing any more). */
  setQuery(pathAtQuery: string, version: string | undefined): void;
  readonly requests: readonly RequestRecord[];
  count(match: RequestMatch): number;
  waitForRequest(match: RequestMatch, options?: WaitOptions): Promise<RequestRecord>;
  readonly sockets: { readonly accepted: number; readonly open: number; readonly peak: number };
  /** Forgets requests and faults; modules and sockets stay. */
  reset(): void;
  /** Stops listening and destroys all sockets: connections are refused until `listenAgain`, on the same port. */
  refuse(): Promise<void>;
  listenAgain(): Promise<void>;
  /** Destroys all sockets and stops. Idempotent. */
  readonly close: () => Promise<void>;
}

interface SocketState {
  readonly id: number;
  requests: number;
  /** How to end each exchange that is under way. */
  readonly running: Set<() => void>;
}

/** Starts one. Rejects when the port is taken. */
export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const modules = new Map<string, FakeModule>();
  const queries = new Map(Object.entries(options.queries ?? {}));
  const log = requestLog();
  const faults = faultScript(options.rules);
  const sockets = new Map<Socket, SocketState>();
  const sumdb = sumdbHandler(options.sumdb ?? []);
  const startedMs = performance.now();
  let accepted = 0;
  let peak = 0;
  let isCutting = false;

  const add = (...more: FakeModule[]): void => {
    for (const module of more) modules.set(`${module.path}@${module.version}`, module);
  };
  add(...(options.modules ?? []));

  // No timeouts of its own: how long a connection lasts is for the client or a fault to say.
  const server = createServer(
    { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, connectionsCheckingInterval: 3_600_000 },
    (request, response) => void serve(request, response),
  );
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    const state: SocketState = { id: accepted, requests: 0, running: new Set() };
    sockets.set(socket, state);
    peak = Math.max(peak, sockets.size);
    socket.on('close', () => {
      sockets.delete(socket);
      // A pipelined reply that waits for its turn hears nothing of this from its ServerResponse.
      for (const end of state.running) end();
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = begin(request, response);
    // Before any wait: what order requests come in decides which one a rule hits.
    const ordered = faults.take(exchange.record);
    request.resume();
    if (options.latencyMs)
      await sleep(options.latencyMs, undefined, { signal: exchange.gone }).catch(() => {});
    if (exchange.gone.aborted) return;
    const full: SumdbReply = await replyTo(request).catch((error: unknown) =>
      textReply(500, `fake upstream: ${String(error)}\n`),
    );
    try {
      await sendFaulty(exchange, conditional(request.headers, full), [...ordered, ...(full.faults ?? [])]);
    } finally {
      await full.body.close();
    }
  }

  async function replyTo(request: IncomingMessage): Promise<SumdbReply> {
    const path = decodedPath(request.url ?? '/');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return textReply(405, 'method not allowed\n');
    }
    if (options.answer) return options.answer(path);
    if (path.startsWith('/sumdb/')) return sumdb(path.slice('/sumdb/'.length));
    return answer({ modules, root: options.root, queries }, path);
  }

  function begin(request: IncomingMessage, response: ServerResponse): Exchange {
    const socket = sockets.get(request.socket) ?? { id: 0, requests: 0, running: new Set<() => void>() };
    socket.requests += 1;
    const done = Promise.withResolvers<void>();
    const gone = new AbortController();
    const record: RequestRecord = {
      method: request.method ?? '',
      url: request.url ?? '',
      path: unescapeName(decodedPath(request.url ?? '/')),
      headers: request.headers,
      atMs: performance.now() - startedMs,
      socketId: socket.id,
      requestOnSocket: socket.requests,
      status: undefined,
      bytesSent: 0,
      aborted: false,
      done: done.promise,
    };
    let isFault = false;
    const end = (): void => {
      if (!socket.running.delete(end)) return;
      record.aborted = !response.writableFinished && !isFault && !isCutting;
      gone.abort();
      done.resolve();
    };
    socket.running.add(end);
    response.on('close', end);
    log.add(record);
    return { request, response, record, gone: gone.signal, endsByFault: () => (isFault = true) };
  }

  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });

  async function refuse(): Promise<void> {
    if (!server.listening) return;
    isCutting = true;
    // The server's own close event comes before those of its last sockets.
    const closed = [...sockets.keys()].map((socket) => once(socket, 'close'));
    const stopped = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets.keys()) socket.destroy();
    await Promise.all([stopped, ...closed]);
    isCutting = false;
  }

  await listen(options.port ?? 0);
  const address = server.address();
  // A TCP server that listens always has an object here.
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    faults,
    add,
    remove: (path, version) => void modules.delete(`${path}@${version}`),
    setQuery(pathAtQuery, version) {
      if (version === undefined) queries.delete(pathAtQuery);
      else queries.set(pathAtQuery, version);
    },
    requests: log.requests,
    count: log.count,
    waitForRequest: log.waitFor,
    sockets: {
      get accepted() {
        return accepted;
      },
      get open() {
        return sockets.size;
      },
      get peak() {
        return peak;
      },
    },
    reset() {
      log.clear();
      faults.clear();
    },
    refuse,
    listenAgain: () => listen(port),
    close: refuse,
    [Symbol.asyncDispose]: refuse,
  };
}

/** The path without query, percent-decoded once; as sent when it cannot be decoded. */
function decodedPath(url: string): string {
  const path = url.split('?', 1)[0] ?? '/';
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
