/**
 * Asks one mirror and times it. A failure is part of the measurement, so nothing but the caller's own signal rejects.
 */
import type { IncomingMessage } from 'node:http';
import { raceAbort, reasonOf } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError, messageOf } from '../../lib/errors.ts';
import { isInnerHost } from '../../outbound/network-address.ts';
import { proxyAuthorization } from '../../outbound/proxy-address.ts';
import type { ProxyHop } from '../../outbound/proxy-rule.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import { headerOf, isRedirect, redirectTarget } from '../../upstream/answer-head.ts';
import { authorizationOf } from '../../upstream/credentials.ts';
import type { BenchFault, BenchMirror, Measured } from './bench-types.ts';
import { faultOf, MeasureError } from './measure-fault.ts';
import { MeasuredAgent, type MeasuredRequestArgs } from './measured-agent.ts';
import { Exchange, StaleConnection } from './timed-exchange.ts';

export interface MeasureRequest {
  /** Path under the mirror's base, escaped, starting with `/`. */
  readonly target: string;
  /** A connection of its own; else one that is kept, where there is one. */
  readonly isFresh: boolean;
  /** Of the body. */
  readonly maxBytes: number;
  /** Gets the body of a 200 in pieces, and is waited for. */
  readonly onBody: (chunk: Buffer) => Promise<void> | void;
}

export interface MirrorClientOptions {
  readonly mirror: BenchMirror;
  /** Of this modferry, for `User-Agent`. */
  readonly version: string;
  /** For one request with its redirects and its body. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const maxRedirects = 5;
/** Bodies nobody wants are read so far to keep the connection. */
const maxIgnoredBytes = 64 * 1024;
/** The request's own deadline tells more than that of a single step, so it comes first. */
const stepGraceMs = 1000;

export class MirrorClient {
  readonly #options: MirrorClientOptions;
  readonly #base: URL;
  readonly #tls: TlsFiles;
  readonly #kept = new Map<string, MeasuredAgent>();
  #isInner: boolean;

  /** Throws ModferryError `ca_file` or `client_certificate` when a file cannot be used. */
  constructor(options: MirrorClientOptions) {
    this.#options = options;
    this.#base = new URL(options.mirror.url);
    this.#tls = new TlsFiles({ ...options.mirror, clock: options.clock });
    this.#isInner = isInnerHost(this.#base.hostname);
  }

