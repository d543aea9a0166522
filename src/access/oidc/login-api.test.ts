import { describe, expect, it } from 'vitest';
import { ModferryError } from '../../lib/errors.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import type { Credentials, Identity } from '../types.ts';
import { loginApi } from './login-api.ts';

const alice: Identity = {
  kind: 'user',
  name: 'alice',
  groups: ['team-a'],
  scopes: undefined,
  expiresAtMs: 1,
};
const never = new AbortController().signal;

function api(answer: (credentials: Credentials) => Identity | 'wrong' | 'other') {
  const clock = new FakeClock();
  const minted: unknown[] = [];
  const revoked: string[] = [];
  const made = loginApi({
    issuer: 'https://login.example',
    clientId: 'cli',
    scopes: ['openid'],
    authenticator: {
      name: 'x',
      authenticate: (credentials) => Promise.resolve().then(() => answer(credentials)),
    },
    sessionMs: 3_600_000,
    clock,
    mint: (grant) => `mf_${minted.push(grant)}`,
    revoke: (token) => revoked.push(token) > 0 && token === 'mf_1',
  });
  return { made, minted, revoked, clock };
}

describe('loginApi', () => {
  it('tells where to log in', () => {
    expect(api(() => alice).made.info()).toEqual({
      issuer: 'https://login.example',
      clientId: 'cli',
      scopes: ['openid'],
    });
  });

  it('gives a token of its own for an ID token, that outlives it', async () => {
    const { made, minted, clock } = api(({ kind }) => (kind === 'bearer' ? alice : 'other'));
    expect(await made.exchange('Bearer id.to.ken', never)).toEqual({
      status: 200,
      grant: { token: 'mf_1', name: 'alice', groups: ['team-a'], expiresAt: '2026-01-01T01:00:00.000Z' },
    });
    expect(minted).toEqual([{ name: 'alice', groups: ['team-a'], expiresAtMs: clock.now() + 3_600_000 }]);
  });

  it.each([
    ['nothing', undefined, alice],
    ['a password', 'Basic YTpi', alice],
    ['a wrong token', 'Bearer x', 'wrong'],
    ['another’s token', 'Bearer x', 'other'],
  ] as const)('gives nothing for %s', async (_, authorization, answer) => {
    const { made, minted } = api(() => answer);
    expect(await made.exchange(authorization, never)).toMatchObject({ status: 401 });
    expect(minted).toEqual([]);
  });

  it('does not call a token wrong while the issuer’s keys cannot be had', async () => {
    const { made } = api(() => {
      throw new ModferryError('issuer_unavailable', 'the keys cannot be fetched');
    });
    expect(await made.exchange('Bearer x', never)).toEqual({
      status: 503,
      text: 'the keys cannot be fetched',
    });
  });

  it('ends a token', async () => {
    const { made, revoked } = api(() => alice);
    expect(await made.end('Bearer mf_1')).toBe(true);
    expect(await made.end('Bearer mf_2')).toBe(false);
    expect(await made.end(undefined)).toBe(false);
    expect(revoked).toEqual(['mf_1', 'mf_2']);
  });
});
