/**
 * The sockets of one upstream: a pool for its own server, one for servers it redirects to, and the same for each
 * outbound proxy. What goes to foreign servers straight refuses to connect into this machine's or network's inside
 * when the upstream itself is outside: a public mirror must not make us ask internal services.
 */
import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { buildConnector, Dispatcher } from 'undici';
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { ConnectError, innerAddressCode } from './connect-error.ts';
import { Connector } from './connector.ts';
import { authenticationFault } from './http-tunnel.ts';
import { isInnerHost } from './network-address.ts';
import { hostPort, type OutboundProxy, proxyAuthorization } from './proxy-address.ts';
import type { ProxyHop, ProxyRule } from './proxy-rule.ts';
import { type ClientCertificateFiles, TlsFiles } from './tls-files.ts';
import { Agent, Pool } from './undici-parts.ts';

export interface DispatcherOptions {
  readonly base: URL;
  readonly proxy: ProxyRule;
  /** For each step of a connection: TCP, the proxy's answer, TLS. */
  readonly connectTimeoutMs: number;
  /** Sockets to one server at most. */
  readonly maxConnections: number;
  /** How long an unused socket is kept. */
  readonly keepAliveMs: number;
  /** PEM file with further certificate authorities, beside the default ones. */
  readonly caFile: string | undefined;
  /** Shown to the upstream's own server only. */
  readonly clientCertificate: ClientCertificateFiles | undefined;
  readonly clock: Clock;
}

/** One GET, as far as sending it goes. */
export interface SendOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Until the status line. */
  readonly headersTimeoutMs: number;
  /** Without a byte of the body. */
  readonly bodyTimeoutMs: number;
}

/** Node's and undici's usual limit, said here because `protocol` errors depend on it. */
const maxHeaderBytes = 16 * 1024;
/** A PAC script may name proxies without end. */
const maxPools = 32;
/** A proxy that could not be used is tried after the others of its list for this long. */
const avoidMs = 60_000;

export class Dispatchers {
  readonly #options: DispatcherOptions;
  readonly #connector: Connector;
  readonly #made: LRUCache<string, Dispatcher>;
  readonly #avoidedUntilMs = new LRUCache<string, number>({ max: 100 });
  #isInner: boolean;

