/**
 * One request and its response: their id, the plain-text ways out, and the one access line at the end. How replies
 * with a body are sent is in `replies.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Operation } from '../proxy/operation.ts';
import type { RequestArtifact, RequestEvents } from '../proxy/request-events.ts';
import { type AnswerCause, hopHeaders } from '../upstream/parent-headers.ts';
import { type AccessLog, byField, fieldsOf } from './access-log.ts';
import { type Hop, hopOf } from './hop.ts';
import { answerFor } from './status.ts';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly accessLog: AccessLog;
  /** Hears of each answer, for metrics. */
  readonly requests: EventBus<RequestEvents>;
  /** Of this modferry, told to other modferries. */
  readonly version: string;
  negativeMaxAgeS(): number;
  onUnexpected(error: unknown, id: string): void;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly url: string;
  /** Set when another modferry asks. */
  readonly hop: Hop | undefined;
  /** Who asks, for the access line; '' while that is not known. */
  by = '';
  /** Not everybody may have what is answered. */
  isGuarded = false;
  readonly #deps: ExchangeDeps;
  readonly #startedAtMs: number;
  #fields = '';
  #artifact: RequestArtifact = 'other';

  constructor(request: IncomingMessage, response: ServerResponse, id: string, deps: ExchangeDeps) {
    this.request = request;
    this.response = response;
    this.id = id;
    this.url = request.url ?? '/';
    this.hop = hopOf(request);
    this.#deps = deps;
    this.#startedAtMs = deps.clock.monotonic();
    if (this.hop === undefined) return;
    // Set ahead of whatever is answered; writeHead adds its own to them.
    response.setHeader(hopHeaders.version, deps.version);
    response.setHeader('x-request-id', id);
  }

  /** Milliseconds since the request came. */
  get elapsedMs(): number {
    return this.#deps.clock.monotonic() - this.#startedAtMs;
  }

  /** JSON fields of what was asked, for the access line. */
  get fields(): string {
    if (this.#fields === '') this.#fields = fieldsOf({ artifact: 'none', path: this.url });
    return this.#fields;
  }

  get artifact(): RequestArtifact {
    return this.#artifact;
  }

  asksFor(what: Operation | { readonly page: string }): void {
    this.#artifact = 'page' in what ? 'page' : what.kind === 'artifact' ? what.key.ext : what.kind;
    this.#fields = 'page' in what ? fieldsOf({ artifact: what.page }) : fieldsOfOperation(what);
  }

  /** A whole answer of plain text, with its access line. */
  text(status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
    const { request, response } = this;
    const body = Buffer.from(text);
    // A body the client is still sending is not read: the connection ends with this answer.
    const close = request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' };
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
      'x-content-type-options': 'nosniff',
      'x-request-id': this.id,
      ...headers,
      ...close,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    this.log(status, body.length, 'none', false);
  }

  /** The answer for an error, by the table in `status.ts`. Nothing may have been sent yet. */
  fail(error: unknown): void {
    const general = answerFor(error, this.#deps.negativeMaxAgeS());
    const answer = this.isGuarded ? { ...general, headers: guarded(general.headers) } : general;
    if (answer.unexpected) this.#deps.onUnexpected(error, this.id);
    if (this.hop === undefined) {
      this.text(answer.status, answer.text, answer.headers);
      return;
    }
    // "Not here, and not asked" is no absence to a child: it would keep it as one, and so would its clients.
    const isUnasked = error instanceof SourcesFailure && error.code === 'not_fetched';
    const cause: AnswerCause | undefined = isUnasked ? 'sources' : answer.cause;
    this.text(isUnasked ? 503 : answer.status, answer.text, {
      ...answer.headers,
      ...(cause === undefined ? {} : { [hopHeaders.cause]: cause }),
      ...(error instanceof SourcesFailure && error.isAbsence && error.partial
        ? { [hopHeaders.partial]: '1' }
        : {}),
    });
  }

  log(
    status: number,
    bytes: number,
    source: string,
    aborted: boolean,
    firstByteMs: number = this.elapsedMs,
  ): void {
    const tookMs = this.elapsedMs;
    const { requests, accessLog } = this.#deps;
    requests.emit('request', {
      artifact: this.#artifact,
      source,
      status,
      bytes,
      tookMs,
      firstByteMs,
      aborted,
    });
    accessLog.add({
      id: this.id,
      method: this.request.method ?? '',
      fields: this.by === '' || this.by === 'anonymous' ? this.fields : `${this.fields},${byField(this.by)}`,
      source,
      status,
      bytes,
      firstByteMs,
      totalMs: tookMs,
      ...(aborted ? { aborted } : {}),
    });
  }
}

/** What not everybody may have is for no cache on the way either. */
function guarded(headers: Readonly<Record<string, string>>): Record<string, string> {
  const policy = headers['cache-control']?.replace(/^public\b/, 'private') ?? 'no-store';
  return { ...headers, 'cache-control': policy, vary: 'Authorization' };
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
