/** What the bench measures and what it keeps of each measurement. All times in milliseconds. */
import type { ModulePath, Version } from '../../gomod/types.ts';
import type { ProxyRule } from '../../outbound/proxy-rule.ts';
import type { ClientCertificateFiles } from '../../outbound/tls-files.ts';
import type { UpstreamAuth } from '../../upstream/credentials.ts';

/** What is asked for, in the order of one round. `latest` only for modules asked for as `@latest`. */
export const benchKinds = ['latest', 'list', 'info', 'mod', 'zip'] as const;
export type BenchKind = (typeof benchKinds)[number];

export interface BenchModule {
  readonly path: ModulePath;
  /** `latest`: each mirror says which version that is. */
  readonly query: Version | 'latest';
  /** Of the zip, where it is known beforehand: then it judges, not the majority. */
  readonly zipH1?: string;
}

/** One mirror and how it is reached. */
export interface BenchMirror {
  /** Unique; never with credentials. */
  readonly name: string;
  /** Base URL without credentials and without a slash at the end. */
  readonly url: string;
  /** Private modules may be asked of it. */
  readonly isPrivate: boolean;
  readonly auth?: UpstreamAuth | undefined;
  readonly proxy: ProxyRule;
  readonly caFile: string | undefined;
  readonly clientCertificate: ClientCertificateFiles | undefined;
}

/**
 * One request's times. Each step has its own time, so curl's `time_connect` is `dnsMs + connectMs`. A step that did
 * not happen, or that only an outbound proxy could see, is null. Steps of redirects are added up.
 */
export interface RequestTimes {
  /** Looking up the name; 0 for an address. */
  readonly dnsMs: number | null;
  /** TCP. */
  readonly connectMs: number | null;
  /** Speaking with the outbound proxy until the way is open. */
  readonly proxyMs: number | null;
  readonly tlsMs: number | null;
  /** From the start to the last redirect's target being asked; null without redirects. */
  readonly redirectMs: number | null;
  /** From the start to the head of the answer: curl's `time_starttransfer`. */
  readonly firstByteMs: number | null;
  /** From the start to the last byte, or to the failure. */
  readonly totalMs: number;
}

export type BenchFaultKind =
  | 'dns'
  | 'connect' // TCP
  | 'tls'
  | 'proxy' // the outbound proxy, its credentials included
  | 'timeout'
  | 'reset'
  | 'truncated'
  | 'protocol' // not HTTP, or a coding nobody asked for
  | 'redirect' // too many, or one that is not allowed
  | 'status' // any other status than 200
  | 'too_large'
  | 'content' // it came whole, and is not what was asked for
  | 'unresolved'; // not asked: this mirror did not say which version `latest` is

export interface BenchFault {
  readonly kind: BenchFaultKind;
  /** One short sentence without secrets. */
  readonly message: string;
}

/** What one request brought. */
export interface Measured extends RequestTimes {
  readonly status: number | null;
  /** All of its connections were made before. */
  readonly isReused: boolean;
  readonly isProxied: boolean;
  readonly redirects: number;
  /** `address:port` of the last connection: the outbound proxy's where there is one. */
  readonly remoteAddress: string | null;
  /** Bytes of the body. */
  readonly sizeBytes: number;
  readonly fault: BenchFault | null;
}

export interface Sample extends Measured {
  readonly mirror: string;
  readonly module: string;
  /** Undefined for list, and while `latest` is not resolved. */
  readonly version: string | undefined;
  readonly kind: BenchKind;
  /** From 1. */
  readonly round: number;
  /** What must be the same at every mirror: h1 of a zip, SHA-256 of a .mod. */
  readonly identity: string | null;
}
