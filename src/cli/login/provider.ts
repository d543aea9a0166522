/**
 * The issuer's side of a log-in: authorization code with PKCE, state and nonce; renewal by refresh token. The ID token's
 * signature is the modferry server's to verify: this client has it from the issuer itself, over TLS.
 */
import type { Configuration } from 'openid-client';
import { isSafeUrl } from '../../access/oidc/issuer-options.ts';
import type { LoginInfo } from '../../access/oidc/login-api.ts';
import { CliError } from '../cli-error.ts';
import { startCallbackServer } from './callback-server.ts';
import { isHeaderToken, type Renewal } from './credentials-file.ts';
import { reasonOf, type Web } from './web.ts';

const timeoutS = 15;

/** What the issuer gave. */
export interface Tokens {
  readonly idToken: string;
  /** Undefined: it cannot be renewed without the browser. */
  readonly refreshToken: string | undefined;
}

/**
 * Logs in with a browser: `show` is told the page to open. Rejects with CliError `failed` (refused), `unavailable` (the
 * issuer does not answer), or with the signal's reason.
 */
export async function logInWithBrowser(
  web: Web,
  info: LoginInfo,
  show: (url: string) => void,
  signal: AbortSignal,
): Promise<Tokens> {
  const client = await import('openid-client');
  const config = await discover(web, info.issuer, info.clientId);
  const [state, nonce, verifier] = [
    client.randomState(),
    client.randomNonce(),
    client.randomPKCECodeVerifier(),
  ];
  const callback = await startCallbackServer(state);
  try {
    const wantsRefresh = info.scopes.includes('offline_access');
    const page = client.buildAuthorizationUrl(config, {
      redirect_uri: callback.redirectUri,
      scope: info.scopes.join(' '),
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      // OpenID Connect Core, 11: without it a refresh token is not given.
      ...(wantsRefresh ? { prompt: 'consent' } : {}),
    });
    // It is handed to the system, which opens more than web pages.
    if (!isSafeUrl(page.href))
      throw new CliError('failed', `${info.issuer} has its log-in page at no https address`);
    show(page.href);
    const returned = await callback.wait(signal);
    const tokens = await client.authorizationCodeGrant(config, returned, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    return tokensOf(tokens.id_token, tokens.refresh_token, info.issuer);
  } catch (error) {
    signal.throwIfAborted();
    throw faultOf(error, info.issuer);
  } finally {
    callback.close();
  }
}

/** New tokens without the browser. Rejects with CliError `failed` when the issuer refuses, `unavailable` when it is silent. */
export async function renew(web: Web, renewal: Renewal): Promise<Tokens> {
  const client = await import('openid-client');
  try {
    const config = await discover(web, renewal.issuer, renewal.clientId);
    const tokens = await client.refreshTokenGrant(config, renewal.refreshToken);
    return tokensOf(tokens.id_token, tokens.refresh_token ?? renewal.refreshToken, renewal.issuer);
  } catch (error) {
    throw faultOf(error, renewal.issuer);
  }
}

/** Makes a refresh token useless, where the issuer can do that. Rejects as `renew` does. */
export async function endRenewal(web: Web, renewal: Renewal): Promise<void> {
  const client = await import('openid-client');
  try {
    const config = await discover(web, renewal.issuer, renewal.clientId);
    if (config.serverMetadata().revocation_endpoint === undefined) return;
    await client.tokenRevocation(config, renewal.refreshToken, { token_type_hint: 'refresh_token' });
  } catch (error) {
    throw faultOf(error, renewal.issuer);
  }
}

async function discover(web: Web, issuer: string, clientId: string): Promise<Configuration> {
  const client = await import('openid-client');
  const isPlain = new URL(issuer).protocol === 'http:';
  // Two declarations of one standard: undici's own types are not the global ones.
  const customFetch = web.fetch as unknown as typeof globalThis.fetch;
  try {
    return await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
      [client.customFetch]: (url, options) => customFetch(url, options as RequestInit),
      timeout: timeoutS,
      // Reached only for loopback addresses: `isSafeUrl` let nothing else pass.
      ...(isPlain ? { execute: [client.allowInsecureRequests] } : {}),
    });
  } catch (error) {
    throw faultOf(error, issuer);
  }
}

function tokensOf(idToken: string | undefined, refreshToken: string | undefined, issuer: string): Tokens {
  if (idToken === undefined || !isHeaderToken(idToken)) {
    throw new CliError('failed', `${issuer} gave no ID token; the scopes must include openid`);
  }
  return { idToken, refreshToken };
}

function faultOf(error: unknown, issuer: string): CliError {
  if (error instanceof CliError) return error;
  const reason = textOf(error).replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ');
  const isRefusal = error instanceof Error && 'error' in error && typeof error.error === 'string';
  if (isRefusal) return new CliError('failed', `${issuer} refuses the log-in: ${reason}`, { cause: error });
  const isSilent = error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError');
  const code = isSilent ? 'unavailable' : 'failed';
  return new CliError(code, `the log-in at ${issuer} failed: ${reason}`, { cause: error });
}

function textOf(error: unknown): string {
  if (error instanceof Error && 'error' in error && typeof error.error === 'string') {
    const more =
      'error_description' in error && typeof error.error_description === 'string'
        ? error.error_description
        : '';
    return more === '' ? error.error : `${error.error} (${more.slice(0, 200)})`;
  }
  return reasonOf(error);
}
