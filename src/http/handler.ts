/**
 * One request from its line to its last byte: hot answers first, then route, loop check, use case, reply. Every
 * way out writes exactly one access line.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModulePath } from '../gomod/types.ts';
import { nameOf } from '../ingest/ingest.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Operation } from '../proxy/operation.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { HotCounters } from '../proxy/request-events.ts';
import type { Reply, RequestContext } from '../proxy/types.ts';
import { hopHeaders } from '../upstream/parent-headers.ts';
import { hitTail } from './access-log.ts';
import { Exchange, type ExchangeDeps } from './exchange.ts';
import { type Gate, nameOf as nameOfIdentity } from './gate.ts';
import { bodyHeaders, etagOf, isPlainRequest } from './headers.ts';
import { answerWithinMs, refusalOf } from './hop.ts';
import { type HotCache, type HotEntry, type HotMark, maxTextBytes } from './hot-cache.ts';
import { provenanceHeaders } from './provenance.ts';
import { type ReplyDeps, sendReply } from './replies.ts';
import { parseRoute, type Route } from './route.ts';
import { handleUpload, isUpload, type UploadDeps } from './upload.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Besides those that every page has. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HandlerDeps extends ExchangeDeps, ReplyDeps {
  readonly proxy: Pick<Proxy, 'handle'>;
  readonly hot: HotCache;
  readonly gate: Gate;
  /** Uploads and tombstones: PUT and DELETE of a module zip. */
  readonly uploads: UploadDeps;
  /** Everything below `/-/v1/`. */
  api(exchange: Exchange, name: string, gate: Gate, signal: AbortSignal): Promise<void>;
  readonly hotCounters: HotCounters;
  /** This process; a request that carries it came back to us. */
  readonly instanceId: string;
  readonly pathPrefix: string;
  page(name: (Route & { kind: 'page' })['name'], request: IncomingMessage): Promise<Page> | Page;
}

/** Until when the asker waits for the first byte. */
interface Wait {
  readonly deadlineAtMs: Deadline;
  /** The first byte is there, or nobody waits any more. */
  end(): void;
}

/** Answered to everybody: load balancers have no credentials. */
const openPages: ReadonlySet<string> = new Set(['healthz', 'readyz', 'robots']);

/** Small bodies only: a zip in the URL cache would push thousands of small answers out. */
const maxHotBodyBytes = 256 * 1024;

