/**
 * One GOPROXY server over HTTP: its pool, its limits, and what each of its answers means. It asks once and says
 * what came back; which upstream is asked when, and whether its bytes are any good, is decided elsewhere.
 */
import type { Dispatcher } from 'undici';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { Semaphore } from '../lib/semaphore.ts';
import { Dispatchers } from '../outbound/dispatchers.ts';
import { directRule, type ProxyRule } from '../outbound/proxy-rule.ts';
import type { ClientCertificateFiles } from '../outbound/tls-files.ts';
import { answerBody } from './answer-body.ts';
import {
  evidenceHeaders,
  headerOf,
  isRedirect,
  quotableLine,
  redirectTarget,
  retryAfterOf,
} from './answer-head.ts';
import { placeOf, rangeHeaders } from './answer-place.ts';
import { abortError, classifyError } from './classify-error.ts';
import { authorizationOf, type UpstreamAuth } from './credentials.ts';
import { parseUpstreamUrl } from './goproxy-list.ts';
import {
  childHeaders,
  isPartialAbsence,
  isSourcesFault,
  type ParentFacts,
  parentAfter,
} from './parent-headers.ts';
import { type Upstream, type UpstreamAnswer, UpstreamError, type UpstreamRequest } from './types.ts';

export interface HttpUpstreamOptions {
  readonly name: string;
  /** Base URL, http or https. Userinfo in it becomes basic credentials unless `auth` is given. */
  readonly url: string;
  readonly auth?: UpstreamAuth | undefined;
  /** Default false. */
  readonly isPrivate?: boolean;
  /** Default false. See `stopsOnError` in goproxy-list.ts. */
  readonly stopsOnError?: boolean;
  /** Default: the general first-byte timeouts. */
  readonly firstByteMs?: Upstream['firstByteMs'];
  /** Of this modferry, for `User-Agent`. */
  readonly version: string;
  /** Names this server in `X-Modferry-Via`, so that a request that comes back is recognised (508). */
  readonly instanceId: string;
  /** Default: straight, no proxy. */
  readonly proxy?: ProxyRule | undefined;
  /** PEM file of further certificate authorities. */
  readonly caFile?: string | undefined;
  /** Shown to this server, not to those it redirects to. */
  readonly clientCertificate?: ClientCertificateFiles | undefined;
  /** For each step of a connection: TCP, an outbound proxy's answer, TLS. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Without a byte of the body for this long it has stalled; told to readers, and ended here a quarter later. Default 30 s. */
  readonly bodyIdleMs?: number;
  /** The longest wait for a status line, whatever the caller's signal. Default 60 s. */
  readonly lastHopeMs?: number;
  /** Requests at once, bodies under way included. Default 64. */
  readonly maxConcurrent?: number;
  /** Requests that may wait for a place; more are `busy`. Default 1024. */
  readonly maxQueued?: number;
  /** How long an unused connection is kept. Default 20 s; what the server says goes first. */
  readonly keepAliveMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

const defaultKeepAliveMs = 20_000;
/** A server may ask for a longer life of its connections than ours. */
const keptLongerMs = 10_000;
const maxRedirects = 5;
/** A longer chain of modferries is taken for a circle that somebody on the way does not recognise. */
const maxVia = 16;

/** Throws GoproxyError for a bad URL, ModferryError `ca_file` or `client_certificate`. Opens no connection yet. */
export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  return new HttpUpstream(options);
}

