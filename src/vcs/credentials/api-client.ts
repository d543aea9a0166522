/**
 * Questions to the API of a forge: JSON over the same connections as everything else (outbound proxy, authorities),
 * with a deadline and a bounded answer. Redirects are not followed: credentials go to one server only.
 */
import { lookup } from 'node:dns';
import type { Dispatcher } from 'undici';
import { raceAbort, reasonOf } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { ConnectError, type ConnectFault } from '../../outbound/connect-error.ts';
import { Connector } from '../../outbound/connector.ts';
import { PacError } from '../../outbound/pac-answer.ts';
import type { ProxyHop, ProxyRule } from '../../outbound/proxy-rule.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import { Agent } from '../../outbound/undici-parts.ts';
import { VcsError, type VcsErrorCode } from '../types.ts';

export interface ApiConnections {
  readonly proxy: ProxyRule;
  /** PEM file of further authorities. */
  readonly caFile: string | undefined;
  /** For each step of a connection. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

export interface ApiQuestion {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface ApiAnswer {
  readonly status: number;
  /** Of the body; undefined where it is none. */
  readonly json: unknown;
  /** The server's clock, milliseconds since the epoch; undefined when it does not tell. */
  readonly dateMs: number | undefined;
}

const maxAnswerBytes = 1024 * 1024;
const answerWithinMs = 30_000;

const codes: Readonly<Record<ConnectFault, VcsErrorCode>> = {
  dns: 'dns',
  connect: 'connect',
  tls: 'tls',
  proxy: 'proxy',
  proxy_auth: 'proxy',
  inner_address: 'refused',
};

/** Rejects with VcsError (`dns`, `connect`, `tls`, `proxy`, `timeout`, `failed`) or the signal's reason. */
export async function askApi(question: ApiQuestion, connections: ApiConnections): Promise<ApiAnswer> {
  const { url, signal } = question;
  const { clock } = connections;
  const late = new AbortController();
  const timer = clock.setTimeout(() => late.abort(), answerWithinMs);
  const ended = AbortSignal.any([signal, late.signal]);
  try {
    return await askByRule(question, connections, ended);
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (error instanceof VcsError) throw error;
    const place = `the API at ${url.host}`;
    if (late.signal.aborted) {
      throw new VcsError('timeout', `${place} did not answer within ${answerWithinMs / 1000} s`);
    }
    if (error instanceof ConnectError) {
      throw new VcsError(codes[error.code], `${place}: ${error.message}`, { cause: error });
    }
    if (error instanceof PacError)
      throw new VcsError('proxy', `${place}: ${error.message}`, { cause: error });
    throw new VcsError('failed', `${place} broke off its answer (${messageOf(error, 120)})`, {
      cause: error,
    });
  } finally {
    timer.cancel();
  }
}

async function askByRule(
  question: ApiQuestion,
  connections: ApiConnections,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const { caFile, clock, connectTimeoutMs, proxy } = connections;
  const tls = new TlsFiles({ caFile, clientCertificate: undefined, clock });
  const hops = await raceAbort(Promise.resolve(proxy(question.url)), signal);
  let first: unknown;
  for (const hop of hops) {
    const connector = new Connector({ tls, timeoutMs: connectTimeoutMs, clock });
    try {
      return await askThrough(hop, connector, question, signal);
    } catch (error) {
      if (hop === 'direct' || !(error instanceof ConnectError) || error.code !== 'proxy') throw error;
      first ??= error;
    } finally {
      connector.close();
    }
  }
  throw first;
}

async function askThrough(
  hop: ProxyHop,
  connector: Connector,
  { method, url, headers, body }: ApiQuestion,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const connect = hop === 'direct' ? connector.straight(true, lookup) : connector.through(hop, true, lookup);
  const agent = new Agent({ connect, connections: 1, allowH2: false });
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body ?? null,
      signal,
      headersTimeout: answerWithinMs,
      bodyTimeout: answerWithinMs,
    });
    const date = answer.headers['date'];
    const dateMs = typeof date === 'string' ? Date.parse(date) : Number.NaN;
    return {
      status: answer.statusCode,
      json: parseJson(await bodyOf(answer, url)),
      dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
    };
  } finally {
    await agent.destroy().catch(() => {});
  }
}

async function bodyOf({ body }: Dispatcher.ResponseData, url: URL): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxAnswerBytes) {
      throw new VcsError('failed', `the API at ${url.host} sends over ${maxAnswerBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