  /** Throws ModferryError `ca_file` or `client_certificate` when a file cannot be used. */
  constructor(options: DispatcherOptions) {
    this.#options = options;
    const tls = new TlsFiles(options);
    this.#connector = new Connector({ tls, timeoutMs: options.connectTimeoutMs, clock: options.clock });
    this.#isInner = isInnerHost(options.base.hostname);
    this.#made = new LRUCache<string, Dispatcher>({
      max: maxPools,
      dispose: (dispatcher) => void dispatcher.close().catch(() => {}),
    });
  }

  /** True when the upstream stands inside: by its literal address, or by what its name was resolved to. */
  get isInner(): boolean {
    return this.#isInner;
  }

  /**
   * Sends one GET by the way its rule says, and by the next one of a list where a proxy cannot be used. Rejects with
   * ConnectError, with what the rule rejects with, or as undici does.
   */
  async request(target: URL, options: SendOptions): Promise<Dispatcher.ResponseData> {
    const chosen = this.#options.proxy(target);
    const hops = chosen instanceof Promise ? await raceAbort(chosen, options.signal) : chosen;
    if (hops.length === 1) return await this.#send(hops[0] ?? 'direct', target, options);
    let first: unknown;
    for (const hop of this.#avoidedLast(hops, target)) {
      try {
        return await this.#send(hop, target, options);
      } catch (error) {
        if (hop === 'direct' || !(error instanceof ConnectError) || error.code !== 'proxy') throw error;
        const key = avoidKey(hop, error.isProxyDown ? undefined : target);
        this.#avoidedUntilMs.set(key, this.#options.clock.monotonic() + avoidMs);
        first ??= error;
        if (options.signal.aborted) break;
      }
    }
    throw first;
  }

  /** Ends every socket at once, those in use too. Never rejects. */
  async close(): Promise<void> {
    const all = [...this.#made.values()];
    await Promise.allSettled(all.map((dispatcher) => dispatcher.destroy()));
    this.#connector.close();
    this.#made.clear();
  }

  #avoidedLast(hops: readonly ProxyHop[], target: URL): ProxyHop[] {
    const nowMs = this.#options.clock.monotonic();
    const isAvoided = (hop: ProxyHop): boolean =>
      hop !== 'direct' &&
      [avoidKey(hop, undefined), avoidKey(hop, target)].some(
        (key) => (this.#avoidedUntilMs.get(key) ?? 0) > nowMs,
      );
    return [...hops.filter((hop) => !isAvoided(hop)), ...hops.filter(isAvoided)];
  }

  async #send(hop: ProxyHop, target: URL, options: SendOptions): Promise<Dispatcher.ResponseData> {
    const { headers, signal, headersTimeoutMs, bodyTimeoutMs } = options;
    const path = `${target.pathname}${target.search}`;
    const common = { method: 'GET', signal, headersTimeout: headersTimeoutMs, bodyTimeout: bodyTimeoutMs };
    if (hop !== 'direct' && hop.kind !== 'socks5' && target.protocol === 'http:') {
      return await this.#forward(hop, target, { ...common, path: `${target.origin}${path}` }, headers);
    }
    const isOwn = target.origin === this.#options.base.origin;
    const dispatcher = hop === 'direct' ? this.#straight(isOwn) : this.#through(hop, isOwn);
    return await dispatcher.request({ ...common, headers, origin: target.origin, path });
  }

  /** Plain http goes to the proxy as a request for the whole URL, as every client does it. */
  async #forward(
    proxy: OutboundProxy,
    target: URL,
    request: Omit<Dispatcher.RequestOptions, 'origin' | 'headers'>,
    headers: Readonly<Record<string, string>>,
  ): Promise<Dispatcher.ResponseData> {
    // Only names the pool: TLS to the proxy is the connector's affair.
    const origin = `http://${hostPort(proxy.host, proxy.port)}`;
    const connect = (): buildConnector.connector => this.#connector.toProxy(proxy, lookup);
    const pool = this.#once(
      `to ${proxy.url.reveal()}`,
      () => new Pool(origin, { ...this.#common(), connect: connect() }),
    );
    const authorization = proxyAuthorization(proxy);
    const answer = await pool.request({
      ...request,
      origin,
      headers: {
        ...headers,
        host: target.host,
        ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
      },
    });
    if (answer.statusCode !== 407) return answer;
    answer.body.on('error', () => {}).destroy();
    throw authenticationFault(proxy);
  }

  #straight(isOwn: boolean): Dispatcher {
    return this.#once(isOwn ? 'own' : 'foreign', () => {
      const lookupFor = isOwn ? this.#watchingLookup : this.#guardedLookup;
      return new Agent({ ...this.#common(), connect: this.#connector.straight(isOwn, lookupFor) });
    });
  }

  #through(proxy: OutboundProxy, isOwn: boolean): Dispatcher {
    return this.#once(`${isOwn ? 'own' : 'foreign'} ${proxy.url.reveal()}`, () => {
      // The only name looked up is the proxy's, and proxies stand inside.
      const connect = this.#connector.through(proxy, isOwn, lookup);
      return new Agent({ ...this.#common(), connect });
    });
  }

  #once(key: string, make: () => Dispatcher): Dispatcher {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#made.set(key, made);
    return made;
  }

  #common() {
    const { maxConnections, keepAliveMs } = this.#options;
    return {
      connections: maxConnections,
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      allowH2: false,
    };
  }

  readonly #watchingLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      if (error === null && addressesOf(address).some(isInnerHost)) this.#isInner = true;
      callback(error, address, family);
    });
  };

  readonly #guardedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, options, (error, address, family) => {
      if (error === null && !this.#isInner && addressesOf(address).some(isInnerHost)) {
        const refused = new Error(`${hostname} is an address inside this network`);
        callback(Object.assign(refused, { code: innerAddressCode }), address, family);
        return;
      }
      callback(error, address, family);
    });
  };
}

/** A proxy that is down is avoided for every target; one that refused, for that target. */
function avoidKey(proxy: OutboundProxy, target: URL | undefined): string {
  return `${proxy.url.reveal()} ${target?.host ?? ''}`;
}

function addressesOf(address: string | LookupAddress[]): string[] {
  return typeof address === 'string' ? [address] : address.map((one) => one.address);
}
