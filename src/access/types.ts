/**
 * The border of `access/`: who asks, and what they may do. Nothing here knows of HTTP but the few facts of a request
 * that tell who is asking.
 */

/** `read` modules, `publish` versions, `admin`: unpublish, tokens, deliveries. */
export const rights = ['read', 'publish', 'admin'] as const;
export type Right = (typeof rights)[number];

/** Whom a rule names. `tokens`: every static token, as far as its own scopes go. */
export type Subject =
  | { readonly kind: 'anonymous' | 'authenticated' | 'tokens' }
  | { readonly kind: 'user' | 'group' | 'token'; readonly name: string };

/** Of one route. Nobody named: nobody may (deny by default). `anonymous` includes everybody. */
export interface AccessRules {
  readonly read: readonly Subject[];
  readonly publish: readonly Subject[];
  readonly admin: readonly Subject[];
  /** CIDR ranges. `allow` empty: every address; `deny` wins. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** What a token may be used for at most: module patterns as in GOPRIVATE. The rules of the route must allow it too. */
export interface Scopes {
  readonly read: readonly string[];
  readonly publish: readonly string[];
  readonly admin: boolean;
}

export type IdentityKind = 'anonymous' | 'token' | 'user' | 'jwt' | 'certificate';

export interface Identity {
  readonly kind: IdentityKind;
  /** Shown in audit and logs, without control characters: `alice`, `ci-deploy`; `anonymous`. */
  readonly name: string;
  readonly groups: readonly string[];
  /** Undefined: not limited beyond the rules. */
  readonly scopes: Scopes | undefined;
  /** Milliseconds since the epoch after which it must be proven anew; undefined: no such time. */
  readonly expiresAtMs: number | undefined;
}

export const anonymous: Identity = {
  kind: 'anonymous',
  name: 'anonymous',
  groups: [],
  scopes: undefined,
  expiresAtMs: undefined,
};

/** What a TLS client certificate that our CA has signed says. */
export interface ClientCertificate {
  /** Common name of the subject; '' without one. */
  readonly commonName: string;
  /** Organisational units: become groups. */
  readonly units: readonly string[];
  /** DNS, e-mail and URI names, each as `dns:NAME`, `email:NAME`, `uri:NAME`. */
  readonly names: readonly string[];
  /** Lower-case hex SHA-256 of the certificate. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch: its end (`notAfter`). Undefined: not told. */
  readonly expiresAtMs?: number | undefined;
}

/** The facts of a request that tell who asks, and from where. */
export interface Asker {
  /** The `Authorization` header, whole. */
  readonly authorization: string | undefined;
  /** Of the socket; '' for a Unix socket. */
  readonly address: string;
  /** The `X-Forwarded-For` header, believed from trusted proxies only. */
  readonly forwardedFor: string | undefined;
  readonly certificate: ClientCertificate | undefined;
}

/**
 * Why not. `unauthenticated`: no credentials, or wrong ones (401, with a challenge); `forbidden`: known but not allowed
 * (403); `hidden`: as if it were not there (404); `limited`: too many requests or failed log-ins (429); `unavailable`:
 * whoever should know (LDAP, an issuer's keys) cannot be reached (503, never a wrong 401).
 */
export type DenialCode = 'unauthenticated' | 'forbidden' | 'hidden' | 'limited' | 'unavailable';

export type Decision =
  | { readonly allowed: true; readonly identity: Identity; readonly address: string }
  | {
      readonly allowed: false;
      readonly code: DenialCode;
      /** Sentences for the client: at most three lines, no secret, and for `hidden` nothing that tells it exists. */
      readonly text: string;
      readonly retryAfterMs: number | undefined;
      readonly identity: Identity;
      /** Where the request came from, trusted proxies taken into account. */
      readonly address: string;
      /** For audit and logs, e.g. `route team-a: read`, `access.deny 10.0.0.0/8`. */
      readonly rule: string;
      /** True: who asks is known, and it is rules or scopes that say no; not an address, credentials or a limit. */
      readonly isByRules?: boolean;
    };

/** What is asked for: a right on a module, or on the server as a whole (the last route decides). */
export interface Wanted {
  readonly right: Right;
  readonly path: string | undefined;
  /** Method and URL: of two identical requests within a second the second is not counted. Undefined: each one counts. */
  readonly request?: string | undefined;
}

/** The one entrance for every way to modferry. */
export interface Access {
  /** Answers at once where it can (well below 20 µs): from what is cached of this very asker. Undefined: ask `decide`. */
  decideNow(asker: Asker, wanted: Wanted): Decision | undefined;
  /** Never rejects but with the signal's reason. */
  decide(asker: Asker, wanted: Wanted, signal: AbortSignal): Promise<Decision>;
  /**
   * Who asks, whatever they may do: allowed for everybody with an identity of their own, `unauthenticated` for
   * anonymous. Never rejects but with the signal's reason.
   */
  identify(asker: Asker, signal: AbortSignal): Promise<Decision>;
  /**
   * For what proves by itself who asks: judged by addresses alone (those of the server and of the last route) and by
   * their rate. `request` as in `Wanted`. Allowed as anonymous.
   */
  admitAddress(asker: Asker, request: string | undefined): Decision;
  /** True: everybody from everywhere may read it without being counted, so that a ready answer needs no decision. */
  isOpen(path: string | undefined): boolean;
}

/** One way to prove who one is. Tried in order until one does not say `other`. */
export interface Authenticator {
  /** For texts: `tokens`, `htpasswd`, `ldap`, `oidc:ISSUER`. */
  readonly name: string;
  /**
   * `other`: these are no credentials of its kind (ask the next one). `wrong`: they are, and they are not good.
   * Rejects when whoever should know cannot be reached, with a ModferryError, or with the signal's reason.
   */
  authenticate(credentials: Credentials, signal: AbortSignal): Promise<Identity | 'wrong' | 'other'>;
}

export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };
