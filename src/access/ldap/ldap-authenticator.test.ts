import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Slapd, slapdSuffix, startSlapd } from '../../../test/kit/slapd.ts';
import { type TempDir, tempDir } from '../../../test/kit/temp.ts';
import { type TestAuthority, testAuthority } from '../../../test/kit/tls.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { Secret } from '../../lib/secret.ts';
import { createLdapAuthenticator, type LdapAuthenticator } from './ldap-authenticator.ts';
import { type LdapOptions, ldapWarnings } from './ldap-options.ts';

const people = `ou=people,${slapdSuffix}`;
const groups = `ou=groups,${slapdSuffix}`;

function person(rdn: string, uid: string, password: string): string {
  return `dn: ${rdn},${people}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid}\nsn: x\nuserPassword: ${password}\n\n`;
}

const ldif = [
  person('uid=alice', 'alice', 'alice secret'),
  // As the overlay would write it when the groups came after the users.
  `${person('uid=bob', 'bob', 'bob secret').trim()}\nmemberOf: cn=team-b,${groups}\nmemberOf: cn=admins,${people}\n\n`,
  person('uid=*)(uid\\=alice', '*)(uid=alice', 'star secret'),
  person('uid=o\\,brien', 'o,brien', 'brien secret'),
  // Two entries of one name: neither can be meant.
  person('cn=twin 1', 'twin', 'twin secret'),
  person('cn=twin 2', 'twin', 'twin secret'),
  `dn: cn=team-a,${groups}\nobjectClass: groupOfNames\ncn: team-a\nmember: uid=alice,${people}\n\n`,
  `dn: cn=team-b,${groups}\nobjectClass: groupOfNames\ncn: team-b\nmember: uid=bob,${people}\n` +
    `member: uid=*)(uid\\=alice,${people}\n\n`,
  `dn: cn=posix,${groups}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1\nmemberUid: alice\n\n`,
  // The name of a real group, made by somebody who may write elsewhere.
  `dn: cn=admins,${people}\nobjectClass: groupOfNames\ncn: admins\nmember: uid=bob,${people}\n\n`,
].join('');

let dir: TempDir;
let authority: TestAuthority;
let slapd: Slapd;
let clock: FakeClock;
const never = new AbortController().signal;

beforeAll(async () => {
  dir = await tempDir('ldap');
  authority = await testAuthority(dir.path);
  slapd = await startSlapd({ ldif, certificate: await authority.issue() });
});
afterAll(async () => {
  await slapd.close();
  await dir.remove();
});
beforeEach(() => {
  clock = new FakeClock();
});

function authenticator(options: Partial<LdapOptions> = {}): LdapAuthenticator {
  const made = createLdapAuthenticator({
    urls: [slapd.url],
    bindDn: slapd.adminDn,
    bindPassword: new Secret(slapd.adminPassword),
    userBase: people,
    groupBase: groups,
    clock,
    ...options,
  });
  onTestFinished(() => made.close());
  return made;
}

function logIn(ldap: LdapAuthenticator, username: string, password: string, signal = never) {
  return ldap.authenticate({ kind: 'basic', username, password }, signal);
}

describe('search, then bind', () => {
  it('knows users and their groups by their password', async () => {
    const ldap = authenticator();
    expect(await logIn(ldap, 'alice', 'alice secret')).toEqual({
      kind: 'user',
      name: 'alice',
      groups: ['posix', 'team-a'],
      scopes: undefined,
      expiresAtMs: undefined,
    });
    expect(await logIn(ldap, 'alice', 'bob secret')).toBe('wrong');
    // The connection was bound as somebody else in between.
    expect(await logIn(ldap, 'bob', 'bob secret')).toMatchObject({ name: 'bob', groups: ['team-b'] });
  });

  it('calls users as the directory spells them', async () => {
    expect(await logIn(authenticator(), 'ALICE', 'alice secret')).toMatchObject({ name: 'alice' });
  });

  it('calls them by the attribute they are found by', async () => {
    const ldap = authenticator({ userFilter: '(&(objectClass=person)(cn={user}))' });
    expect(await logIn(ldap, 'ALICE', 'alice secret')).toMatchObject({ name: 'alice' });
  });

  it.each(['*', 'al*', '*)(uid=*', 'alice)(|(uid=*', 'alice*)((', '\\2a', 'alice\\00', 'nobody'])(
    'finds nobody under "%s"',
    async (name) => {
      expect(await logIn(authenticator(), name, 'alice secret')).toBe('other');
    },
  );

  it('finds the one whose very name has filter characters, and with the right groups', async () => {
    const ldap = authenticator();
    const found = await logIn(ldap, '*)(uid=alice', 'star secret');
    expect(found).toMatchObject({ name: '*)(uid=alice', groups: ['team-b'] });
    expect(await logIn(ldap, '*)(uid=alice', 'alice secret')).toBe('wrong');
  });

  it('takes two entries of one name for nobody', async () => {
    expect(await logIn(authenticator(), 'twin', 'twin secret')).toBe('other');
  });

  it('asks nobody about an empty password, one with NUL, or a name with control characters', async () => {
    const ldap = authenticator({ urls: [`ldap://127.0.0.1:1`] });
    expect(await logIn(ldap, 'alice', '')).toBe('wrong');
    expect(await logIn(ldap, 'alice', '\0')).toBe('wrong');
    expect(await logIn(ldap, 'alice', 'alice secret\0')).toBe('wrong');
    expect(await logIn(ldap, 'alice\0', 'alice secret')).toBe('other');
    expect(await logIn(ldap, 'a\nb', 'x')).toBe('other');
    expect(await logIn(ldap, 'x'.repeat(300), 'x')).toBe('other');
    expect(await ldap.authenticate({ kind: 'bearer', token: 'alice' }, never)).toBe('other');
  });

  it('searches anonymously without an account', async () => {
    const ldap = authenticator({ bindDn: undefined, bindPassword: undefined });
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ groups: ['posix', 'team-a'] });
  });

  it('says that the search account is at fault, not the user', async () => {
    const ldap = authenticator({ bindPassword: new Secret('old') });
    await expect(logIn(ldap, 'alice', 'alice secret')).rejects.toMatchObject({
      code: 'ldap_unavailable',
      message: expect.stringMatching(/check bind_dn and bind_password/) as string,
    });
  });
});

