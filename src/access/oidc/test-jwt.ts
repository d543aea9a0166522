/** Test help: an issuer, an authenticator that believes it, and tokens, one set for each test. */
import { afterEach, beforeEach, onTestFinished } from 'vitest';
import { type JwtIssuerKit, startJwtIssuer } from '../../../test/kit/jwt-issuer.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { JwtIssuer } from './issuer-options.ts';
import { createJwtAuthenticator, type JwtAuthenticator } from './jwt-authenticator.ts';

export const audience = 'https://modferry.corp.example';
export const rules = [{ claims: { repository: 'acme/*' }, groups: ['ci'] }];
export const never = new AbortController().signal;

export let kit: JwtIssuerKit;
export let clock: FakeClock;
/** Why tokens were refused. */
export let refused: string[];

/** Registers the hooks; once in each test file. */
export function useIssuer(): void {
  beforeEach(async () => {
    kit = await startJwtIssuer();
    clock = new FakeClock();
    refused = [];
  });
  afterEach(() => kit.close());
}

export function authenticator(options: Partial<JwtIssuer> = {}): JwtAuthenticator {
  const made = createJwtAuthenticator([{ issuer: kit.issuer, audience, rules, ...options }], {
    clock,
    onRefused: (_, reason) => refused.push(reason),
  });
  onTestFinished(() => made.close());
  return made;
}

/** Of a token that is good now. */
export function claims(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const nowS = clock.now() / 1000;
  const times = { iat: nowS, nbf: nowS, exp: nowS + 300 };
  const job = { sub: 'repo:acme/app:ref:refs/heads/main', repository: 'acme/app' };
  return { iss: kit.issuer, aud: audience, ...job, ...times, ...more };
}

export async function good(more: Readonly<Record<string, unknown>> = {}, header = {}): Promise<string> {
  return await kit.key.sign(claims(more), header);
}

export function ask(jwt: JwtAuthenticator, token: string, signal = never) {
  return jwt.authenticate({ kind: 'bearer', token }, signal);
}
