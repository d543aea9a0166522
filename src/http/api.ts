/**
 * Everything below `/-/v1/`: small requests and JSON answers, decided by the gate like everything else. What an
 * endpoint does is not known here.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Identity, Right } from '../access/types.ts';
import type { Exchange } from './exchange.ts';
import type { Gate } from './gate.ts';

export interface ApiAsk {
  /** What stands behind `/-/v1/` and the endpoint's own name: '' or one part. */
  readonly rest: string;
  readonly headers: IncomingHttpHeaders;
  /** As sent, at most 1 MiB. */
  readonly body: Buffer;
  readonly identity: Identity;
  /** Where it comes from, trusted proxies taken into account; '' for a Unix socket. */
  readonly address: string;
  readonly signal: AbortSignal;
}

export interface ApiReply {
  readonly status: number;
  /** Becomes JSON; a string is sent as plain text. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** First part of the path. */
  readonly name: string;
  /** True: one more part must follow. Default false. */
  readonly hasRest?: boolean;
  /**
   * Who may: a right on the server as a whole, `known` for everybody with an identity, or `own`, where the endpoint
   * proves by itself who asks (a signature, an ID token).
   */
  readonly may: Right | 'known' | 'own';
  answer(ask: ApiAsk): Promise<ApiReply> | ApiReply;
}

const maxBodyBytes = 1024 * 1024;

/** Makes the entrance of the handler out of endpoints. */
export function createApi(endpoints: readonly Endpoint[]) {
  return async (exchange: Exchange, name: string, gate: Gate, signal: AbortSignal): Promise<void> => {
    const [first = '', rest = '', ...more] = name.split('/');
    const there = endpoints.filter(
      (endpoint) =>
        endpoint.name === first && (endpoint.hasRest === true) === (rest !== '') && more.length === 0,
    );
    if (there.length === 0) {
      exchange.text(404, 'there is no such thing below /-/v1/\n');
      return;
    }
    const endpoint = there.find(({ method }) => method === exchange.request.method);
    if (endpoint === undefined) {
      const allow = there.map(({ method }) => method).join(', ');
      exchange.text(405, `${allow} only here\n`, { allow });
      return;
    }
    const admitted = await admit(exchange, endpoint, gate, signal);
    if (admitted === undefined) return;
    const body = endpoint.method === 'GET' ? Buffer.alloc(0) : await readBody(exchange.request);
    if (body === undefined) {
      exchange.text(413, 'the body is larger than 1 MiB\n');
      return;
    }
    const { headers } = exchange.request;
    const reply = await endpoint.answer({ rest, headers, body, signal, ...admitted });
    const { body: said } = reply;
    const isText = typeof said === 'string';
    const text = isText ? said : `${JSON.stringify(said)}\n`;
    exchange.text(reply.status, text, {
      'cache-control': 'no-store',
      ...(isText ? {} : { 'content-type': 'application/json' }),
      ...reply.headers,
    });
  };
}

async function admit(
  exchange: Exchange,
  { may }: Endpoint,
  gate: Gate,
  signal: AbortSignal,
): Promise<{ identity: Identity; address: string } | undefined> {
  if (may === 'own') return gate.unjudged(exchange);
  if (may === 'known') return gate.identify(exchange, signal);
  const admitted = await gate.admit(exchange, { right: may, path: undefined }, signal);
  return admitted === 'unserved' ? undefined : admitted;
}

/**
 * Undefined: larger than 1 MiB. What is too much is read and dropped: a client that still sends would see a broken
 * connection in place of the answer. Rejects when the client goes away.
 */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    sizeBytes += bytes.length;
    if (sizeBytes > maxBodyBytes) chunks.length = 0;
    else chunks.push(bytes);
  }
  return sizeBytes > maxBodyBytes ? undefined : Buffer.concat(chunks);
}