  /** Rejects only with the signal's reason, or with ModferryError `scratch` when `onBody` does. */
  async measure(request: MeasureRequest, signal: AbortSignal): Promise<Measured> {
    signal.throwIfAborted();
    const { clock, timeoutMs } = this.#options;
    const exchange = new Exchange(clock);
    const onAbort = (): void => exchange.end(reasonOf(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = clock.setTimeout(() => exchange.endLate(timeoutMs), timeoutMs);
    let fault: BenchFault | null = null;
    try {
      await this.#follow(request, exchange);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ScratchError) throw error;
      fault = faultOf(exchange.endedBy ?? error, exchange.hasHead);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      // What is left of a failure must not keep its connection; a whole answer's is kept by its agent.
      if (fault !== null && fault.kind !== 'status') exchange.steps.destroy();
      exchange.steps.release();
    }
    return exchange.measured(fault);
  }

  /** Ends all kept connections. */
  close(): void {
    for (const agent of this.#kept.values()) agent.destroy();
    this.#kept.clear();
  }

  async #follow(request: MeasureRequest, exchange: Exchange): Promise<void> {
    const { mirror } = this.#options;
    let target = new URL(`${this.#base.href.replace(/\/+$/, '')}${request.target}`);
    for (;;) {
      const response = await this.#ask(target, request, exchange);
      const status = response.statusCode ?? 0;
      if (status === 407 && exchange.isProxied) {
        await ignoreBody(response);
        throw new MeasureError('proxy', 'the outbound proxy does not accept our credentials (407)');
      }
      if (!isRedirect(status)) {
        await readAnswer(response, request, exchange);
        return;
      }
      await ignoreBody(response);
      if (exchange.redirects >= maxRedirects) {
        throw new MeasureError('redirect', `redirects more than ${maxRedirects} times`);
      }
      target = redirectTarget(mirror.name, target, response.headers, this.#isInner);
      exchange.redirected();
    }
  }

  async #ask(target: URL, request: MeasureRequest, exchange: Exchange): Promise<IncomingMessage> {
    const { mirror, version } = this.#options;
    const hop = await this.#hopTo(target, exchange);
    const isForwarded = hop !== 'direct' && hop.kind !== 'socks5' && target.protocol === 'http:';
    exchange.isProxied ||= hop !== 'direct';
    const isOwn = target.origin === this.#base.origin;
    const proxyLogin = isForwarded ? proxyAuthorization(hop) : undefined;
    const path = `${target.pathname}${target.search}`;
    const agent = this.#agent(target, hop, request.isFresh);
    const args: MeasuredRequestArgs = {
      agent,
      steps: exchange.steps,
      host: target.hostname,
      port: target.port,
      path: isForwarded ? `${target.origin}${path}` : path,
      headers: {
        host: target.host,
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': `modferry/${version} (bench)`,
        // Credentials are the mirror's own, not for where it sends us.
        ...(isOwn && mirror.auth !== undefined ? { authorization: authorizationOf(mirror.auth) } : {}),
        ...(proxyLogin === undefined ? {} : { 'proxy-authorization': proxyLogin }),
      },
    };
    try {
      return await exchange.send(args);
    } catch (error) {
      // The server may close a kept connection at any time: that is no failure, and every client asks again.
      if (!(error instanceof StaleConnection)) throw error;
      return await exchange.send({ ...args, agent: this.#agent(target, hop, true) });
    }
  }

  /** Of a PAC script's list the first way is measured. */
  async #hopTo(target: URL, exchange: Exchange): Promise<ProxyHop> {
    exchange.steps.waitsFor = 'outbound proxy';
    try {
      const chosen = this.#options.mirror.proxy(target);
      const [hop = 'direct'] = chosen instanceof Promise ? await raceAbort(chosen, exchange.signal) : chosen;
      return hop;
    } catch (error) {
      throw new MeasureError('proxy', `no outbound proxy could be chosen: ${messageOf(error)}`, {
        cause: error,
      });
    } finally {
      exchange.steps.waitsFor = 'first byte';
    }
  }

  #agent(target: URL, hop: ProxyHop, isFresh: boolean): MeasuredAgent {
    const key = `${target.origin} ${hop === 'direct' ? '' : hop.url.reveal()}`;
    const known = isFresh ? undefined : this.#kept.get(key);
    if (known !== undefined) return known;
    const isOwn = target.origin === this.#base.origin;
    const { timeoutMs, clock } = this.#options;
    const agent = new MeasuredAgent({
      target,
      hop,
      targetContext: () => this.#tls.context(isOwn),
      plainContext: () => this.#tls.context(false),
      mayGoInside: isOwn || this.#isInner,
      onInside: () => {
        if (isOwn) this.#isInner = true;
      },
      limit: { timeoutMs: timeoutMs + stepGraceMs, clock },
      isKept: !isFresh,
    });
    // A mirror that redirects to ever new hosts is asked without keeping connections to them.
    if (!isFresh && this.#kept.size < maxKeptAgents) this.#kept.set(key, agent);
    return agent;
  }
}

const maxKeptAgents = 32;

/** Our own disk, not the mirror. */
class ScratchError extends ModferryError<'scratch'> {}

async function readAnswer(
  response: IncomingMessage,
  { maxBytes, onBody }: MeasureRequest,
  exchange: Exchange,
): Promise<void> {
  const status = response.statusCode ?? 0;
  if (status !== 200) {
    await ignoreBody(response);
    throw new MeasureError('status', `status ${status}`);
  }
  const coding = headerOf(response.headers, 'content-encoding');
  if (coding !== undefined && coding !== 'identity') {
    throw new MeasureError('protocol', `sends the body as ${coding.slice(0, 20)}, which nobody asked for`);
  }
  for await (const chunk of response as AsyncIterable<Buffer>) {
    exchange.sizeBytes += chunk.length;
    if (exchange.sizeBytes > maxBytes) {
      throw new MeasureError('too_large', `the body is larger than ${maxBytes} bytes`);
    }
    try {
      await onBody(chunk);
    } catch (error) {
      throw new ScratchError('scratch', `what arrives cannot be kept for checking: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** Never rejects: nobody wants this body. */
async function ignoreBody(response: IncomingMessage): Promise<void> {
  let ignoredBytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      ignoredBytes += chunk.length;
      if (ignoredBytes > maxIgnoredBytes) break;
    }
  } catch {
    // The status has been said.
  }
}
