/**
 * What the composition root tells `access/`: the routes as far as rights go, and the settings that hold for all of
 * them. A configuration snapshot is mapped to these; see `createAccess`.
 */
import type { AccessRules, Authenticator } from './types.ts';

/** What decisions need of a route; a `Route` of `route/` is one. */
export interface AccessRoute {
  readonly name: string;
  readonly access: AccessRules;
}

/** What decisions need of a `RouteTable`. */
export interface AccessRoutes {
  /** The last one also says who may do what with the server as a whole. */
  readonly routes: readonly AccessRoute[];
  of(path: string): AccessRoute;
}

/** A token bucket: `burst` at once (at least 1), and `perSecond` (more than 0) on the long run. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

export interface CertificateRule {
  /** `cn:`, `dns:`, `email:` or `uri:` and a glob as in path.Match, or `fingerprint:` and 64 hex digits (SHA-256). */
  readonly match: string;
  /** Undefined: the common name, or what matched where there is none. */
  readonly name: string | undefined;
  readonly groups: readonly string[];
}

/** How a client certificate becomes an identity, where no `Authorization` was sent. */
export interface CertificateOptions {
  /** Tried in order, before the common name. The identity has the groups of the rule and no others. */
  readonly rules: readonly CertificateRule[];
  /** True: a certificate that no rule matches is known by its common name, its units are its groups. */
  readonly byCommonName: boolean;
}

export interface AccessOptions {
  /**
   * CIDR ranges or addresses, or `unix` for whoever comes through a Unix socket; before every route's own. `allow`
   * empty: every address. `deny` wins.
   */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Whose `X-Forwarded-For` is believed: CIDR ranges or addresses, or `unix`. */
  readonly trustedProxies: readonly string[];
  /** True: what one may not read is as if it were not there (404). */
  readonly hide: boolean;
  readonly perIdentity: RateLimit | undefined;
  readonly perAddress: RateLimit | undefined;
  /** Wrong credentials an address, and an account, may send in a minute. Default 10. */
  readonly failuresPerMinute?: number;
  /** Undefined: certificates are nobody's identity. */
  readonly certificate: CertificateOptions | undefined;
}

/** An authenticator that can say when what it said before may no longer hold. */
export interface RevisedAuthenticator extends Authenticator {
  /** Another number after each change of what it knows: answers from before it are asked for anew. */
  readonly revision: number;
}

/** One snapshot. */
export interface AccessSetup {
  readonly routes: AccessRoutes;
  readonly options: AccessOptions;
  /** In the order in which they are asked: static tokens, htpasswd, then the others. */
  readonly authenticators: readonly (Authenticator | RevisedAuthenticator)[];
}