describe('groups', () => {
  it('are read from memberOf, and only below the base', async () => {
    const ldap = authenticator({ memberOf: 'memberOf' });
    expect(await logIn(ldap, 'bob', 'bob secret')).toMatchObject({ groups: ['team-b'] });
    const everywhere = authenticator({ memberOf: 'memberof', groupBase: undefined });
    expect(await logIn(everywhere, 'bob', 'bob secret')).toMatchObject({ groups: ['admins', 'team-b'] });
  });

  it('are none without a base', async () => {
    const ldap = authenticator({ groupBase: undefined });
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ groups: [] });
  });
});

describe('direct bind', () => {
  const direct = { userDnTemplate: `uid={user},${people}`, bindDn: undefined, bindPassword: undefined };

  it('binds as the entry of the template', async () => {
    const ldap = authenticator(direct);
    expect(await logIn(ldap, 'Alice', 'alice secret')).toMatchObject({
      name: 'alice',
      groups: ['posix', 'team-a'],
    });
    expect(await logIn(ldap, 'o,brien', 'brien secret')).toMatchObject({ name: 'o,brien' });
    expect(await logIn(ldap, 'alice', 'bob secret')).toBe('wrong');
    expect(await logIn(ldap, 'nobody', 'x')).toBe('wrong');
  });

  it('cannot be led to another entry by the name', async () => {
    const ldap = authenticator({ ...direct, userDnTemplate: `uid={user},ou=none,${slapdSuffix}` });
    expect(await logIn(ldap, `alice,${people}`, 'alice secret')).toBe('wrong');
    expect(await logIn(ldap, `alice,${people};x`, 'alice secret')).toBe('wrong');
    expect(await logIn(ldap, `admin+uid=x`, 'admin secret')).toBe('wrong');
  });
});

