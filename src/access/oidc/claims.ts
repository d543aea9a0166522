/** The claims of a JWT whose signature is good: read by name, compared with rules, made into an identity. */
import { codePoints, compileGlob, type Glob, globMatches } from '../../gomod/glob.ts';
import { isShownName } from '../shown-name.ts';
import type { Identity } from '../types.ts';
import type { ClaimPattern, JwtIssuer, JwtRule } from './issuer-options.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** Longer values match nothing: the time of a glob grows with the square of it. */
const maxValueLength = 1024;
const maxGroups = 1000;

export interface CompiledRule {
  readonly rule: JwtRule;
  matches(claims: Claims): boolean;
}

/** Rules of `checkIssuers`. */
export function compileRule(rule: JwtRule): CompiledRule {
  const matches = compileClaims(rule.claims);
  // A rule without claims would match everybody.
  return { rule, matches: (claims) => Object.keys(rule.claims).length > 0 && matches(claims) };
}

/** Whether all of them match. */
export function compileClaims(wanted: Readonly<Record<string, ClaimPattern>>): (claims: Claims) => boolean {
  const tests = Object.entries(wanted).map(([name, pattern]) => {
    const globs = patternsOf(pattern)
      .map((text) => compileGlob(text))
      .filter((glob) => glob !== undefined);
    return { name, globs };
  });
  return (claims) =>
    tests.every(({ name, globs }) => textsOf(claimOf(claims, name)).some((value) => fits(globs, value)));
}

function fits(globs: readonly Glob[], value: string): boolean {
  if (value.length > maxValueLength) return false;
  const codes = codePoints(value);
  return globs.some((glob) => globMatches(glob, codes));
}

/** A sentence; undefined for a good one. */
export function claimPatternFault(pattern: ClaimPattern): string | undefined {
  const texts = patternsOf(pattern);
  if (texts.length === 0 || texts.includes('')) return 'an empty pattern matches nothing; write a value';
  const bad = texts.find((text) => compileGlob(text) === undefined);
  return bad === undefined ? undefined : `the pattern "${bad}" is malformed; close each [ with ]`;
}

/** Each of its values as a text. */
export function patternsOf(pattern: ClaimPattern): string[] {
  return Array.isArray(pattern) ? pattern.map(String) : [String(pattern)];
}

/** Undefined when nobody: no rule matches a job's token, or its name cannot be shown. */
export function identityOf(
  claims: Claims,
  issuer: JwtIssuer,
  rules: readonly CompiledRule[],
  expiresAtMs: number,
): Identity | undefined {
  const isForPeople = issuer.isForPeople === true;
  const matched = rules.find((rule) => rule.matches(claims))?.rule;
  if (matched === undefined && !isForPeople) return undefined;
  const name = matched?.name ?? nameOf(claims, issuer, isForPeople);
  if (name === undefined) return undefined;
  const groupsClaim = issuer.groupsClaim ?? (isForPeople ? 'groups' : undefined);
  const told = groupsClaim === undefined ? [] : textsOf(claimOf(claims, groupsClaim)).filter(isShownName);
  const wanted = issuer.required?.groups ?? [];
  if (wanted.length > 0 && !wanted.some((group) => told.includes(group))) return undefined;
  return {
    kind: isForPeople ? 'user' : 'jwt',
    name,
    groups: [...new Set([...(matched?.groups ?? []), ...told])].slice(0, maxGroups),
    scopes: matched?.scopes,
    expiresAtMs,
  };
}

/** Only the claim that was named: another one may be something that its bearer chooses. */
function nameOf(claims: Claims, issuer: JwtIssuer, isForPeople: boolean): string | undefined {
  const claim = issuer.nameClaim ?? (isForPeople ? 'preferred_username' : 'sub');
  // An address that was not verified is whatever its bearer typed.
  if (claim === 'email' && claims['email_verified'] === false) return undefined;
  const value = claimOf(claims, claim);
  return typeof value === 'string' && isShownName(value) ? value : undefined;
}

/** The claim of exactly this name, else by its dots. Only what the token itself holds. */
export function claimOf(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let at: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, step))
      return undefined;
    at = (at as Claims)[step];
  }
  return at;
}

/** A claim as texts: one value, or each of a list. */
function textsOf(value: unknown): string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.flatMap((one) => {
    if (typeof one === 'string') return [one];
    return typeof one === 'number' || typeof one === 'boolean' ? [String(one)] : [];
  });
}
