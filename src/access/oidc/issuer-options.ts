/** Whose JWTs are believed and what they stand for; the check of it; what is usual for GitHub Actions and GitLab CI. */
import { ModferryError } from '../../lib/errors.ts';
import { isPublicJobIssuer, namesOwner, type WantedClaim } from '../../lib/token-issuers.ts';
import { isLoopbackHost } from '../../outbound/network-address.ts';
import type { Scopes } from '../types.ts';
import { claimPatternFault } from './claims.ts';

/** One value, or several of which any may match. Texts are globs as in path.Match: `*` does not cross a slash. */
export type ClaimPattern = WantedClaim;

export interface JwtRule {
  /** All of these claims must match; at least one. A dot goes into an object: `realm_access.roles`. */
  readonly claims: Readonly<Record<string, ClaimPattern>>;
  /** Instead of what the name claim says. */
  readonly name?: string | undefined;
  /** Besides those of the groups claim. */
  readonly groups?: readonly string[] | undefined;
  /** Undefined: not limited beyond the rules of the route. */
  readonly scopes?: Scopes | undefined;
}

/** What a token must say besides, or it is nobody's. */
export interface RequiredClaims {
  /** At least one of these must be among the groups. Empty: none is asked for. */
  readonly groups: readonly string[];
  /** All of these must match. */
  readonly claims: Readonly<Record<string, ClaimPattern>>;
}

export interface JwtIssuer {
  /** Exactly as in the tokens' `iss`; https, or http at a loopback address. */
  readonly issuer: string;
  /** Tokens for anybody else are refused. */
  readonly audience: string | readonly string[];
  /** Where its keys are; undefined: `{issuer}/.well-known/openid-configuration` tells. */
  readonly jwksUrl?: string | undefined;
  /** Default: RS256, PS256, ES256, ES384, EdDSA, Ed25519. Only signatures with public keys are possible. */
  readonly algorithms?: readonly string[] | undefined;
  /** Seconds after `iat`; undefined: until `exp`. */
  readonly maxAgeS?: number | undefined;
  /** Seconds. Default 60. */
  readonly clockToleranceS?: number | undefined;
  /** Default `sub`, for people `preferred_username`. */
  readonly nameClaim?: string | undefined;
  /** Default none, for people `groups`. */
  readonly groupsClaim?: string | undefined;
  /** The first that matches counts. */
  readonly rules: readonly JwtRule[];
  /**
   * True: its tokens are ID tokens of people, who are somebody without any rule. False: of jobs, who are nobody unless a
   * rule says so. Default false.
   */
  readonly isForPeople?: boolean | undefined;
  /**
   * True: everybody can get tokens from it, so a rule must name an owner (`ownerClaims`). Default: by its URL; false does
   * not make a known public issuer another one.
   */
  readonly isPublic?: boolean | undefined;
  /** Undefined: every token that is good and fits `rules` counts. */
  readonly required?: RequiredClaims | undefined;
  /** PEM file with further certificate authorities, beside the default ones. */
  readonly caFile?: string | undefined;
}

/** The parts of `JwtIssuer` that a preset fills in; what an operator writes wins. */
export type JwtPreset = Pick<JwtIssuer, 'issuer' | 'nameClaim' | 'algorithms' | 'isPublic'>;

export const jwtPresets: Readonly<Record<'github' | 'gitlab', JwtPreset>> = {
  /** @see https://docs.github.com/en/actions/reference/security/oidc */
  github: {
    issuer: 'https://token.actions.githubusercontent.com',
    nameClaim: 'sub',
    algorithms: ['RS256'],
    isPublic: true,
  },
  /** @see https://docs.gitlab.com/ci/secrets/id_token_authentication/ */
  gitlab: { issuer: 'https://gitlab.com', nameClaim: 'sub', algorithms: ['RS256'], isPublic: true },
};

export const defaultAlgorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'] as const;
/** `none` and the HMACs are not among them: a public key is no shared secret. */
const publicKeyAlgorithms = /^(?:(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519)$/;

/** Throws ModferryError `jwt_options` with what to write instead. */
export function checkIssuers(issuers: readonly JwtIssuer[]): void {
  const seen = new Set<string>();
  for (const issuer of issuers) {
    const fault = issuerFault(issuer);
    if (fault !== undefined) throw new ModferryError('jwt_options', `issuer ${issuer.issuer}: ${fault}`);
    if (seen.has(issuer.issuer)) {
      throw new ModferryError(
        'jwt_options',
        `issuer ${issuer.issuer} is named twice; write its rules in one entry`,
      );
    }
    seen.add(issuer.issuer);
  }
}

function issuerFault(options: JwtIssuer): string | undefined {
  const { issuer, audience, jwksUrl, algorithms = defaultAlgorithms, rules } = options;
  for (const url of [issuer, ...(jwksUrl === undefined ? [] : [jwksUrl])]) {
    if (!isSafeUrl(url)) return `${url} is not https; keys that anybody can change on the way prove nothing`;
  }
  const audiences = typeof audience === 'string' ? [audience] : audience;
  if (audiences.length === 0 || audiences.includes(''))
    return 'no audience is named; write the one that tokens are for';
  const bad = algorithms.find((name) => !publicKeyAlgorithms.test(name));
  if (bad !== undefined) return `algorithm ${bad} is not possible; write e.g. RS256 or ES256`;
  if (algorithms.length === 0) return 'no algorithm is named; write e.g. RS256';
  if (rules.length === 0 && options.isForPeople !== true)
    return 'no rules: its tokens would mean nobody; write at least one';
  const isPublic = options.isForPeople !== true && (options.isPublic === true || isPublicJobIssuer(issuer));
  const required = Object.entries(options.required?.claims ?? {});
  for (const [name, pattern] of required) {
    const fault = claimPatternFault(pattern);
    if (fault !== undefined) return `required claim ${name}: ${fault}`;
  }
  for (const { claims } of rules) {
    const names = Object.keys(claims);
    if (names.length === 0) return 'a rule without claims would match every token; name some';
    for (const name of names) {
      const fault = claimPatternFault(claims[name] ?? []);
      if (fault !== undefined) return `claim ${name}: ${fault}`;
    }
    if (isPublic && !namesOwner(claims)) {
      return 'everybody can get tokens from it, and a rule names no owner; add e.g. repository_owner or namespace_path';
    }
  }
  return undefined;
}

/** Over https, or within this machine. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname));
}
