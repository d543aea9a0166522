import { describe, expect, it } from 'vitest';
import { ModferryError } from '../../lib/errors.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { TokenError } from '../tokens/token-record.ts';
import type { Credentials, Identity } from '../types.ts';
import { type EndedLogin, loginApi } from './login-api.ts';

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
    revoke: (token): EndedLogin => {
      revoked.push(token);
      return token === 'mf_1' ? { kind: 'ended', id: 'ab', name: 'alice' } : { kind: 'none' };
    },
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

  it.each<[string, Error, string]>([
    ['there is no room', new TokenError('too_many', 'there are 3 log-ins already'), 'there are 3 log-ins'],
    ['the lock is held', new ModferryError('locked', 'somebody else writes'), 'somebody else writes'],
    ['the disk is full', Object.assign(new Error('ENOSPC: /secret/place'), { code: 'ENOSPC' }), '(ENOSPC)'],
  ])('says 503 and why when %s', async (_, error, text) => {
    const { made } = api(() => {
      throw error;
    });
    const reply = await made.exchange('Bearer x', never);
    expect(reply).toMatchObject({ status: 503, text: expect.stringContaining(text) });
    expect(JSON.stringify(reply)).not.toContain('/secret');
  });

  it('does not hide a mistake of the program', async () => {
    const { made } = api(() => {
      throw new TypeError('x is not a function');
    });
    await expect(made.exchange('Bearer x', never)).rejects.toThrow('x is not a function');
  });

  it('ends a token', async () => {
    const { made, revoked } = api(() => alice);
    expect(await made.end('Bearer mf_1')).toEqual({ kind: 'ended', id: 'ab', name: 'alice' });
    expect(await made.end('Bearer mf_2')).toEqual({ kind: 'none' });
    expect(await made.end(undefined)).toEqual({ kind: 'none' });
    expect(revoked).toEqual(['mf_1', 'mf_2']);
  });
});