class HttpUpstream implements Upstream {
  readonly name: string;
  readonly isPrivate: boolean;
  readonly stopsOnError: boolean;
  readonly firstByteMs: Upstream['firstByteMs'];
  readonly #options: HttpUpstreamOptions;
  readonly #base: URL;
  readonly #auth: UpstreamAuth | undefined;
  readonly #clock: Clock;
  readonly #dispatchers: Dispatchers;
  /** All requests, and the part of them that zips may take: a few slow zips must not hold up the small answers. */
  readonly #places: Semaphore;
  readonly #zipPlaces: Semaphore;
  #closed = false;
  #parent: ParentFacts | undefined;
  #answeredAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HttpUpstreamOptions) {
    const { url, auth } = parseUpstreamUrl(options.url);
    const maxConcurrent = options.maxConcurrent ?? 64;
    this.name = options.name;
    this.isPrivate = options.isPrivate ?? false;
    this.stopsOnError = options.stopsOnError ?? false;
    this.firstByteMs = options.firstByteMs;
    this.#options = options;
    this.#base = new URL(url);
    this.#auth = options.auth ?? auth;
    this.#clock = options.clock ?? systemClock;
    const reserved = Math.floor(maxConcurrent / 4);
    this.#places = new Semaphore(maxConcurrent, options.maxQueued ?? 1024);
    this.#zipPlaces = new Semaphore(maxConcurrent - reserved, options.maxQueued ?? 1024);
    this.#dispatchers = new Dispatchers({
      base: this.#base,
      proxy: options.proxy ?? directRule,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      maxConnections: maxConcurrent,
      keepAliveMs: options.keepAliveMs ?? defaultKeepAliveMs,
      caFile: options.caFile,
      clientCertificate: options.clientCertificate,
      clock: this.#clock,
    });
  }

  get parent(): ParentFacts | undefined {
    return this.#parent;
  }

  get #idleMs(): number {
    return this.#options.bodyIdleMs ?? 30_000;
  }

  get queued(): number {
    return this.#places.queued + this.#zipPlaces.queued;
  }

  async fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { signal, via = [] } = request;
    if (this.#closed) throw new UpstreamError(this.name, 'aborted', 'this upstream was closed');
    if (via.includes(this.#options.instanceId) || via.length >= maxVia) {
      throw new UpstreamError(this.name, 'loop', 'this request has already passed through this server');
    }
    if (signal.aborted) throw abortError(this.name, signal);
    const release = await this.#place(request);
    if (release === undefined) {
      throw new UpstreamError(this.name, 'busy', 'too many requests are waiting for it');
    }
    try {
      return await this.#ask(request, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Resolves to the release, or undefined when the queue is full. */
  async #place({ signal, priority, answerClass }: UpstreamRequest): Promise<(() => void) | undefined> {
    let releaseZip: (() => void) | undefined;
    try {
      if (answerClass === 'zip') {
        releaseZip = await this.#zipPlaces.acquire(signal, priority);
        if (releaseZip === undefined) return undefined;
      }
      const release = await this.#places.acquire(signal, priority);
      if (release === undefined) {
        releaseZip?.();
        return undefined;
      }
      return () => {
        release();
        releaseZip?.();
      };
    } catch {
      releaseZip?.();
      const error = abortError(this.name, signal);
      if (error.code !== 'timeout' && error.code !== 'beaten') throw error;
      // It waited in our own queue: that tells nothing about the server.
      throw new UpstreamError(this.name, 'busy', 'no free place in time: it was not asked', { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#dispatchers.close();
  }

  async #ask(request: UpstreamRequest, release: () => void): Promise<UpstreamAnswer> {
    const startedAtMs = this.#clock.monotonic();
    const path = this.#base.pathname.replace(/\/+$/, '');
    let target = new URL(`${this.#base.origin}${path}${request.target}`);
    let isOwnServer = true;
    const seen = new Set<string>();
    for (;;) {
      seen.add(target.href);
      const answer = await this.#send(target, request, isOwnServer);
      if (isOwnServer) this.#parent = parentAfter(this.#parent, answer.statusCode, answer.headers);
      if (!isRedirect(answer.statusCode)) {
        const place = { upstream: this.name, signal: request.signal };
        return await this.#judge(answer, request, place, startedAtMs, release);
      }
      await quotableLine(answer.body, '', this.#clock);
      target = redirectTarget(this.name, target, answer.headers, this.#dispatchers.isInner);
      // Once it has led away, nothing on the way gets credentials again, not even the own server.
      isOwnServer &&= target.origin === this.#base.origin;
      if (seen.has(target.href)) throw new UpstreamError(this.name, 'redirect', 'redirects in a circle');
      if (seen.size > maxRedirects) {
        throw new UpstreamError(this.name, 'redirect', `redirects more than ${maxRedirects} times`);
      }
    }
  }

  async #send(target: URL, request: UpstreamRequest, isOwnServer: boolean): Promise<Dispatcher.ResponseData> {
    const { signal } = request;
    for (let isRepeat = false; ; isRepeat = true) {
      try {
        const answer = await this.#dispatchers.request(target, {
          headers: this.#headers(request, isOwnServer),
          signal,
          headersTimeoutMs: this.#options.lastHopeMs ?? 60_000,
          // Whoever reads a body may watch it closer: this is what ends it when nobody does.
          bodyTimeoutMs: Math.ceil(this.#idleMs * 1.25),
        });
        this.#answeredAtMs = this.#clock.monotonic();
        return answer;
      } catch (error) {
        if (!isRepeat && !signal.aborted && (isStaleConnection(error) || this.#mayBeStale(error))) continue;
        throw classifyError(error, { upstream: this.name, phase: 'head', signal });
      }
    }
  }

  /**
   * Load balancers and address translators answer the next request on a connection they have forgotten with a reset,
   * which does not tell its socket. While connections of the last answers may be kept, one such reset is no news.
   */
  #mayBeStale(error: unknown): boolean {
    const code = errnoOf(error);
    if (code !== 'ECONNRESET' && code !== 'EPIPE') return false;
    const sinceMs = this.#clock.monotonic() - this.#answeredAtMs;
    return sinceMs < (this.#options.keepAliveMs ?? defaultKeepAliveMs) + keptLongerMs;
  }

  #headers(request: UpstreamRequest, isOwnServer: boolean): Record<string, string> {
    const { version, instanceId } = this.#options;
    const headers: Record<string, string> = {
      accept: '*/*',
      'accept-encoding': 'identity',
      'user-agent': `modferry/${version}`,
      'x-modferry-via': [...(request.via ?? []), instanceId].join(', '),
      ...rangeHeaders(request),
    };
    if (request.requestId !== undefined) headers['x-request-id'] = request.requestId;
    if (isOwnServer && this.#auth !== undefined) headers.authorization = authorizationOf(this.#auth);
    if (isOwnServer && this.#parent !== undefined) {
      // Without a deadline we still hang up after the last hope: it should say why before that.
      const lastHopeMs = this.#options.lastHopeMs ?? 60_000;
      Object.assign(headers, childHeaders(Math.min(request.remainingMs ?? lastHopeMs, lastHopeMs)));
    }
    return headers;
  }

  async #judge(
    answer: Dispatcher.ResponseData,
    request: UpstreamRequest,
    place: { upstream: string; signal: AbortSignal },
    startedAtMs: number,
    release: () => void,
  ): Promise<UpstreamAnswer> {
    const { statusCode: status, headers, body: readable } = answer;
    const contentType = headerOf(headers, 'content-type') ?? '';
    if (status !== 200 && status !== 206) throw await this.#refusal(answer, contentType);
    const judged = placeOf(status, headers, request);
    if ('code' in judged) {
      readable.on('error', () => {});
      readable.destroy();
      throw new UpstreamError(this.name, judged.code, judged.message, { status });
    }
    const { offset, contentLength, totalBytes } = judged;
    const { body, cancel } = answerBody(readable, contentLength, place, release);
    return {
      upstream: this.name,
      contentLength,
      offset,
      totalBytes,
      idleMs: this.#idleMs,
      contentType,
      headers: evidenceHeaders(headers),
      etag: headerOf(headers, 'etag'),
      lastModified: headerOf(headers, 'last-modified'),
      firstByteMs: this.#clock.monotonic() - startedAtMs,
      body,
      cancel,
    };
  }

  async #refusal(answer: Dispatcher.ResponseData, contentType: string): Promise<UpstreamError> {
    const { statusCode: status, headers } = answer;
    const retryAfterMs = retryAfterOf(headers, this.#clock.now());
    const line = await quotableLine(answer.body, contentType, this.#clock);
    const text = line === undefined ? `status ${status}` : `status ${status}: ${line}`;
    // A parent's Retry-After is then about its sources, and no reason to wait for the parent.
    const details = isSourcesFault(status, headers)
      ? { status, isSourcesFault: true }
      : { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    if (status === 404 || status === 410) {
      const code = status === 404 ? 'absent' : 'gone';
      return new UpstreamError(this.name, code, text, { ...details, isPartial: isPartialAbsence(headers) });
    }
    if (status === 508)
      return new UpstreamError(this.name, 'loop', 'it leads back to this server (508)', details);
    return new UpstreamError(this.name, 'status', text, details);
  }
}

/**
 * A kept connection that the server closed just as we used it says nothing about the server: Go's client, too,
 * asks once more. Bytes read before on that socket tell it from a server that closes every connection.
 */
function isStaleConnection(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  if (error.code !== 'UND_ERR_SOCKET' || !('socket' in error)) return false;
  const { socket } = error;
  return (
    typeof socket === 'object' && socket !== null && 'bytesRead' in socket && Number(socket.bytesRead) > 0
  );
}
