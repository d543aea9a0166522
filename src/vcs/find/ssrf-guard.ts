/**
 * What a module path, a page or a redirect may make this server connect to. They are all chosen by whoever asks or by
 * a stranger's site, so they must not lead into this machine or network, nor to a cloud's metadata service.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { compilePatterns } from '../../gomod/module-pattern.ts';
import { raceAbort } from '../../lib/abort.ts';
import { messageOf } from '../../lib/errors.ts';
import { innerAddressCode, tcpFault } from '../../outbound/connect-error.ts';
import { bareHost } from '../../outbound/network-address.ts';
import { VcsError } from '../types.ts';
import {
  type AddressKind,
  type AddressList,
  addressKind,
  addressList,
  literalAddress,
} from './address-kind.ts';

/** All addresses of a name. Rejects as `dns.lookup` does. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export interface SsrfGuardOptions {
  /** Ports besides 443, 80 and 22. Default: none. */
  readonly allowPorts?: readonly number[];
  /**
   * Addresses and CIDR ranges that may be reached although they are inside. A metadata address must itself stand here:
   * no range opens it. Default: none.
   */
  readonly allowAddresses?: readonly string[];
  /**
   * Host globs (`git.corp.example`, `*.corp.example`) whose names may lead to private addresses and to this machine.
   * Default: none.
   */
  readonly allowHosts?: readonly string[];
  /** Hosts that the operator speaks of elsewhere (rules, private routes): may be at private addresses. Default: none. */
  readonly trustedHosts?: (host: string) => boolean;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** Where a checked URL leads. */
export interface CheckedTarget {
  readonly host: string;
  readonly port: number;
  /** What to connect to instead of looking the name up again; empty where an outbound proxy looks it up. */
  readonly addresses: readonly string[];
}

export interface CheckOptions {
  /** Plain http may be used for it. */
  readonly isInsecure: boolean;
  /** A proxy looks up its name: then only names and literal addresses can be judged here. */
  readonly isProxied: boolean;
  /** The operator chose this host by a rule: it may be at private addresses. Default: as `trustedHosts` says. */
  readonly isTrusted?: boolean;
  readonly signal: AbortSignal;
}

const usualPorts: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80, 'ssh:': 22 };

/** Names by which clouds call their metadata services; others lead to its addresses, which are refused. */
const metadataNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'metadata.platformequinix.com',
  'instance-data',
  'instance-data.ec2.internal',
]);

export class SsrfGuard {
  readonly #ports: ReadonlySet<number>;
  readonly #addresses: AddressList;
  readonly #isAllowedHost: (host: string) => boolean;
  readonly #isTrusted: (host: string) => boolean;
  readonly #resolve: Resolve;

  constructor(options: SsrfGuardOptions = {}) {
    this.#ports = new Set([443, 80, 22, ...(options.allowPorts ?? [])]);
    this.#addresses = addressList(options.allowAddresses ?? []);
    this.#isAllowedHost = compilePatterns((options.allowHosts ?? []).join(','));
    this.#isTrusted = options.trustedHosts ?? (() => false);
    this.#resolve = options.resolve ?? resolveBySystem;
  }

