import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { createAccess } from './access.ts';
import type { AccessOptions } from './access-options.ts';
import { hiddenText } from './denial-texts.ts';
import {
  askerWith,
  basic,
  group,
  PlayedUsers,
  testAccess,
  testRoute,
  testRoutes,
  testSetup,
  user,
} from './test-access.ts';
import {
  type Asker,
  anonymous,
  type Decision,
  type DenialCode,
  type Identity,
  type Right,
  type Wanted,
} from './types.ts';

const never = new AbortController().signal;
const paths = {
  public: 'golang.org/x/mod',
  private: 'corp.example/tools',
  team: 'corp.example/team-a/x',
} as const;

function read(path: string | undefined, request?: string): Wanted {
  return { right: 'read', path, request };
}

function codeOf(decision: Decision): DenialCode | 'allowed' {
  return decision.allowed ? 'allowed' : decision.code;
}

function token(name: string, scopes: NonNullable<Identity['scopes']>): Identity {
  return { kind: 'token', name, groups: [], scopes, expiresAtMs: undefined };
}

describe('who may do what', () => {
  const everything = { read: ['*'], publish: ['*'], admin: true };
  const users = new PlayedUsers(
    user('a', ['team-a']),
    user('b', ['team-b']),
    user('root', ['admins', 'team-a']),
    token('ci', everything),
    token('scoped', { read: ['corp.example/team-a'], publish: [], admin: false }),
  );
  const ok = 'allowed';
  const no = 'forbidden';
  const who = 'unauthenticated';
  /** [asker, right, public, private, team]. */
  const table: [string, Right, string, string, string][] = [
    ['anonymous', 'read', ok, who, who],
    ['anonymous', 'publish', no, who, who],
    ['anonymous', 'admin', who, who, who],
    ['a', 'read', ok, ok, ok],
    ['a', 'publish', no, no, ok],
    ['a', 'admin', no, no, no],
    ['b', 'read', ok, ok, no],
    ['b', 'publish', no, no, no],
    ['b', 'admin', no, no, no],
    ['root', 'read', ok, ok, ok],
    ['root', 'publish', no, ok, ok],
    ['root', 'admin', ok, ok, ok],
    ['ci', 'read', ok, ok, ok],
    ['ci', 'publish', no, no, ok],
    ['ci', 'admin', no, no, no],
    ['scoped', 'read', ok, no, ok],
    ['scoped', 'publish', no, no, no],
    ['scoped', 'admin', no, no, no],
  ];

  describe.each([false, true])('hide %s', (hide) => {
    const { access } = testAccess({ hide }, [users]);

    it.each(table)('%s, %s', async (name, right, ...expected) => {
      const asker = askerWith(name === 'anonymous' ? undefined : basic(name, 'good'));
      const codes = [];
      for (const path of Object.values(paths)) {
        const decision = await access.decide(asker, { right, path }, never);
        codes.push(codeOf(decision));
        expect(access.decideNow(asker, { right, path })).toEqual(decision);
        if (!decision.allowed) {
          expect(decision.text.split('\n').length).toBeLessThanOrEqual(3);
          expect(decision.text).not.toContain(path);
          if (decision.code === 'hidden') expect(decision.text).toBe(hiddenText);
        }
      }
      const hidden = (code: string) => (hide && right === 'read' && code !== ok ? 'hidden' : code);
      expect(codes).toEqual(expected.map(hidden));
    });

    it('tells wrong and malformed credentials always', async () => {
      for (const authorization of [basic('a', 'bad'), basic('nobody', 'x'), 'Bearer x', 'Negotiate x', 'x']) {
        const decision = await access.decide(askerWith(authorization), read(paths.team), never);
        expect(codeOf(decision)).toBe('unauthenticated');
      }
    });
  });

  it('says which rule it was, and what to do', async () => {
    const { access } = testAccess({}, [users]);
    expect(await access.decide(askerWith(basic('b', 'good')), read(paths.team), never)).toMatchObject({
      text: expect.stringContaining('b may not do this (route team-a: read)'),
      rule: 'route team-a: read',
      identity: { name: 'b' },
    });
    expect(await access.decide(askerWith(basic('scoped', 'good')), read(paths.private), never)).toMatchObject(
      { rule: 'token scope: read' },
    );
    const decision = await access.decide(askerWith(undefined), read(paths.team), never);
    expect(decision).toMatchObject({
      text: expect.stringMatching(/modferry login.*\.netrc[^]*modferry env/),
    });
    // The names of routes may be those of secret projects.
    expect(decision.allowed ? '' : decision.text).not.toContain('team-a');
  });

  it('says the same of a module that is there and of one that is not', async () => {
    const { access } = testAccess({ hide: true }, [users]);
    const texts = ['corp.example/team-a/x', 'corp.example/team-a/none', 'corp.example/team-a'].map((path) =>
      access.decideNow(askerWith(undefined), read(path)),
    );
    expect(new Set(texts.map((each) => JSON.stringify(each))).size).toBe(1);
  });

  it('lets the last route decide on the server as a whole', async () => {
    const { access } = testAccess({}, [users]);
    const whole: Wanted = { right: 'admin', path: undefined };
    expect(codeOf(await access.decide(askerWith(basic('root', 'good')), whole, never))).toBe('allowed');
    expect(codeOf(await access.decide(askerWith(basic('a', 'good')), whole, never))).toBe('forbidden');
  });

  it('is not fooled by names of Object.prototype', async () => {
    const { access } = testAccess({}, [users]);
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const decision = await access.decide(askerWith(basic(name, 'good')), read(paths.team), never);
      expect(codeOf(decision)).toBe('unauthenticated');
      expect(codeOf(await access.decide(askerWith(undefined), read(name), never))).toBe('allowed');
    }
  });

  it('looks at no credentials where nobody can prove anything', async () => {
    const { access } = testAccess();
    expect(access.decideNow(askerWith(basic('a', 'x')), { right: 'admin', path: undefined })).toMatchObject({
      code: 'unauthenticated',
      rule: 'route public: admin',
    });
  });

  it('gives open modules to those whose login is wrong, too, and asks nobody for it', () => {
    const { access } = testAccess({}, [users]);
    const { asked } = users;
    expect(access.decideNow(askerWith(basic('a', 'bad')), read(paths.public))).toMatchObject({
      allowed: true,
      identity: { kind: 'anonymous' },
    });
    expect(users.asked).toBe(asked);
  });

  it.each<[string, Partial<AccessOptions>]>([
    ['an address list', { deny: ['10.0.0.0/8'] }],
    ['a rate of addresses', { perAddress: { perSecond: 1, burst: 9 } }],
    ['a rate of identities', { perIdentity: { perSecond: 1, burst: 9 } }],
  ])('gives public modules to those whose login is wrong, also with %s', async (_, options) => {
    const { access } = testAccess(options, [users]);
    for (const authorization of [basic('a', 'bad'), 'Bearer x', 'Negotiate x']) {
      const asker = askerWith(authorization);
      const decision = await access.decide(asker, read(paths.public), never);
      expect(decision).toMatchObject({ allowed: true, identity: { kind: 'anonymous' } });
      expect(codeOf(await access.decide(asker, read(paths.private), never))).toBe('unauthenticated');
    }
  });

  it('tells denials by rules from all others', async () => {
    const { access } = testAccess({ deny: ['10.0.0.0/8'] }, [users]);
    const byRules = async (authorization: string | undefined, address = '192.0.2.1') => {
      const decision = await access.decide(askerWith(authorization, { address }), read(paths.team), never);
      return decision.allowed ? undefined : decision.isByRules;
    };
    expect(await byRules(undefined)).toBe(true);
    expect(await byRules(basic('b', 'good'))).toBe(true);
    expect(await byRules(basic('b', 'bad'))).toBe(false);
    expect(await byRules('Negotiate x')).toBe(false);
    expect(await byRules(undefined, '10.0.0.1')).toBe(false);
  });

  it('tells who asks, whatever they may', async () => {
    const { access } = testAccess({ hide: true }, [users]);
    expect(await access.identify(askerWith(basic('b', 'good')), never)).toMatchObject({
      allowed: true,
      identity: { name: 'b' },
    });
    for (const authorization of [undefined, basic('b', 'bad')]) {
      expect(codeOf(await access.identify(askerWith(authorization), never))).toBe('unauthenticated');
    }
  });
});

