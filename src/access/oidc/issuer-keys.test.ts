import { describe, expect, it } from 'vitest';
import { forgedToken, signingKey } from '../../../test/kit/jwt-issuer.ts';
import { ask, authenticator, claims, clock, good, kit, useIssuer } from './test-jwt.ts';

useIssuer();

describe('keys', () => {
  it('are fetched again for an unknown kid, at most every 30 s', async () => {
    const jwt = authenticator({ jwksUrl: kit.jwksUrl });
    expect(await ask(jwt, await good())).toMatchObject({ groups: ['ci'] });
    const next = await signingKey('key-2');
    kit.keys = [kit.key, next];
    for (let index = 0; index < 20; index += 1) {
      expect(await ask(jwt, await next.sign(claims(), { kid: `made-up-${index}` }))).toBe('wrong');
    }
    expect(kit.asked).toHaveLength(1);
    await clock.advance(30_000);
    const [first, second] = await Promise.all([
      ask(jwt, await next.sign(claims())),
      ask(jwt, await next.sign(claims())),
    ]);
    expect([first, second]).toMatchObject([{ groups: ['ci'] }, { groups: ['ci'] }]);
    expect(kit.asked).toHaveLength(2);
  });

  it.each([
    '../../../../dev/null',
    '/keys',
    'http://127.0.0.1:1/k',
    "' OR 1=1",
    '__proto__',
    '\0',
    'x'.repeat(4000),
  ])('are found by no kid that is a path or the like: %j', async (kid) => {
    kit.fault = 'none';
    expect(await ask(authenticator(), await good({}, { kid }))).toBe('wrong');
    expect(kit.asked.every((path) => ['/.well-known/openid-configuration', '/keys'].includes(path))).toBe(
      true,
    );
  });

  it('that are withdrawn go out of use', async () => {
    const jwt = authenticator();
    const token = await good({ exp: clock.now() / 1000 + 86_400 });
    expect(await ask(jwt, token)).toMatchObject({ groups: ['ci'] });
    kit.keys = [await signingKey('key-2')];
    await clock.advance(10 * 60_000);
    await ask(jwt, token);
    // The new set came behind the answer.
    await expect.poll(() => kit.asked.length).toBe(4);
    await expect.poll(() => ask(jwt, token)).toBe('wrong');
  });

  it('are used for a day while the issuer is down', async () => {
    const jwt = authenticator();
    await ask(jwt, await good());
    kit.fault = 'status-500';
    const token = await good({ exp: clock.now() / 1000 + 10 * 86_400 });
    await clock.advance(24 * 3_600_000 - 1);
    expect(await ask(jwt, token)).toMatchObject({ groups: ['ci'] });
    await clock.advance(60_000);
    await expect(ask(jwt, token)).rejects.toMatchObject({ code: 'issuer_unavailable' });
    kit.fault = 'none';
    await clock.advance(30_000);
    expect(await ask(jwt, token)).toMatchObject({ groups: ['ci'] });
  });

  it.each(['status-500', 'reset', 'huge', 'not-json', 'redirect', 'other-issuer'] as const)(
    'that cannot be had make nobody wrong: %s',
    async (fault) => {
      kit.fault = fault;
      const jwt = authenticator();
      await expect(ask(jwt, await good())).rejects.toMatchObject({ code: 'issuer_unavailable' });
      await expect(ask(jwt, await good())).rejects.toMatchObject({ code: 'issuer_unavailable' });
      expect(kit.asked).toHaveLength(1);
      kit.fault = 'none';
      await clock.advance(30_000);
      expect(await ask(jwt, await good())).toMatchObject({ groups: ['ci'] });
    },
  );

  it('larger than 1 MiB are not read', async () => {
    kit.fault = 'huge';
    const jwt = authenticator({ jwksUrl: kit.jwksUrl });
    await expect(ask(jwt, await good())).rejects.toThrow(/larger than 1 MiB/);
  });

  it('of an issuer that is silent are waited for 5 s, and nobody who leaves is kept', async () => {
    kit.fault = 'mute';
    const jwt = authenticator();
    const leaving = new AbortController();
    const left = ask(jwt, await good(), leaving.signal);
    const waiting = ask(jwt, await good());
    await expect.poll(() => kit.asked.length).toBe(1);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    const failed = expect(waiting).rejects.toMatchObject({ code: 'issuer_unavailable' });
    await clock.advance(5000);
    await failed;
  });

  it('that are secrets are no keys', async () => {
    const secret = Buffer.from('shared').toString('base64url');
    kit.keys = [{ kty: 'oct', k: secret, kid: 'key-1', alg: 'HS256' }];
    const forged = forgedToken({ alg: 'HS256', kid: 'key-1' }, claims(), 'shared');
    expect(await ask(authenticator(), forged)).toBe('wrong');
  });
});
