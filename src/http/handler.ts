/**
 * One request from its line to its last byte: hot answers first, then route, loop check, use case, reply. Every
 * way out writes exactly one access line.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import type { Operation } from '../proxy/operation.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { BytesReply, Reply, RequestContext } from '../proxy/types.ts';
import { type AccessLog, fieldsOf, hitTail } from './access-log.ts';
import type { BufferPool } from './buffer-pool.ts';
import { isNotModified, resolveRange } from './conditional.ts';
import { bodyHeaders, etagOf, isPlainRequest } from './headers.ts';
import { type HotCache, type HotEntry, type HotMark, maxTextBytes } from './hot-cache.ts';
import { parseRoute, type Route } from './route.ts';
import { type ReadAt, sendFrom } from './send.ts';
import { answerFor } from './status.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HandlerDeps {
  readonly clock: Clock;
  readonly proxy: Proxy;
  readonly hot: HotCache;
  readonly accessLog: AccessLog;
  readonly pool: BufferPool;
  /** This process; a request that carries it came back to us. */
  readonly instanceId: string;
  readonly pathPrefix: string;
  /** A client that takes no byte for this long is cut off. */
  readonly idleWriteMs: number;
  negativeMaxAgeS(): number;
  page(name: (Route & { kind: 'page' })['name'], request: IncomingMessage): Promise<Page> | Page;
  onUnexpected(error: unknown, id: string): void;
}

/** Small bodies only: a zip in the URL cache would push thousands of small answers out. */
const maxHotBodyBytes = 256 * 1024;
/** More modferries in a row than anyone builds on purpose (resilience: loop guard). */
const maxHops = 5;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly startedAtMs: number;
  readonly url: string;
  fields: string;
}

