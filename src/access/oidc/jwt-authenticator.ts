/**
 * Bearer JWTs of issuers that the operator named: signature, audience and times first, then the claims say who it is.
 * `.netrc` knows only names and passwords, so a JWT counts in either field of Basic too.
 */
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ProxyRule } from '../../outbound/proxy-rule.ts';
import { directRule } from '../../outbound/proxy-rule.ts';
import type { Authenticator, Credentials, Identity } from '../types.ts';
import { type Claims, type CompiledRule, compileClaims, compileRule, identityOf } from './claims.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { checkIssuers, defaultAlgorithms, type JwtIssuer } from './issuer-options.ts';

const maxTokenLength = 16 * 1024;
const defaultToleranceS = 60;

export interface JwtAuthenticatorOptions {
  readonly clock: Clock;
  /** How issuers are reached. Default: straight. */
  readonly proxy?: ProxyRule | undefined;
  /** Told why a token of a known issuer was refused: for the log, never for the client. The token is not in it. */
  readonly onRefused?: ((issuer: string, reason: string) => void) | undefined;
}

export interface JwtAuthenticator extends Authenticator {
  /** Ends the connections to issuers. */
  close(): Promise<void>;
}

interface Issuer {
  readonly options: JwtIssuer;
  readonly keys: IssuerKeys;
  readonly rules: readonly CompiledRule[];
  readonly hasRequired: (claims: Claims) => boolean;
}

/**
 * `other` for what is no JWT and for issuers that are not named. Throws ModferryError `jwt_options` or `ca_file`.
 * `authenticate` rejects with `issuer_unavailable` when the keys cannot be fetched.
 */
export function createJwtAuthenticator(
  issuers: readonly JwtIssuer[],
  { clock, proxy = directRule, onRefused }: JwtAuthenticatorOptions,
): JwtAuthenticator {
  checkIssuers(issuers);
  const known = new Map<string, Issuer>();
  for (const options of issuers) {
    const { issuer, jwksUrl, caFile, rules } = options;
    const keys = new IssuerKeys({ issuer, jwksUrl, caFile, proxy, clock });
    const hasRequired = compileClaims(options.required?.claims ?? {});
    known.set(issuer, { options, keys, rules: rules.map(compileRule), hasRequired });
  }
  return {
    name: issuers.map(({ issuer }) => `oidc:${issuer}`).join(', '),
    async authenticate(credentials, signal) {
      for (const token of tokensIn(credentials)) {
        const issuer = known.get(issuerIn(token) ?? '');
        if (issuer === undefined) continue;
        const result = await verify(token, issuer, clock, signal);
        if (typeof result !== 'string') return result;
        onRefused?.(issuer.options.issuer, result);
        return 'wrong';
      }
      return 'other';
    },
    async close() {
      await Promise.all([...known.values()].map(({ keys }) => keys.close()));
    },
  };
}

function tokensIn(credentials: Credentials): string[] {
  return credentials.kind === 'bearer' ? [credentials.token] : [credentials.password, credentials.username];
}

/** What the token says of itself, nothing proven. Undefined: no JWT, or too large to be looked at. */
function issuerIn(token: string): string | undefined {
  if (token.length > maxTokenLength || !/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return undefined;
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** The reason where there is no identity. */
async function verify(
  token: string,
  { options, keys, rules, hasRequired }: Issuer,
  clock: Clock,
  signal: AbortSignal,
): Promise<Identity | string> {
  const { issuer, audience, algorithms = defaultAlgorithms, clockToleranceS = defaultToleranceS } = options;
  const nowMs = clock.now();
  try {
    const { payload } = await jwtVerify(token, keys.for(signal), {
      issuer,
      audience: [audience].flat(),
      algorithms: [...algorithms],
      clockTolerance: clockToleranceS,
      currentDate: new Date(nowMs),
      requiredClaims: ['exp'],
      ...(options.maxAgeS === undefined ? {} : { maxTokenAge: options.maxAgeS }),
    });
    const { iat, exp = 0 } = payload;
    if (iat !== undefined && iat * 1000 > nowMs + clockToleranceS * 1000)
      return 'it was issued in the future';
    const refusal = options.isForPeople === true ? idTokenFault(token, payload['azp'], audience) : undefined;
    if (refusal !== undefined) return refusal;
    if (!hasRequired(payload)) return 'it does not have the required claims';
    return (
      identityOf(payload, options, rules, exp * 1000) ??
      'no rule matches its claims, its name claim is missing, or none of the required groups is in it'
    );
  } catch (error) {
    if (error instanceof errors.JOSEError) return messageOf(error);
    throw error;
  }
}

/** An access token for the same client says what may be done in a name, not who is there. */
function idTokenFault(token: string, party: unknown, audience: JwtIssuer['audience']): string | undefined {
  const { typ } = decodeProtectedHeader(token);
  if (typ !== undefined && !/^(?:application\/)?jwt$/i.test(typ)) return `it is no ID token but ${typ}`;
  const isOurs = party === undefined || [audience].flat().some((one) => one === party);
  return isOurs ? undefined : 'it was issued to another client';
}