describe('isOpen', () => {
  it.each([
    ['a public module', {}, testRoutes, paths.public, true],
    ['a private module', {}, testRoutes, paths.private, false],
    ['with an address list', { deny: ['10.0.0.0/8'] }, testRoutes, paths.public, false],
    ['with an allow list', { allow: ['10.0.0.0/8'] }, testRoutes, paths.public, false],
    ['with a rate limit', { perAddress: { perSecond: 1, burst: 1 } }, testRoutes, paths.public, false],
    [
      'with a rate limit of identities',
      { perIdentity: { perSecond: 1, burst: 1 } },
      testRoutes,
      paths.public,
      false,
    ],
    ['the server as a whole', {}, testRoutes, undefined, true],
    [
      'with a list of the route',
      {},
      [testRoute('public', ['*'], { read: [{ kind: 'anonymous' }], deny: ['10.0.0.0/8'] })],
      paths.public,
      false,
    ],
  ] as const)('%s', (_, options, routes, path, expected) => {
    const { access } = testAccess(options, [], routes);
    expect(access.isOpen(path)).toBe(expected);
    access.close();
    expect(access.isOpen(path)).toBe(false);
  });
});

describe('addresses', () => {
  const routes = [
    testRoute('team-a', ['corp.example'], {
      read: [{ kind: 'anonymous' }],
      allow: ['10.1.0.0/16', 'fd00::/8'],
      deny: ['10.1.9.0/24'],
    }),
    testRoute('public', ['*'], { read: [{ kind: 'anonymous' }] }),
  ];
  const options = { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.9.0.0/16'], trustedProxies: ['10.0.0.1'] };

  it.each([
    ['10.1.2.3', undefined, 'corp.example/x', undefined],
    ['::ffff:10.1.2.3', undefined, 'corp.example/x', undefined],
    ['fd00::7', undefined, 'corp.example/x', undefined],
    ['10.2.0.1', undefined, 'corp.example/x', 'route team-a: allow'],
    ['10.1.9.1', undefined, 'corp.example/x', 'route team-a: deny 10.1.9.0/24'],
    ['10.2.0.1', undefined, 'a.example/x', undefined],
    ['10.9.0.1', undefined, 'a.example/x', 'access.deny 10.9.0.0/16'],
    ['192.0.2.1', undefined, 'a.example/x', 'access.allow'],
    ['', undefined, 'a.example/x', 'access.allow'],
    ['10.0.0.1', '192.0.2.1', 'a.example/x', 'access.allow'],
    ['10.0.0.1', '192.0.2.1, 10.1.2.3', 'corp.example/x', undefined],
    ['192.0.2.1', '10.1.2.3', 'a.example/x', 'access.allow'],
  ])('from %s for %s asking for %s: %s', (address, forwardedFor, path, rule) => {
    const { access } = testAccess(options, [], routes);
    const decision = access.decideNow(askerWith(undefined, { address, forwardedFor }), read(path));
    if (rule === undefined) expect(decision).toMatchObject({ allowed: true });
    else expect(decision).toMatchObject({ code: 'forbidden', rule });
  });

  it('come before credentials: nobody is asked for those who may not come in', async () => {
    const users = new PlayedUsers(user('a'));
    const { access } = testAccess({ deny: ['192.0.2.0/24'] }, [users]);
    const decision = await access.decide(askerWith(basic('a', 'good')), read(paths.private), never);
    expect(decision).toMatchObject({ code: 'forbidden', rule: 'access.deny 192.0.2.0/24' });
    expect(users.asked).toBe(0);
  });

  it('are hidden from like everything else', () => {
    const { access } = testAccess({ ...options, hide: true }, [], routes);
    expect(access.decideNow(askerWith(undefined), read('corp.example/x'))).toMatchObject({
      code: 'hidden',
      text: hiddenText,
    });
  });

  it('that are no ranges are refused, and the running rules go on', () => {
    const { access } = testAccess({ deny: ['192.0.2.0/24'] });
    expect(() => access.adopt(testSetup({ deny: ['everybody'] }))).toThrow(
      expect.objectContaining({ code: 'bad_range' }),
    );
    expect(access.decideNow(askerWith(undefined), read(paths.public))).toMatchObject({ code: 'forbidden' });
    access.adopt(testSetup());
    expect(access.decideNow(askerWith(undefined), read(paths.public))).toMatchObject({ allowed: true });
  });
});

describe('what proves by itself who asks', () => {
  it('is judged by the addresses of the server and of the last route, as trusted proxies tell them', () => {
    const routes = [
      testRoute('team-a', ['corp.example'], { deny: ['10.0.0.0/8'] }),
      testRoute('public', ['*'], { deny: ['10.2.0.0/16'] }),
    ];
    const { access } = testAccess({ deny: ['10.1.0.0/16'], trustedProxies: ['127.0.0.1'] }, [], routes);
    const from = (forwardedFor: string) =>
      access.admitAddress(askerWith('Basic x', { address: '127.0.0.1', forwardedFor }), 'POST /');
    expect(from('10.3.0.1')).toEqual({ allowed: true, identity: anonymous, address: '10.3.0.1' });
    expect(from('10.1.0.1')).toMatchObject({ code: 'forbidden', rule: 'access.deny 10.1.0.0/16' });
    expect(from('10.2.0.1')).toMatchObject({ code: 'forbidden', rule: 'route public: deny 10.2.0.0/16' });
    access.close();
    expect(from('10.3.0.1')).toMatchObject({ code: 'unavailable' });
  });

  it('is counted by its address', () => {
    const { access } = testAccess({ perAddress: { perSecond: 1, burst: 2 } });
    const codes = ['a', 'b', 'c'].map((url) => codeOf(access.admitAddress(askerWith(undefined), url)));
    expect(codes).toEqual(['allowed', 'allowed', 'limited']);
  });

  it('has as many trials as every other way to log in, and the same', async () => {
    const users = new PlayedUsers(user('a'));
    const { access } = testAccess({ failuresPerMinute: 3 }, [users]);
    for (let count = 0; count < 3; count += 1) {
      const trial = await access.admitTrial('192.0.2.1', never);
      expect(trial.isAdmitted).toBe(true);
      if (trial.isAdmitted) trial.settle(true);
    }
    expect(await access.admitTrial('192.0.2.1', never)).toMatchObject({ isAdmitted: false, by: 'address' });
    const elsewhere = askerWith(basic('a', 'good'), { address: '192.0.2.1' });
    expect(codeOf(await access.decide(elsewhere, read(paths.private), never))).toBe('limited');
    expect(await access.admitTrial('192.0.2.2', never)).toMatchObject({ isAdmitted: true });
  });
});

it('an account is guarded however its name is spelled', async () => {
  const users = new PlayedUsers(user('alice'));
  const { access } = testAccess({ failuresPerMinute: 4 }, [users]);
  const spellings = ['alice', 'Alice', 'ALICE', ' alice'];
  for (const [index, name] of [...spellings, 'aLICE'].entries()) {
    const asker = askerWith(basic(name, `guess ${index}`), { address: `192.0.2.${index}` });
    const code = index < 4 ? 'unauthenticated' : 'limited';
    expect(codeOf(await access.decide(asker, read(paths.private), never)), name).toBe(code);
  }
});

describe('certificates', () => {
  const certificate = {
    commonName: 'build-7',
    units: ['team-a'],
    names: ['dns:build-7.corp.example'],
    fingerprint: 'ab'.repeat(32),
  };
  const options = { certificate: { rules: [], byCommonName: true } };

  it('are an identity of their own where no login is sent', async () => {
    const { access } = testAccess(options, [new PlayedUsers(user('b', ['team-b']))]);
    expect(access.decideNow(askerWith(undefined, { certificate }), read(paths.team))).toMatchObject({
      allowed: true,
      identity: { kind: 'certificate', name: 'build-7' },
    });
    const both = askerWith(basic('b', 'good'), { certificate });
    expect(codeOf(await access.decide(both, read(paths.team), never))).toBe('forbidden');
    const wrong = askerWith(basic('b', 'bad'), { certificate });
    expect(codeOf(await access.decide(wrong, read(paths.team), never))).toBe('unauthenticated');
  });

  it('say nothing after their end, however long a connection lives', async () => {
    const { access, clock } = testAccess(options);
    const asker = askerWith(undefined, {
      certificate: { ...certificate, expiresAtMs: clock.now() + 1_000 },
    });
    expect(access.decideNow(asker, read(paths.team))).toMatchObject({
      allowed: true,
      identity: { name: 'build-7', expiresAtMs: clock.now() + 1_000 },
    });
    await clock.advance(1_000);
    expect(access.decideNow(asker, read(paths.team))).toMatchObject({ code: 'unauthenticated' });
  });

  it('say nothing where that is not asked for', () => {
    const { access } = testAccess();
    const decision = access.decideNow(askerWith(undefined, { certificate }), read(paths.team));
    expect(decision).toMatchObject({ code: 'unauthenticated' });
  });
});

describe('rate limits', () => {
  it('count by address, the network for IPv6, and no repeat within a second', async () => {
    const { access, clock } = testAccess({ perAddress: { perSecond: 1, burst: 2 } });
    const ask = (address: string, request?: string) =>
      access.decideNow(askerWith(undefined, { address }), read(paths.public, request));
    expect([ask('a::1', 'GET /x'), ask('a::1', 'GET /x'), ask('a::2', 'GET /y')]).toMatchObject([
      { allowed: true },
      { allowed: true },
      { allowed: true },
    ]);
    expect(ask('a::3', 'GET /z')).toMatchObject({ code: 'limited', retryAfterMs: 1_000 });
    expect(ask('192.0.2.9')).toMatchObject({ allowed: true });
    await clock.advance(1_000);
    expect(ask('a::3', 'GET /z')).toMatchObject({ allowed: true });
  });

  it('count by identity, from wherever it comes', async () => {
    const users = new PlayedUsers(user('a'), user('b'));
    const { access } = testAccess({ perIdentity: { perSecond: 1, burst: 2 } }, [users]);
    const ask = (name: string, address: string) =>
      access.decide(askerWith(basic(name, 'good'), { address }), read(paths.private), never);
    expect(codeOf(await ask('a', '192.0.2.1'))).toBe('allowed');
    expect(codeOf(await ask('a', '192.0.2.2'))).toBe('allowed');
    expect(await ask('a', '192.0.2.3')).toMatchObject({ code: 'limited', identity: { name: 'a' } });
    expect(codeOf(await ask('b', '192.0.2.3'))).toBe('allowed');
  });

  it('come before anybody is asked, and count a question once', async () => {
    const users = new PlayedUsers(user('a'));
    const { access } = testAccess({ perAddress: { perSecond: 1, burst: 2 } }, [users]);
    const codes = [];
    for (let count = 0; count < 4; count += 1) {
      const asker = askerWith(basic(`u${count}`, 'x'));
      codes.push(
        codeOf(
          access.decideNow(asker, read(paths.private)) ??
            (await access.decide(asker, read(paths.private), never)),
        ),
      );
    }
    expect(codes).toEqual(['unauthenticated', 'unauthenticated', 'limited', 'limited']);
    expect(users.asked).toBe(2);
  });

  it('are kept over a reload that does not change them', () => {
    const options = { perAddress: { perSecond: 1, burst: 1 } };
    const { access } = testAccess(options);
    const ask = () => access.decideNow(askerWith(undefined), read(paths.public));
    expect(ask()).toMatchObject({ allowed: true });
    access.adopt(testSetup(options));
    expect(ask()).toMatchObject({ code: 'limited' });
    access.adopt(testSetup({ perAddress: { perSecond: 1, burst: 2 } }));
    expect(ask()).toMatchObject({ allowed: true });
  });
});

describe('hostile headers', () => {
  it('of 50 kB are quick, whatever is in them', async () => {
    const { access } = testAccess({ trustedProxies: ['192.0.2.0/24'] }, [new PlayedUsers(user('a'))]);
    const startedAtMs = performance.now();
    for (const text of ['Basic ', 'Bearer a', ':', '\u0000', 'a,', '10.0.0.1, ', '=', 'ÿ']) {
      const long = text.repeat(50_000 / text.length);
      const asker: Asker = askerWith(`Basic ${long}`, { forwardedFor: long });
      expect(codeOf(await access.decide(asker, read(paths.team), never))).toBe('unauthenticated');
    }
    expect(performance.now() - startedAtMs).toBeLessThan(100);
  });
});

describe('close', () => {
  it('refuses everybody from then on', async () => {
    const access = createAccess({ clock: new FakeClock(), setup: testSetup() });
    access.close();
    access.adopt(testSetup());
    expect(await access.decide(askerWith(undefined), read(paths.public), never)).toMatchObject({
      code: 'unavailable',
    });
  });
});

it('a group of one route gives nothing on another', async () => {
  const users = new PlayedUsers(user('a', ['team-a']));
  const { access } = testAccess(
    {},
    [users],
    [
      testRoute('one', ['corp.example/one'], { read: [group('team-a')] }),
      testRoute('two', ['corp.example/two'], { read: [group('team-b')] }),
      testRoute('public', ['*'], {}),
    ],
  );
  const codes = [];
  for (const path of ['corp.example/one', 'corp.example/two', 'x.example']) {
    codes.push(codeOf(await access.decide(askerWith(basic('a', 'good')), read(path), never)));
  }
  expect(codes).toEqual(['allowed', 'forbidden', 'forbidden']);
});
