import { writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { type AccessControl, createAccess } from './access.ts';
import type { RevisedAuthenticator } from './access-options.ts';
import { Authentication } from './authentication.ts';
import { FailureLimits } from './failure-limits.ts';
import { askerWith, basic, PlayedUsers, testAccess, testSetup, user } from './test-access.ts';
import { Tokens } from './tokens/tokens.ts';
import type { Decision, Wanted } from './types.ts';

const never = new AbortController().signal;
const wanted: Wanted = { right: 'read', path: 'corp.example/tools' };

function ask(access: AccessControl, authorization: string, address = '192.0.2.1'): Promise<Decision> {
  return access.decide(askerWith(authorization, { address }), wanted, never);
}

async function codeOf(decision: Promise<Decision> | Decision | undefined): Promise<string | undefined> {
  const found = await decision;
  return found === undefined ? undefined : found.allowed ? 'allowed' : found.code;
}

describe('what was proven', () => {
  it('is known for a minute, and what was wrong for 5 s', async () => {
    const users = new PlayedUsers(user('a'));
    const { access, clock } = testAccess({}, [users]);
    const [good, bad] = [basic('a', 'good'), basic('a', 'bad')];
    expect(access.decideNow(askerWith(good), wanted)).toBeUndefined();
    expect(await codeOf(ask(access, good))).toBe('allowed');
    expect(await codeOf(ask(access, bad))).toBe('unauthenticated');
    expect(users.asked).toBe(2);
    await clock.advance(4_999);
    expect(await codeOf(ask(access, bad))).toBe('unauthenticated');
    expect(users.asked).toBe(2);
    await clock.advance(1);
    expect(await codeOf(ask(access, bad))).toBe('unauthenticated');
    expect(users.asked).toBe(3);
    await clock.advance(54_999);
    expect(access.decideNow(askerWith(good), wanted)).toMatchObject({ allowed: true });
    await clock.advance(1);
    expect(access.decideNow(askerWith(good), wanted)).toBeUndefined();
  });

  it('is checked once for all who ask at once', async () => {
    const users = new PlayedUsers(user('a'));
    const answered = Promise.withResolvers<void>();
    users.gate = () => answered.promise;
    const { access } = testAccess({}, [users]);
    const asked = Array.from({ length: 50 }, () => ask(access, basic('a', 'good')));
    answered.resolve();
    expect(new Set(await Promise.all(asked.map(codeOf)))).toEqual(new Set(['allowed']));
    expect(users.asked).toBe(1);
  });

  it('goes on for the others when one leaves', async () => {
    const users = new PlayedUsers(user('a'));
    const answered = Promise.withResolvers<void>();
    users.gate = () => answered.promise;
    const { access } = testAccess({}, [users]);
    const gone = new AbortController();
    const leaving = access.decide(askerWith(basic('a', 'good')), wanted, gone.signal);
    const staying = ask(access, basic('a', 'good'));
    gone.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    answered.resolve();
    expect(await codeOf(staying)).toBe('allowed');
  });

  it('is not remembered of an answer that is older than a change', async () => {
    const users = new PlayedUsers(user('a'));
    const answered = Promise.withResolvers<void>();
    users.gate = () => answered.promise;
    const { access, clock } = testAccess({}, [users]);
    const asked = ask(access, basic('a', 'good'));
    await clock.advance(0);
    expect(users.asked).toBe(1);
    users.revision += 1;
    answered.resolve();
    await asked;
    expect(access.decideNow(askerWith(basic('a', 'good')), wanted)).toBeUndefined();
  });

  it('ends with the identity', async () => {
    const clock = new FakeClock();
    const users = new PlayedUsers({ ...user('a'), expiresAtMs: clock.now() + 10_000 });
    const access = createAccess({ clock, setup: testSetup({}, [users]) });
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
    await clock.advance(10_000);
    expect(access.decideNow(askerWith(basic('a', 'good')), wanted)).toBeUndefined();
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('unauthenticated');
  });

  it('ends with a change of who said so, and of nobody else', async () => {
    const [one, two] = [new PlayedUsers(user('a')), new PlayedUsers(user('b'))];
    const { access } = testAccess({}, [one, two]);
    await ask(access, basic('a', 'good'));
    await ask(access, basic('b', 'good'));
    one.identities.clear();
    one.revision += 1;
    expect(access.decideNow(askerWith(basic('b', 'good')), wanted)).toMatchObject({ allowed: true });
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('unauthenticated');
  });

  it('ends with a reload, also for those who ask in that moment', async () => {
    const users = new PlayedUsers(user('a'));
    const answered = Promise.withResolvers<void>();
    const { access } = testAccess({}, [users]);
    await ask(access, basic('a', 'good'));
    users.gate = () => answered.promise;
    const other = ask(access, basic('a', 'bad'), '192.0.2.2');
    const late = ask(access, basic('a', 'good'), '192.0.2.2');
    access.adopt(testSetup({}, [new PlayedUsers()]));
    answered.resolve();
    expect(access.decideNow(askerWith(basic('a', 'good')), wanted)).toBeUndefined();
    expect(await Promise.all([codeOf(other), codeOf(late)])).toEqual(['unauthenticated', 'unauthenticated']);
  });

  it('takes bounded memory', async () => {
    const clock = new FakeClock();
    const limits = new FailureLimits(clock, 1_000_000);
    const authentication = new Authentication(clock, [new PlayedUsers()], limits, () => {});
    for (let count = 0; count < 12_000; count += 1) {
      await authentication.prove(basic(`u${count}`, 'x'), '192.0.2.1', never);
    }
    expect(authentication.size).toBe(10_000);
  });
});

describe('an authenticator that does not answer', () => {
  it('is unavailable, never a wrong login, and asked again at once', async () => {
    const users = new PlayedUsers(user('a'));
    users.gate = () => Promise.reject(new Error('connection refused'));
    const { access, unavailable } = testAccess({}, [users]);
    expect(await ask(access, basic('a', 'good'))).toMatchObject({
      code: 'unavailable',
      retryAfterMs: 5_000,
      text: expect.stringContaining('played does not answer'),
    });
    expect(unavailable).toEqual(['played: connection refused']);
    users.gate = () => Promise.resolve();
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
  });

  it('does not keep others from answering', async () => {
    const [dead, alive] = [new PlayedUsers(), new PlayedUsers(user('a'))];
    dead.gate = () => Promise.reject(new Error('down'));
    const { access } = testAccess({}, [dead, alive]);
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
    expect(await codeOf(ask(access, basic('a', 'bad')))).toBe('unavailable');
    expect(await codeOf(ask(access, basic('x', 'bad')))).toBe('unavailable');
  });

  it('costs nobody a failure', async () => {
    const users = new PlayedUsers(user('a'));
    users.gate = () => Promise.reject(new Error('down'));
    const { access } = testAccess({}, [users]);
    for (let count = 0; count < 30; count += 1) await ask(access, basic('a', `guess ${count}`));
    users.gate = () => Promise.resolve();
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
  });
});

describe('wrong logins', () => {
  async function guess(access: AccessControl, count: number, name = 'a', address = '192.0.2.1') {
    const codes = [];
    for (let number = 0; number < count; number += 1) {
      codes.push(await codeOf(ask(access, basic(name, `guess ${number}`), address)));
    }
    return codes;
  }

  it('are limited to ten a minute from one address, and then not looked at', async () => {
    const users = new PlayedUsers(user('a'));
    const { access, clock } = testAccess({}, [users]);
    const codes = await guess(access, 12);
    expect(codes).toEqual([...Array.from({ length: 10 }, () => 'unauthenticated'), 'limited', 'limited']);
    expect(users.asked).toBe(10);
    expect(await ask(access, basic('a', 'good'))).toMatchObject({ code: 'limited', retryAfterMs: 6_000 });
    expect(await codeOf(ask(access, basic('a', 'good'), '192.0.2.2'))).toBe('limited');
    await clock.advance(60_000);
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
  });

  it('are limited by a setting', async () => {
    const { access } = testAccess({ failuresPerMinute: 2 }, [new PlayedUsers(user('a'))]);
    expect(await guess(access, 3)).toEqual(['unauthenticated', 'unauthenticated', 'limited']);
  });

  it('lock no other account, address or anonymous reader', async () => {
    const { access } = testAccess({ failuresPerMinute: 2 }, [new PlayedUsers(user('a'), user('b'))]);
    await guess(access, 5);
    expect(await codeOf(ask(access, basic('b', 'good'), '192.0.2.2'))).toBe('allowed');
    const open = access.decideNow(askerWith(undefined), { right: 'read', path: 'golang.org/x/mod' });
    expect(open).toMatchObject({ allowed: true });
  });

  it('do not lock out who was proven from another address before', async () => {
    const { access, clock } = testAccess({ failuresPerMinute: 2 }, [new PlayedUsers(user('a'))]);
    await ask(access, basic('a', 'good'), '192.0.2.2');
    await clock.advance(60_000);
    await guess(access, 5);
    expect(await codeOf(ask(access, basic('a', 'good'), '192.0.2.2'))).toBe('allowed');
    expect(await codeOf(ask(access, basic('a', 'good'), '192.0.2.3'))).toBe('limited');
  });

  it('from a locked address learn nothing from what others proved', async () => {
    const { access } = testAccess({ failuresPerMinute: 2 }, [new PlayedUsers(user('a'), user('b'))]);
    await ask(access, basic('a', 'good'));
    await guess(access, 5, 'b');
    // The right password, well known to us: still not told.
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('limited');
    expect(await codeOf(ask(access, basic('a', 'good'), '192.0.2.2'))).toBe('allowed');
  });

  it('that are the same one count once a minute', async () => {
    const { access, clock } = testAccess({ failuresPerMinute: 2 }, [new PlayedUsers(user('a'))]);
    for (let count = 0; count < 10; count += 1) {
      expect(await codeOf(ask(access, basic('a', 'old password')))).toBe('unauthenticated');
      await clock.advance(5_500);
    }
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
  });

  it('look the same for accounts that are there and that are not', async () => {
    const { access } = testAccess({ failuresPerMinute: 3 }, [new PlayedUsers(user('a'))]);
    const answers = [];
    for (const [name, address] of [
      ['a', '192.0.2.1'],
      ['nobody', '192.0.2.2'],
    ] as const) {
      const seen = [];
      for (let count = 0; count < 5; count += 1) {
        seen.push({ ...(await ask(access, basic(name, `${count}`), address)), address: '' });
      }
      answers.push(seen);
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  it('of a thousand at once get no further than ten', async () => {
    const users = new PlayedUsers(user('a'));
    const { access } = testAccess({}, [users]);
    const asked = Array.from({ length: 1_000 }, (_, count) => ask(access, basic('a', `guess ${count}`)));
    const codes = await Promise.all(asked.map(codeOf));
    expect(codes.filter((code) => code === 'unauthenticated')).toHaveLength(10);
    expect(users.asked).toBe(10);
  });
});

describe('static tokens', () => {
  async function open(clock = new FakeClock(), folder?: string) {
    const dir = folder ?? (await newFolder());
    const tokens = await Tokens.open(dir, { clock });
    onTestFinished(() => tokens.close());
    const users: RevisedAuthenticator = new PlayedUsers(user('a'));
    const access = createAccess({ clock, setup: testSetup({ failuresPerMinute: 2 }, [tokens, users]) });
    return { clock, dir, tokens, access };
  }
  async function newFolder(): Promise<string> {
    const made = await tempDir('access');
    onTestFinished(made.remove);
    return made.path;
  }
  const order = {
    name: 'ci',
    scopes: { read: ['*'], publish: [], admin: false },
    groups: [],
    expiresAtMs: undefined,
  };

  it('are taken as Bearer and in either field of Basic', async () => {
    const { tokens, access } = await open();
    const { token } = await tokens.create(order, 'local');
    for (const authorization of [`Bearer ${token}`, basic(token, 'x'), basic('x', token), basic(token, '')]) {
      const decision = await ask(access, authorization);
      expect(decision).toMatchObject({ allowed: true, identity: { kind: 'token', name: 'ci' } });
    }
  });

  it('that are good pass from an address that is locked, and wrong ones are counted', async () => {
    const { tokens, access } = await open();
    const { token } = await tokens.create(order, 'local');
    const codes = [];
    for (let count = 0; count < 4; count += 1) codes.push(await codeOf(ask(access, `Bearer mfy_${count}`)));
    expect(codes).toEqual(['unauthenticated', 'unauthenticated', 'limited', 'limited']);
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('limited');
    expect(await codeOf(ask(access, `Bearer ${token}`))).toBe('allowed');
    expect(access.decideNow(askerWith(`Bearer ${token}`), wanted)).toMatchObject({ allowed: true });
  });

  it('that are revoked are refused at once here, and within 5 s by every process on the folder', async () => {
    const one = await open();
    const two = await open(one.clock, one.dir);
    const { token } = await one.tokens.create(order, 'local');
    await two.tokens.reread();
    const authorization = `Bearer ${token}`;
    expect(await codeOf(ask(one.access, authorization))).toBe('allowed');
    expect(await codeOf(ask(two.access, authorization))).toBe('allowed');
    await one.tokens.revoke('ci');
    expect(await codeOf(ask(one.access, authorization))).toBe('unauthenticated');
    let spentMs = 0;
    while ((await codeOf(ask(two.access, authorization))) === 'allowed') {
      expect(spentMs).toBeLessThan(5_000);
      spentMs += 100;
      await one.clock.advance(100);
      // A look of the other one goes the way of this one.
      await one.tokens.reread();
    }
  });

  it('are unavailable while their file is damaged, also those that were known', async () => {
    const { dir, tokens, access } = await open();
    const { token } = await tokens.create(order, 'local');
    expect(await codeOf(ask(access, `Bearer ${token}`))).toBe('allowed');
    writeFileSync(`${dir}/meta/tokens.json`, '{"version":1,"tok');
    await tokens.reread();
    expect(await codeOf(ask(access, `Bearer ${token}`))).toBe('unavailable');
    expect(await codeOf(ask(access, basic('a', 'good')))).toBe('allowed');
  });
});