  /**
   * Scheme, port, name and every address of a URL. Rejects with VcsError `refused` or `dns`, or the signal's reason.
   * `what` begins the sentence, e.g. `the go-import page of x.example/y`.
   */
  async check(url: URL, what: string, options: CheckOptions): Promise<CheckedTarget> {
    const { host, port } = this.checkStatic(url, what, options);
    const literal = literalAddress(host);
    if (literal !== undefined) return { host, port, addresses: [literal] };
    if (options.isProxied) return { host, port, addresses: [] };
    let found: readonly LookupAddress[];
    try {
      found = await raceAbort(this.#resolve(host), options.signal);
    } catch (error) {
      options.signal.throwIfAborted();
      throw new VcsError('dns', `${what}: ${host}: ${tcpFault(error).message}`, { cause: error });
    }
    const fault = this.#faultOfAll(host, found, options.isTrusted);
    if (fault !== undefined) throw new VcsError('refused', `${what}: ${fault}`);
    return { host, port, addresses: found.map(({ address }) => address) };
  }

  /** As far as it goes without looking up a name. Throws VcsError `refused`. */
  checkStatic(
    url: URL,
    what: string,
    { isInsecure, isTrusted }: Pick<CheckOptions, 'isInsecure' | 'isTrusted'>,
  ): { host: string; port: number } {
    const refuse = (why: string): never => {
      throw new VcsError('refused', `${what}: ${why}`);
    };
    const usualPort = usualPorts[url.protocol];
    if (usualPort === undefined || (url.protocol === 'http:' && !isInsecure)) {
      const scheme = JSON.stringify(url.protocol.replace(/:$/, '').slice(0, 20));
      refuse(`the scheme ${scheme} is not allowed; only https and ssh are`);
    }
    const host = bareHost(decodedHost(url.hostname));
    // A name that ssh or git could take for an option, or that is none at all.
    if (!/^[a-z0-9_:]([a-z0-9._:-]*[a-z0-9_:])?$/.test(host) || host.includes('..')) {
      refuse(`${JSON.stringify(host.slice(0, 100))} is no host name`);
    }
    const port = url.port === '' ? (usualPort ?? 0) : Number(url.port);
    if (!this.#ports.has(port)) refuse(`port ${port} is not allowed; the setting allow_ports opens it`);
    if (metadataNames.has(host)) refuse(`${host} is a cloud's metadata service`);
    const literal = literalAddress(host);
    const fault = literal === undefined ? this.#faultOfName(host) : this.#faultOf(host, literal, isTrusted);
    if (fault !== undefined) refuse(fault);
    return { host, port };
  }

  /**
   * For sockets: what is connected to is what was judged, whatever the name meant a moment before. Gives an error with
   * `innerAddressCode` for a refused one.
   */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#resolve(host).then(
      (found) => {
        const fault = this.#faultOfAll(bareHost(host), found);
        if (fault !== undefined) {
          callback(Object.assign(new Error(fault), { code: innerAddressCode }), '', 4);
          return;
        }
        const wanted = found.filter(({ family }) => !options.family || family === options.family);
        const [first] = wanted;
        if (first === undefined) callback(notFound(host), '', 4);
        else if (options.all === true) callback(null, [...wanted]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(messageOf(error)), '', 4);
      },
    );
  };

  #faultOfName(host: string): string | undefined {
    const isOwn = host === 'localhost' || host.endsWith('.localhost');
    return isOwn && !this.#isAllowedHost(host) ? faultText(host, 'loopback') : undefined;
  }

  /** One bad address is enough: a mix of good and bad ones is how such checks are got round. */
  #faultOfAll(host: string, found: readonly LookupAddress[], isTrusted?: boolean): string | undefined {
    for (const { address } of found) {
      const fault = this.#faultOf(host, literalAddress(address) ?? address, isTrusted);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #faultOf(host: string, address: string, isTrusted = this.#isTrusted(host)): string | undefined {
    const kind = addressKind(address) ?? 'reserved';
    if (kind === 'public' || this.#addresses.names(address)) return undefined;
    if (kind === 'metadata') return faultText(host, kind);
    if (this.#addresses.has(address)) return undefined;
    const isNamed = this.#isAllowedHost(host);
    if (kind === 'private' && (isNamed || isTrusted)) return undefined;
    return kind === 'loopback' && isNamed ? undefined : faultText(host, kind);
  }
}

const kindTexts: Readonly<Record<AddressKind, string>> = {
  public: 'an address outside',
  private: 'an address inside a private network',
  loopback: 'this machine itself',
  'link-local': 'a link-local address',
  metadata: "a cloud's metadata service",
  multicast: 'a multicast address',
  unspecified: 'no address of a server',
  reserved: 'no address of a server',
};

/** The address itself is not told: what names mean inside is nobody's business outside. */
function faultText(host: string, kind: AddressKind): string {
  return `${host} leads to ${kindTexts[kind]}; if it is meant to, allow it by allow_hosts or allow_addresses`;
}

/** ssh URLs keep percent escapes in host names. */
function decodedHost(hostname: string): string {
  try {
    return decodeURIComponent(hostname);
  } catch {
    return hostname;
  }
}

function notFound(host: string): Error {
  return Object.assign(new Error(`no address of ${host}`), { code: 'ENOTFOUND' });
}

function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
}
