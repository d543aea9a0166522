/**
 * The sockets of one upstream: a pool for its own server, one for servers it redirects to, one for each outbound
 * proxy. The pool for foreign servers refuses to connect into this machine's or network's inside when the upstream
 * itself is outside: a public mirror must not make us ask internal services.
 */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import type { Agent as AgentType, Dispatcher, Pool as PoolType, ProxyAgent as ProxyAgentType } from 'undici';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { isInnerHost } from './network-address.ts';
import type { OutboundProxy, ProxyRule } from './proxy-rule.ts';
import { Agent, Pool, ProxyAgent } from './undici-parts.ts';

export interface DispatcherOptions {
  readonly base: URL;
  readonly proxy: ProxyRule;
  readonly connectTimeoutMs: number;
  /** Sockets to one server at most. */
  readonly maxConnections: number;
  /** How long an unused socket is kept. */
  readonly keepAliveMs: number;
  /** PEM file with further certificate authorities, beside the default ones. */
  readonly caFile: string | undefined;
}

/** Node's and undici's usual limit, said here because `protocol` errors depend on it. */
const maxHeaderBytes = 16 * 1024;

/** What the guarded look-up fails with. */
export const innerAddressCode = 'EINNERADDRESS';

export interface Route {
  readonly dispatcher: Dispatcher;
  readonly proxy: OutboundProxy | undefined;
}

export class Dispatchers {
  readonly #options: DispatcherOptions;
  readonly #ca: string[] | undefined;
  readonly #made = new Map<string, Dispatcher>();
  #isInner: boolean;

  /** Throws ModferryError `ca_file` when the file cannot be read or holds no certificate. */
  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#ca = options.caFile === undefined ? undefined : authorities(options.caFile);
    this.#isInner = isInnerHost(options.base.hostname);
  }

  /** True when the upstream stands inside: by its literal address, or by what its name was resolved to. */
  get isInner(): boolean {
    return this.#isInner;
  }

  routeTo(target: URL): Route {
    const proxy = this.#options.proxy(target);
    if (proxy !== undefined) {
      const dispatcher = this.#once(`proxy ${proxy.shown}`, () => this.#proxyAgent(proxy));
      return { dispatcher, proxy };
    }
    const isOwn = target.origin === this.#options.base.origin;
    const dispatcher = this.#once(isOwn ? 'own' : 'foreign', () => this.#agent(isOwn));
    return { dispatcher, proxy: undefined };
  }

  /** Ends every socket at once, those in use too. Never rejects. */
  async close(): Promise<void> {
    const all = [...this.#made.values()];
    this.#made.clear();
    await Promise.allSettled(all.map((dispatcher) => dispatcher.destroy()));
  }

  #once(key: string, make: () => Dispatcher): Dispatcher {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#made.set(key, made);
    return made;
  }

  #common() {
    const { connectTimeoutMs, maxConnections, keepAliveMs } = this.#options;
    return {
      connections: maxConnections,
      connectTimeout: connectTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      // HTTP/1.1 only: a stalled stream must not stall its neighbours on one connection.
      allowH2: false,
    };
  }

  #agent(isOwn: boolean): AgentType {
    const ca = this.#ca === undefined ? {} : { ca: this.#ca };
    const lookup = isOwn ? this.#watchingLookup : this.#guardedLookup;
    return new Agent({ ...this.#common(), connect: { ...ca, lookup } });
  }

  #proxyAgent(proxy: OutboundProxy): ProxyAgentType {
    const { connectTimeoutMs, maxConnections } = this.#options;
    const tls = this.#ca === undefined ? {} : { requestTls: { ca: this.#ca }, proxyTls: { ca: this.#ca } };
    return new ProxyAgent({
      ...this.#common(),
      ...tls,
      uri: proxy.url.reveal(),
      // A proxy that accepts the connection and never answers CONNECT would otherwise hold it for 5 minutes.
      clientFactory: (origin, options) =>
        new Pool(origin, {
          ...(options as PoolType.Options),
          connections: maxConnections,
          connectTimeout: connectTimeoutMs,
          headersTimeout: connectTimeoutMs,
        }),
    });
  }

  readonly #watchingLookup = (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    lookup(hostname, options, (error, address, family) => {
      if (error === null && addressesOf(address).some(isInnerHost)) this.#isInner = true;
      callback(error, address, family);
    });
  };

  readonly #guardedLookup = (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
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

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

function addressesOf(address: string | LookupAddress[]): string[] {
  return typeof address === 'string' ? [address] : address.map((one) => one.address);
}

function authorities(caFile: string): string[] {
  let text: string;
  try {
    text = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw new ModferryError('ca_file', `${caFile} cannot be read: ${messageOf(error)}; name a PEM file`);
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ModferryError('ca_file', `${caFile} holds no certificate; name a file in PEM form`);
  }
  return [...getCACertificates('default'), text];
}