export class Handler {
  readonly #deps: HandlerDeps;
  #counter = 0;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  /** Never throws and never rejects: what goes wrong ends in an answer or a cut connection. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '/';
    const { hot, clock } = this.#deps;
    const entry = hot.get(url);
    if (entry !== undefined && request.method === 'GET' && isPlainRequest(request.rawHeaders)) {
      if (this.#sendHot(entry, response)) return;
    }
    const exchange: Exchange = {
      request,
      response,
      id: this.#idFor(request),
      startedAtMs: clock.monotonic(),
      url,
      fields: '',
    };
    this.#cold(exchange).catch((error: unknown) => {
      this.#deps.onUnexpected(error, exchange.id);
      response.destroy();
    });
  }

  #sendHot(entry: HotEntry, response: ServerResponse): boolean {
    const { accessLog, clock } = this.#deps;
    if (entry.freshUntilMs !== Number.POSITIVE_INFINITY) {
      const now = clock.now();
      if (now >= entry.staleUntilMs) return false;
      if (now >= entry.freshUntilMs) entry.refresh?.();
    }
    response.writeHead(200, entry.headers);
    response.end(entry.body, 'latin1');
    if (accessLog.logsHits) {
      this.#counter += 1;
      accessLog.addHit(`${this.#deps.instanceId}-${this.#counter.toString(36)}`, entry.logTail);
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
    let reply: Reply;
    try {
      const route = parseRoute(exchange.url, this.#deps.pathPrefix);
      if (route.kind === 'page') {
        await this.#page(exchange, route.name);
        return;
      }
      if (route.kind === 'unknown') {
        this.#text(exchange, 404, 'not a path of the GOPROXY protocol; / shows how to set a client up\n');
        return;
      }
      exchange.fields = fieldsOfOperation(route.operation);
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        this.#text(exchange, 405, 'the GOPROXY protocol has GET and HEAD only\n', { allow: 'GET, HEAD' });
        return;
      }
      const hops = this.#hops(request);
      if (hops !== undefined) {
        this.#text(exchange, 508, hops);
        return;
      }
      const mark = this.#deps.hot.mark;
      reply = await this.#deps.proxy.handle(route.operation, this.#context(exchange, abort.signal));
      this.#keep(exchange, route.operation, reply, mark);
    } catch (error) {
      if (abort.signal.aborted) {
        this.#log(exchange, 499, 0, 'none', true);
        return;
      }
      const answer = answerFor(error, this.#deps.negativeMaxAgeS());
      if (answer.unexpected) this.#deps.onUnexpected(error, exchange.id);
      this.#text(exchange, answer.status, answer.text, answer.headers);
      return;
    }
    await this.#send(exchange, reply, abort.signal);
  }

  #context(exchange: Exchange, signal: AbortSignal): RequestContext {
    const { headers, method, httpVersionMinor } = exchange.request;
    const cacheControl = headers['cache-control'] ?? headers['pragma'] ?? '';
    return {
      id: exchange.id,
      client: exchange.request.socket.remoteAddress ?? '',
      signal,
      storedOnly: headers['disable-module-fetch']?.toString().toLowerCase() === 'true',
      revalidate: /\bno-cache\b/i.test(cacheControl),
      via: viaOf(exchange.request),
      wholeOnly: method === 'HEAD' || headers.range !== undefined || httpVersionMinor === 0,
    };
  }

  /** Text of the refusal when the request came back to us or passed too many of our kind. */
  #hops(request: IncomingMessage): string | undefined {
    const hops = viaOf(request);
    if (hops.includes(this.#deps.instanceId)) {
      return 'this request came back to the very modferry that sent it: its upstreams lead to itself; check --upstream and GOPROXY of the server\n';
    }
    if (hops.length >= maxHops) return `the request passed ${hops.length} modferries in a row\n`;
    return undefined;
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
        }),
        etag: etagOf(reply.sha256),
        lastModifiedMs: reply.lastModifiedMs,
        logTail: hitTail(exchange.fields, reply.body.length),
        freshUntilMs: cache.kind === 'immutable' ? Number.POSITIVE_INFINITY : cache.freshUntilMs,
        staleUntilMs: cache.kind === 'immutable' ? Number.POSITIVE_INFINITY : cache.staleUntilMs,
        refresh: reply.refresh,
        mutableOf:
          operation.kind === 'list' || operation.kind === 'latest' || operation.kind === 'query'
            ? operation.path
            : undefined,
      },
      mark,
    );
  }

  async #send(exchange: Exchange, reply: Reply, signal: AbortSignal): Promise<void> {
    switch (reply.kind) {
      case 'bytes':
        return this.#sendBytes(exchange, reply);
      case 'file': {
        const { file } = reply;
        try {
          const { sizeBytes, sha256, modifiedAtMs } = file.record;
          await this.#sendRanged(exchange, reply, {
            sizeBytes,
            sha256,
            lastModifiedMs: modifiedAtMs,
            readAt: (target, length, position) => file.readAt(target, length, position),
          });
        } finally {
          await file.close();
        }
        return;
      }
      case 'growing': {
        const { follower, opened } = reply;
        try {
          await this.#sendRanged(exchange, reply, {
            sizeBytes: opened.sizeBytes,
            sha256: opened.verified?.sha256,
            lastModifiedMs: opened.verified?.verifiedAtMs,
            readAt: (target, length, position) => follower.readAt(target, length, position, signal),
          });
        } finally {
          follower.leave();
        }
        return;
      }
      case 'passing': {
        const { body } = reply;
        try {
          await this.#sendRanged(exchange, reply, {
            sizeBytes: body.sizeBytes,
            sha256: undefined,
            lastModifiedMs: undefined,
            readAt: (target, length, position) => body.readAt(target, length, position),
          });
        } finally {
          body.close();
        }
        return;
      }
      default:
        reply satisfies never;
    }
  }

  #sendBytes(exchange: Exchange, reply: BytesReply): void {
    const { request, response } = exchange;
    const etag = etagOf(reply.sha256);
    const validators = { etag, lastModifiedMs: reply.lastModifiedMs };
    const facts = { ...reply, ...validators };
    if (this.#notModified(exchange, facts)) return;
    const range = resolveRange(
      request.headers.range,
      headerOf(request, 'if-range'),
      reply.body.length,
      validators,
    );
    if (range.kind === 'unsatisfiable') {
      this.#unsatisfiable(exchange, reply.body.length);
      return;
    }
    const body = range.kind === 'part' ? reply.body.subarray(range.start, range.endExclusive) : reply.body;
    const headers = bodyHeaders({ ...facts, contentLength: body.length });
    if (range.kind === 'part') headers.push('Content-Range', contentRange(range, reply.body.length));
    const status = range.kind === 'part' ? 206 : 200;
    const firstByteMs = this.#elapsed(exchange);
    response.writeHead(status, headers);
    request.socket.setTimeout(this.#deps.idleWriteMs);
    response.once('close', () => {
      const sent = request.method === 'HEAD' ? 0 : body.length;
      this.#log(exchange, status, sent, reply.source, !response.writableFinished, firstByteMs);
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #sendRanged(
    exchange: Exchange,
    reply: Reply,
    body: {
      sizeBytes: number | undefined;
      sha256: string | undefined;
      lastModifiedMs: number | undefined;
      readAt: ReadAt;
    },
  ): Promise<void> {
    const { request, response } = exchange;
    const etag = body.sha256 === undefined ? undefined : etagOf(body.sha256);
    const facts = {
      contentType: reply.contentType,
      cache: reply.cache,
      etag,
      lastModifiedMs: body.lastModifiedMs,
    };
    if (etag !== undefined && this.#notModified(exchange, { ...facts, etag })) return;
    let start = 0;
    let end = body.sizeBytes;
    const extra: string[] = [];
    if (etag !== undefined && body.sizeBytes !== undefined) {
      const range = resolveRange(request.headers.range, headerOf(request, 'if-range'), body.sizeBytes, {
        etag,
        lastModifiedMs: body.lastModifiedMs,
      });
      if (range.kind === 'unsatisfiable') {
        this.#unsatisfiable(exchange, body.sizeBytes);
        return;
      }
      if (range.kind === 'part') {
        start = range.start;
        end = range.endExclusive;
        extra.push('Content-Range', contentRange(range, body.sizeBytes));
      }
    }
    const status = extra.length > 0 ? 206 : 200;
    const contentLength = end === undefined ? undefined : end - start;
    let firstByteMs = this.#elapsed(exchange);
    const begin = (): void => {
      response.writeHead(status, [...bodyHeaders({ ...facts, contentLength }), ...extra]);
      firstByteMs = this.#elapsed(exchange);
    };
    if (request.method === 'HEAD') {
      begin();
      response.end();
      this.#log(exchange, status, 0, reply.source, false, firstByteMs);
      return;
    }
    try {
      const { pool, idleWriteMs } = this.#deps;
      const sent = await sendFrom(response, pool, body.readAt, start, end, idleWriteMs, begin);
      this.#log(exchange, status, sent.bytes, reply.source, !sent.complete, firstByteMs);
    } catch (error) {
      if (!response.headersSent && !response.destroyed) {
        const answer = answerFor(error, this.#deps.negativeMaxAgeS());
        if (answer.unexpected) this.#deps.onUnexpected(error, exchange.id);
        this.#text(exchange, answer.status, answer.text, answer.headers);
        return;
      }
      // The source broke after the first byte: the cut connection is the answer (design rule 2).
      this.#log(exchange, status, 0, reply.source, true, firstByteMs);
    }
  }

  #notModified(
    exchange: Exchange,
    facts: {
      etag: string;
      lastModifiedMs: number | undefined;
      cache: Reply['cache'];
      contentType: Reply['contentType'];
    },
  ): boolean {
    const { request, response } = exchange;
    const current = isNotModified(
      {
        ifNoneMatch: headerOf(request, 'if-none-match'),
        ifModifiedSince: headerOf(request, 'if-modified-since'),
      },
      facts,
    );
    if (!current) return false;
    response.writeHead(304, bodyHeaders({ ...facts, contentLength: undefined }));
    response.end();
    this.#log(exchange, 304, 0, 'store', false);
    return true;
  }

  #unsatisfiable(exchange: Exchange, sizeBytes: number): void {
    this.#text(exchange, 416, `the file has ${sizeBytes} bytes\n`, {
      'content-range': `bytes */${sizeBytes}`,
    });
  }

  async #page(exchange: Exchange, name: (Route & { kind: 'page' })['name']): Promise<void> {
    const { request, response } = exchange;
    exchange.fields = fieldsOf({ artifact: name });
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      this.#text(exchange, 405, 'GET and HEAD only here\n', { allow: 'GET, HEAD' });
      return;
    }
    const page = await this.#deps.page(name, request);
    const body = Buffer.from(page.body);
    response.writeHead(page.status, {
      'content-type': page.contentType,
      'content-length': body.length,
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    this.#log(exchange, page.status, body.length, 'modferry', false);
  }

  #text(
    exchange: Exchange,
    status: number,
    text: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const { request, response } = exchange;
    if (exchange.fields === '') exchange.fields = fieldsOf({ artifact: 'none', path: exchange.url });
    const body = Buffer.from(text);
    // A body the client is still sending is not read: the connection ends with this answer.
    const close = request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' };
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
      'x-content-type-options': 'nosniff',
      'x-request-id': exchange.id,
      ...headers,
      ...close,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    this.#log(exchange, status, body.length, 'none', false);
  }

  #elapsed(exchange: Exchange): number {
    return this.#deps.clock.monotonic() - exchange.startedAtMs;
  }

  #log(
    exchange: Exchange,
    status: number,
    bytes: number,
    source: string,
    aborted: boolean,
    firstByteMs = this.#elapsed(exchange),
  ): void {
    const fields =
      exchange.fields === '' ? fieldsOf({ artifact: 'none', path: exchange.url }) : exchange.fields;
    this.#deps.accessLog.add({
      id: exchange.id,
      method: exchange.request.method ?? '',
      fields,
      source,
      status,
      bytes,
      firstByteMs,
      totalMs: this.#elapsed(exchange),
      ...(aborted ? { aborted } : {}),
    });
  }
}

/** Instance ids this request has passed through; what is no id is dropped, since it is sent on. */
function viaOf(request: IncomingMessage): string[] {
  const via = headerOf(request, 'x-modferry-via');
  if (via === undefined) return [];
  return via
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => /^[\w.:-]{1,80}$/.test(hop))
    .slice(0, maxHops + 1);
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function contentRange(range: { start: number; endExclusive: number }, sizeBytes: number): string {
  return `bytes ${range.start}-${range.endExclusive - 1}/${sizeBytes}`;
}

function fieldsOfOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'artifact':
      return fieldsOf({
        module: operation.key.path,
        version: operation.key.version,
        artifact: operation.key.ext,
      });
    case 'query':
      return fieldsOf({ module: operation.path, version: operation.query, artifact: 'query' });
    case 'sumdb':
      return fieldsOf({ artifact: 'sumdb', path: operation.rest });
    default:
      return fieldsOf({ module: operation.path, artifact: operation.kind });
  }
}
