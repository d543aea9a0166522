/**
 * What stands behind `/-/v1/login`: it tells `modferry login` where to log in, and gives a login token of modferry's own
 * for the ID token that comes of it. The ID token's nonce is the client's to check: it is the one who sent it.
 */
import type { Clock } from '../../lib/clock.ts';
import { parseAuthorization } from '../credentials.ts';
import { troubleOf } from '../trouble.ts';
import type { Authenticator } from '../types.ts';

/** The answer to `GET /-/v1/login`. */
export interface LoginInfo {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
}

/** The answer to `POST /-/v1/login`. */
export interface LoginGrant {
  readonly token: string;
  readonly name: string;
  readonly groups: readonly string[];
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** What became of a token that was to be ended. */
export type EndedLogin =
  /** `id` and `name` of the log-in, for audit. */
  | { readonly kind: 'ended'; readonly id: string; readonly name: string }
  /** It is a token of a machine, which only an administrator ends. */
  | { readonly kind: 'static' }
  /** It is no token, or ended before. */
  | { readonly kind: 'none' };

/** `text` is a sentence for the client. 200, 401 or 503. */
export type LoginReply =
  | { readonly status: 200; readonly grant: LoginGrant }
  | { readonly status: 401 | 503; readonly text: string };

export interface LoginApiOptions extends LoginInfo {
  /** Of ID tokens for `clientId` and nothing else: `createJwtAuthenticator([{ …, isForPeople: true }])`. */
  readonly authenticator: Authenticator;
  /** Milliseconds that a login token is good for. Default 12 hours. */
  readonly sessionMs?: number | undefined;
  readonly clock: Clock;
  /** Makes a login token and keeps what it stands for. */
  mint(grant: {
    readonly name: string;
    readonly groups: readonly string[];
    readonly expiresAtMs: number;
  }): string | Promise<string>;
  /** Ends a login token. */
  revoke(token: string): EndedLogin | Promise<EndedLogin>;
}

export interface LoginApi {
  info(): LoginInfo;
  /**
   * `authorization` is the header: `Bearer` and the ID token. Rejects with the signal's reason. 503 where the issuer or
   * the tokens cannot be had.
   */
  exchange(authorization: string | undefined, signal: AbortSignal): Promise<LoginReply>;
  /** `DELETE /-/v1/login`, for the token in the header. Rejects as `revoke` does. */
  end(authorization: string | undefined): Promise<EndedLogin>;
}

const defaultSessionMs = 12 * 3_600_000;

export function loginApi(options: LoginApiOptions): LoginApi {
  const { issuer, clientId, scopes, authenticator, clock, sessionMs = defaultSessionMs } = options;
  return {
    info: () => ({ issuer, clientId, scopes }),
    async exchange(authorization, signal) {
      const credentials = parseAuthorization(authorization ?? '');
      if (credentials?.kind !== 'bearer') {
        return { status: 401, text: 'send the ID token of the log-in as Authorization: Bearer' };
      }
      try {
        const identity = await authenticator.authenticate(credentials, signal);
        if (typeof identity === 'string') {
          return {
            status: 401,
            text: `this is no valid ID token of ${issuer} for ${clientId}, or not of somebody who may log in here; log in again, or ask whoever runs this server: its log says why`,
          };
        }
        const { name, groups } = identity;
        const expiresAtMs = clock.now() + sessionMs;
        const token = await options.mint({ name, groups, expiresAtMs });
        return {
          status: 200,
          grant: { token, name, groups, expiresAt: new Date(expiresAtMs).toISOString() },
        };
      } catch (error) {
        if (signal.aborted) throw error;
        const text = troubleOf(error);
        if (text === undefined) throw error;
        return { status: 503, text };
      }
    },
    async end(authorization) {
      const credentials = parseAuthorization(authorization ?? '');
      return credentials?.kind === 'bearer' ? await options.revoke(credentials.token) : { kind: 'none' };
    },
  };
}
