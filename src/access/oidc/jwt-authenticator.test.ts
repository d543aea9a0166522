import { describe, expect, it } from 'vitest';
import { forgedToken, signingKey } from '../../../test/kit/jwt-issuer.ts';
import {
  ask,
  audience,
  authenticator,
  claims,
  clock,
  good,
  kit,
  never,
  refused,
  rules,
  useIssuer,
} from './test-jwt.ts';

useIssuer();

describe('a good token', () => {
  it('is the identity that its rule says', async () => {
    const scopes = { read: ['git.acme.example'], publish: [], admin: false };
    const jwt = authenticator({ rules: [{ ...rules[0], claims: { repository: 'acme/*' }, scopes }] });
    expect(await ask(jwt, await good())).toEqual({
      kind: 'jwt',
      name: 'repo:acme/app:ref:refs/heads/main',
      groups: ['ci'],
      scopes,
      expiresAtMs: clock.now() + 300_000,
    });
    expect(kit.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('counts as either field of Basic, because .netrc has nothing else', async () => {
    const jwt = authenticator();
    const token = await good();
    for (const pair of [
      { username: 'gitlab-ci-token', password: token },
      { username: token, password: '' },
    ]) {
      expect(await jwt.authenticate({ kind: 'basic', ...pair }, never)).toMatchObject({ groups: ['ci'] });
    }
  });

  it.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])('may be signed with %s', async (alg) => {
    const key = await signingKey('k', alg);
    kit.keys = [key];
    expect(await ask(authenticator(), await key.sign(claims()))).toMatchObject({ groups: ['ci'] });
  });

  it('may have its keys at an address that the operator named', async () => {
    const jwt = authenticator({ jwksUrl: kit.jwksUrl });
    expect(await ask(jwt, await good())).toMatchObject({ groups: ['ci'] });
    expect(kit.asked).toEqual(['/keys']);
  });

  it('may have several audiences', async () => {
    expect(await ask(authenticator(), await good({ aud: ['x', audience] }))).toMatchObject({
      groups: ['ci'],
    });
  });
});

describe('what is wrong', () => {
  const second = 1;
  it.each<[string, () => Promise<string> | string]>([
    ['alg none', () => forgedToken({ alg: 'none' }, claims())],
    ['alg none in other letters', () => forgedToken({ alg: 'nOnE' }, claims())],
    ['alg none with a signature', () => forgedToken({ alg: 'none', kid: 'key-1' }, claims(), 'x')],
    [
      'HS256 with the public key as secret',
      () => forgedToken({ alg: 'HS256', kid: 'key-1' }, claims(), kit.key.publicPem),
    ],
    ['HS256 with an empty secret', () => forgedToken({ alg: 'HS256', kid: 'key-1' }, claims(), '')],
    [
      'a key of the sender in the header',
      async () => {
        const own = await signingKey('key-1');
        return await own.sign(claims(), { jwk: own.publicJwk, jku: kit.jwksUrl });
      },
    ],
    [
      'a changed claim',
      async () => {
        const [head, , signature] = (await good()).split('.');
        return `${head}.${Buffer.from(JSON.stringify(claims({ repository: 'acme/other' }))).toString('base64url')}.${signature}`;
      },
    ],
    ['no signature', async () => (await good()).replace(/[^.]*$/, '')],
    ['another audience', () => good({ aud: 'https://elsewhere.example' })],
    ['no audience', () => good({ aud: undefined })],
    ['expired', () => good({ exp: clock.now() / 1000 - 61 })],
    ['no exp', () => good({ exp: undefined })],
    ['exp that is no number', () => good({ exp: 'tomorrow' })],
    ['not valid yet', () => good({ nbf: clock.now() / 1000 + 61 })],
    ['issued in the future', () => good({ iat: clock.now() / 1000 + 60 + second })],
    ['an unknown critical header', () => good({}, { crit: ['x'], x: 1 })],
    ['a claim of another', () => good({ repository: 'evil/app' })],
    ['a claim with a slash more', () => good({ repository: 'acme/app/x' })],
    ['no claim', () => good({ repository: undefined })],
    ['a claim that is an object', () => good({ repository: { '0': 'acme/app' } })],
    ['a name with line breaks', () => good({ sub: 'a\nb' })],
    ['no name', () => good({ sub: undefined })],
  ])('%s', async (_, make) => {
    expect(await ask(authenticator(), await make())).toBe('wrong');
    expect(refused).toHaveLength(1);
  });

  it('gets the tolerance of a minute for clocks that differ', async () => {
    const jwt = authenticator();
    const nowS = clock.now() / 1000;
    expect(await ask(jwt, await good({ exp: nowS - 59, iat: nowS - 100 }))).toMatchObject({ groups: ['ci'] });
    expect(await ask(jwt, await good({ nbf: nowS + 59, iat: nowS + 59 }))).toMatchObject({ groups: ['ci'] });
  });

  it('may be older than the operator wants', async () => {
    const nowS = clock.now() / 1000;
    const jwt = authenticator({ maxAgeS: 600 });
    expect(await ask(jwt, await good({ iat: nowS - 590 }))).toMatchObject({ groups: ['ci'] });
    expect(await ask(jwt, await good({ iat: nowS - 700 }))).toBe('wrong');
    expect(await ask(jwt, await good({ iat: undefined }))).toBe('wrong');
  });
});

describe('what is another’s', () => {
  it('is a token of an issuer that nobody named, and what is no JWT', async () => {
    const jwt = authenticator();
    const five = `${await good()}.x.y`;
    const tokens = [
      await good({ iss: 'https://elsewhere.example' }),
      await good({ iss: undefined }),
      five,
      'mf_abc',
      '',
    ];
    for (const token of [...tokens, 'a.b.c', '..', 'e30.bm8.']) expect(await ask(jwt, token)).toBe('other');
    expect(kit.asked).toEqual([]);
  });

  it('is an oversized token, unread', async () => {
    expect(await ask(authenticator(), await good({ padding: 'x'.repeat(16 * 1024) }))).toBe('other');
    expect(kit.asked).toEqual([]);
  });
});