describe('TLS', () => {
  it('speaks ldaps and StartTLS with the authority it is given', async () => {
    const tls = authenticator({ urls: [slapd.tlsUrl ?? ''], caFile: authority.certFile });
    expect(await logIn(tls, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    const startTls = authenticator({ startTls: true, caFile: authority.certFile });
    expect(await logIn(startTls, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    expect(await logIn(startTls, 'alice', 'x')).toBe('wrong');
  });

  it.each([
    ['ldaps', () => ({ urls: [slapd.tlsUrl ?? ''] })],
    ['StartTLS', () => ({ startTls: true })],
  ])('sends no password to a server with a strange certificate: %s', async (_, options) => {
    await expect(logIn(authenticator(options()), 'alice', 'alice secret')).rejects.toMatchObject({
      code: 'ldap_unavailable',
      message: expect.stringMatching(/certificate/) as string,
    });
  });

  it('never goes on unencrypted: against a server that wants it, and where StartTLS is refused', async () => {
    await using strict = await startSlapd({ ldif, certificate: await authority.issue(), requireTls: true });
    await expect(logIn(authenticator({ urls: [strict.url] }), 'alice', 'alice secret')).rejects.toMatchObject(
      {
        code: 'ldap_unavailable',
      },
    );
    const startTls = authenticator({ urls: [strict.url], startTls: true, caFile: authority.certFile });
    expect(await logIn(startTls, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    await using bare = await startSlapd({ ldif });
    await expect(
      logIn(authenticator({ urls: [bare.url], startTls: true }), 'alice', 'alice secret'),
    ).rejects.toThrow(/refuses StartTLS/);
  });

  it('goes through StartTLS again after the server restarted', async () => {
    await using strict = await startSlapd({ ldif, certificate: await authority.issue(), requireTls: true });
    const ldap = authenticator({ urls: [strict.url], startTls: true, caFile: authority.certFile });
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    await strict.stop();
    await strict.start();
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
  });
});

describe('servers that fail', () => {
  it('are passed over, and one that is gone rejects', async () => {
    await using second = await startSlapd({ ldif });
    const ldap = authenticator({ urls: [second.url, slapd.url] });
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    await second.stop();
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    // A wrong password is an answer: nobody else is asked.
    expect(await logIn(ldap, 'alice', 'x')).toBe('wrong');
    const alone = authenticator({ urls: [second.url] });
    await expect(logIn(alone, 'alice', 'alice secret')).rejects.toMatchObject({ code: 'ldap_unavailable' });
    await second.start();
    expect(await logIn(alone, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
  });

  it('that take the connection and say nothing are left after the timeout', async () => {
    const asked = Promise.withResolvers<void>();
    const mute = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => asked.resolve());
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void mute.close());
    const address = mute.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const ldap = authenticator({ urls: [`ldap://127.0.0.1:${port}`, slapd.url] });
    const answer = logIn(ldap, 'alice', 'alice secret');
    await asked.promise;
    await clock.advance(4999);
    expect(clock.timers).toBe(1);
    await clock.advance(1);
    expect(await answer).toMatchObject({ name: 'alice' });
    expect(clock.timers).toBe(0);
  });

  it('keep nobody who leaves', async () => {
    const controller = new AbortController();
    slapd.freeze();
    try {
      const answer = logIn(authenticator(), 'alice', 'alice secret', controller.signal);
      controller.abort(new Error('gone'));
      await expect(answer).rejects.toThrow('gone');
    } finally {
      slapd.thaw();
    }
  });
});

describe('connections', () => {
  it('are no more at once than allowed', async () => {
    const wire = await startWire();
    const ldap = authenticator({ urls: [wire.url], maxConnections: 2 });
    const all = await Promise.all(Array.from({ length: 20 }, () => logIn(ldap, 'alice', 'alice secret')));
    expect(all.every((one) => typeof one === 'object' && one.name === 'alice')).toBe(true);
    expect(wire.most()).toBe(2);
  });

  it('are used again, also after a wrong password, and made anew when the server closed them', async () => {
    const wire = await startWire();
    const ldap = authenticator({ urls: [wire.url] });
    await logIn(ldap, 'alice', 'alice secret');
    await logIn(ldap, 'alice', 'x');
    expect(await logIn(ldap, 'bob', 'bob secret')).toMatchObject({ name: 'bob' });
    expect(wire.made()).toBe(1);
    await wire.cut();
    expect(await logIn(ldap, 'alice', 'alice secret')).toMatchObject({ name: 'alice' });
    expect(wire.made()).toBe(2);
  });

  it('that nobody used for long are not used again', async () => {
    const wire = await startWire();
    const ldap = authenticator({ urls: [wire.url] });
    await logIn(ldap, 'alice', 'alice secret');
    await clock.advance(30_000);
    await logIn(ldap, 'alice', 'alice secret');
    expect(wire.made()).toBe(2);
  });
});

/** Between the authenticator and slapd: counts the connections, and cuts them. */
async function startWire() {
  const sockets = new Set<Socket>();
  let [made, most] = [0, 0];
  const server = createServer((socket) => {
    made += 1;
    most = Math.max(most, sockets.add(socket).size);
    const onward = connect(Number(new URL(slapd.url).port), '127.0.0.1');
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket);
        onward.destroy();
      });
    onward.on('error', () => {}).on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = async () => {
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => sockets.size).toBe(0);
  };
  onTestFinished(async () => {
    await cut();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { url: `ldap://127.0.0.1:${port}`, made: () => made, most: () => most, cut };
}

describe('options', () => {
  it.each<[Partial<LdapOptions>, RegExp]>([
    [{ urls: [] }, /no server/],
    [{ urls: ['http://x'] }, /no LDAP URL/],
    [{ urls: ['ldap://x/dc=x'] }, /search base is a setting/],
    [{ userBase: undefined }, /user_base, or user_dn_template/],
    [{ userBase: 'people' }, /no distinguished name/],
    [{ userFilter: '(uid=alice)' }, /lacks \{user\}/],
    [{ userFilter: '(uid={user}' }, /is no filter/],
    [{ groupFilter: 'member={dn}' }, /is no filter/],
    [{ userDnTemplate: 'uid=x,dc=x' }, /lacks \{user\}/],
    [{ bindDn: 'EXTERNAL' }, /no distinguished name/],
    [{ bindPassword: undefined }, /anonymous/],
    [{ bindPassword: new Secret('') }, /anonymous/],
  ])('%o are refused', (options, message) => {
    expect(() => authenticator(options)).toThrow(message);
  });

  it('warn where passwords would go unencrypted', () => {
    const warnings = ldapWarnings({
      urls: ['ldap://ldap.corp.example', 'ldap://127.0.0.1', 'ldaps://x.example'],
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/ldap:\/\/ldap\.corp\.example unencrypted/);
    expect(ldapWarnings({ urls: ['ldap://ldap.corp.example'], startTls: true })).toEqual([]);
  });
});
