import { describe, expect, it } from 'vitest';
import { ask, authenticator, good, useIssuer } from './test-jwt.ts';

useIssuer();

describe('people', () => {
  const forPeople = { isForPeople: true, rules: [], audience: 'modferry-cli' };
  const person = {
    aud: 'modferry-cli',
    preferred_username: 'alice',
    groups: ['team-a', 'team-b', 'x\ny', 7],
  };

  it('are who the claims say, without any rule', async () => {
    expect(await ask(authenticator(forPeople), await good(person))).toMatchObject({
      kind: 'user',
      name: 'alice',
      groups: ['team-a', 'team-b', '7'],
      scopes: undefined,
    });
  });

  it('may have their groups deeper, and in a single text', async () => {
    const jwt = authenticator({ ...forPeople, groupsClaim: 'realm_access.roles' });
    expect(await ask(jwt, await good({ ...person, realm_access: { roles: ['r'] } }))).toMatchObject({
      groups: ['r'],
    });
    expect(await ask(jwt, await good({ ...person, 'realm_access.roles': 'one' }))).toMatchObject({
      groups: ['one'],
    });
    const proto = authenticator({ ...forPeople, groupsClaim: '__proto__.constructor.name' });
    expect(await ask(proto, await good(person))).toMatchObject({ groups: [] });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['an access token', {}, { typ: 'at+jwt' }],
    ['a token that another client got', { aud: ['modferry-cli', 'x'], azp: 'x' }, {}],
    ['a token without a name', { preferred_username: undefined }, {}],
  ])('are not proven by %s', async (_, more, header) => {
    expect(await ask(authenticator(forPeople), await good({ ...person, ...more }, header))).toBe('wrong');
  });

  it('are not called by an address that nobody verified', async () => {
    const jwt = authenticator({ ...forPeople, nameClaim: 'email' });
    const email = { ...person, email: 'alice@corp.example' };
    expect(await ask(jwt, await good({ ...email, email_verified: false }))).toBe('wrong');
    expect(await ask(jwt, await good({ ...email, email_verified: true }))).toMatchObject({
      name: 'alice@corp.example',
    });
  });
});

describe('rules', () => {
  it('are tried in order, and all claims of one must match', async () => {
    const jwt = authenticator({
      rules: [
        {
          claims: { repository: 'acme/*', ref: ['refs/heads/main', 'refs/tags/*'], ref_protected: true },
          name: 'release',
          groups: ['rel'],
        },
        { claims: { repository: 'acme/*' }, groups: ['ci'] },
      ],
    });
    const protectedRef = { ref_protected: 'true' };
    expect(await ask(jwt, await good({ ...protectedRef, ref: 'refs/tags/v1.0.0' }))).toMatchObject({
      name: 'release',
      groups: ['rel'],
    });
    expect(await ask(jwt, await good({ ref: 'refs/tags/v1.0.0' }))).toMatchObject({ groups: ['ci'] });
    expect(await ask(jwt, await good({ ...protectedRef, ref: 'refs/heads/mainx' }))).toMatchObject({
      groups: ['ci'],
    });
  });

  it('take hostile values in time', async () => {
    const jwt = authenticator({ rules: [{ claims: { repository: '*a*a*a*a*a*a*b' } }] });
    const token = await good({ repository: 'a'.repeat(8000) });
    const startedMs = performance.now();
    expect(await ask(jwt, token)).toBe('wrong');
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});