export class Handler {
  readonly #deps: HandlerDeps;
  #counter = 0;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  /** Never throws and never rejects: what goes wrong ends in an answer or a cut connection. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const entry = this.#deps.hot.get(request.url ?? '/');
    if (entry !== undefined && request.method === 'GET' && isPlainRequest(request.rawHeaders)) {
      if (this.#sendHot(entry, request, response)) return;
    }
    const exchange = new Exchange(request, response, this.#idFor(request), this.#deps);
    this.#cold(exchange).catch((error: unknown) => {
      this.#deps.onUnexpected(error, exchange.id);
      response.destroy();
    });
  }

  #sendHot(entry: HotEntry, request: IncomingMessage, response: ServerResponse): boolean {
    const { accessLog, clock, gate } = this.#deps;
    let by = '';
    if (entry.guard !== undefined) {
      const identity = gate.now(request, entry.guard.path);
      if (identity === undefined) return false;
      if (accessLog.logsHits && identity.kind !== 'anonymous') by = nameOfIdentity(identity);
    }
    if (entry.freshUntilMs !== Number.POSITIVE_INFINITY) {
      const now = clock.now();
      if (now >= entry.staleUntilMs) return false;
      if (now >= entry.freshUntilMs) entry.refresh?.();
    }
    response.writeHead(200, entry.headers);
    response.end(entry.body, 'latin1');
    entry.counter.requests += 1;
    entry.counter.bytes += entry.body.length;
    if (accessLog.logsHits) {
      this.#counter += 1;
      accessLog.addHit(`${this.#deps.instanceId}-${this.#counter.toString(36)}`, entry.logTail, by);
    }
    return true;
  }

  /** A client's own id is kept when it is harmless in logs and headers. */
  #idFor(request: IncomingMessage): string {
    const given = request.headers['x-request-id'];
    if (typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given)) return given;
    this.#counter += 1;
    return `${this.#deps.instanceId}-${this.#counter.toString(36)}`;
  }

  async #cold(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    // A miss may rightly take longer than an idle connection may live.
    request.socket.setTimeout(0);
    const abort = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) abort.abort(new Error('the client went away'));
    });
    let wait: Wait | undefined;
    let reply: Reply;
    try {
      const route = parseRoute(exchange.url, this.#deps.pathPrefix);
      if (route.kind === 'page') {
        if (!openPages.has(route.name) && !(await this.#mayRead(exchange, undefined, abort.signal))) return;
        await this.#page(exchange, route.name);
        return;
      }
      if (route.kind === 'unknown') {
        exchange.text(404, 'not a path of the GOPROXY protocol; / shows how to set a client up\n');
        return;
      }
      if (route.kind === 'api') {
        exchange.asksFor({ page: 'api' });
        await this.#deps.api(exchange, route.name, this.#deps.gate, abort.signal);
        return;
      }
      exchange.asksFor(route.operation);
      if (isUpload(request.method, route.operation)) {
        await handleUpload(exchange, route.operation, abort.signal, this.#deps.uploads);
        return;
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        exchange.text(405, 'the GOPROXY protocol has GET and HEAD only\n', { allow: 'GET, HEAD' });
        return;
      }
      const refusal = exchange.hop === undefined ? undefined : refusalOf(exchange.hop, this.#deps.instanceId);
      if (refusal !== undefined) {
        exchange.text(508, refusal);
        return;
      }
      if (!(await this.#mayRead(exchange, pathOf(route.operation), abort.signal))) return;
      wait = this.#wait(exchange, abort);
      const mark = this.#deps.hot.mark;
      const context = this.#context(exchange, abort.signal, wait?.deadlineAtMs);
      reply = await this.#deps.proxy.handle(route.operation, context);
      this.#keep(exchange, route.operation, reply, mark);
    } catch (error) {
      if (!abort.signal.aborted) exchange.fail(error);
      else if (isDeadline(abort.signal.reason) && !response.destroyed) late(exchange);
      else exchange.log(499, 0, 'none', true);
      return;
    } finally {
      // It is for the first byte: how long a body may take is for its own limits to say (ruling 19).
      wait?.end();
    }
    await sendReply(exchange, reply, abort.signal, this.#deps);
  }

  /** False: refused, and answered. Rejects for a module that nobody could bring anyway. */
  async #mayRead(exchange: Exchange, path: ModulePath | undefined, signal: AbortSignal): Promise<boolean> {
    const admitted = await this.#deps.gate.admit(exchange, { right: 'read', path }, signal);
    if (admitted === 'unserved') {
      throw new SourcesFailure(
        'not_fetched',
        `${path ?? ''} is private here and no private source is configured; it is never asked of a public one`,
      );
    }
    return admitted !== undefined;
  }

  /** The asker's deadline is the asker's alone: what is fetched for it goes on for others. */
  #wait({ hop }: Exchange, abort: AbortController): Wait | undefined {
    if (hop?.remainingMs === undefined) return undefined;
    const { clock } = this.#deps;
    const withinMs = answerWithinMs(hop.remainingMs);
    let atMs: number | undefined = clock.monotonic() + withinMs;
    const timer = clock.setTimeout(() => {
      abort.abort(new DOMException('the asking modferry waits no longer', 'TimeoutError'));
    }, withinMs);
    const end = (): void => {
      atMs = undefined;
      timer.cancel();
    };
    return { deadlineAtMs: () => atMs, end };
  }

  #context(exchange: Exchange, signal: AbortSignal, deadlineAtMs: Deadline | undefined): RequestContext {
    const { headers, method, httpVersionMinor, socket } = exchange.request;
    const cacheControl = headers['cache-control'] ?? headers['pragma'] ?? '';
    return {
      id: exchange.id,
      client: socket.remoteAddress ?? '',
      signal,
      deadlineAtMs,
      storedOnly: headers['disable-module-fetch']?.toString().toLowerCase() === 'true',
      revalidate: /\bno-cache\b/i.test(cacheControl),
      via: exchange.hop?.via ?? [],
      wholeOnly: method === 'HEAD' || headers.range !== undefined || httpVersionMinor === 0,
      noHold: exchange.hop?.noHold ?? false,
    };
  }

  #keep(exchange: Exchange, operation: Operation, reply: Reply, mark: HotMark): void {
    if (reply.kind !== 'bytes' || !reply.keep || reply.body.length > maxHotBodyBytes) return;
    const { cache } = reply;
    if (cache.kind === 'none') return;
    this.#deps.hot.put(
      exchange.url,
      {
        body: reply.body.length <= maxTextBytes ? reply.body.toString('latin1') : reply.body,
        headers: bodyHeaders({
          contentType: reply.contentType,
          cache,
          etag: etagOf(reply.sha256),
          lastModifiedMs: reply.lastModifiedMs,
          contentLength: reply.body.length,
          isGuarded: exchange.isGuarded,
          more: provenanceHeaders(reply.provenance, this.#deps.provenance()),
        }),
        etag: etagOf(reply.sha256),
        lastModifiedMs: reply.lastModifiedMs,
        counter: this.#deps.hotCounters[exchange.artifact],
        logTail: hitTail(exchange.fields, reply.body.length),
        freshUntilMs: cache.kind === 'immutable' ? Number.POSITIVE_INFINITY : cache.freshUntilMs,
        staleUntilMs: cache.kind === 'immutable' ? Number.POSITIVE_INFINITY : cache.staleUntilMs,
        refresh: reply.refresh,
        mutableOf:
          operation.kind === 'list' || operation.kind === 'latest' || operation.kind === 'query'
            ? operation.path
            : undefined,
        artifact: operation.kind === 'artifact' ? nameOf(operation.key) : undefined,
        guard: exchange.isGuarded ? { path: pathOf(operation) } : undefined,
      },
      mark,
    );
  }

  async #page(exchange: Exchange, name: (Route & { kind: 'page' })['name']): Promise<void> {
    const { request, response } = exchange;
    exchange.asksFor({ page: name });
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      exchange.text(405, 'GET and HEAD only here\n', { allow: 'GET, HEAD' });
      return;
    }
    const page = await this.#deps.page(name, request);
    const body = Buffer.from(page.body);
    response.writeHead(page.status, {
      'content-type': page.contentType,
      'content-length': body.length,
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      ...page.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    exchange.log(page.status, body.length, 'modferry', false);
  }
}

/** The module that an answer is about, for rights; undefined for what belongs to none. */
function pathOf(operation: Operation): ModulePath | undefined {
  switch (operation.kind) {
    case 'artifact':
      return operation.key.path;
    case 'sumdb':
      return undefined;
    default:
      return operation.path;
  }
}

function isDeadline(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError';
}

function late(exchange: Exchange): void {
  exchange.text(
    504,
    `no answer within the ${exchange.hop?.remainingMs ?? 0} ms that the asking modferry had left\n`,
    { 'cache-control': 'no-store', [hopHeaders.cause]: 'deadline' },
  );
}
