/**
 * People and machines that somebody else vouches for: a password file that changes, a real directory that fails, an
 * issuer of JWTs for CI jobs, and client certificates. What they may read, their groups decide.
 */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { forgedToken, type JwtIssuerKit, startJwtIssuer } from '../kit/jwt-issuer.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type Slapd, slapdSuffix, startSlapd } from '../kit/slapd.ts';
import { type TestAuthority, testAuthority } from '../kit/tls.ts';
import {
  alice,
  basic,
  bearer,
  bob,
  fileOf,
  htpasswdLine,
  listenTls,
  moduleA,
  moduleB,
  otherUrl,
  type Sources,
  send,
  start,
  startSources,
} from './access-support.ts';
import { eventually } from './support.ts';

const modA = fileOf(moduleA, 'mod');
const modB = fileOf(moduleB, 'mod');
const people = `ou=people,${slapdSuffix}`;
const groups = `ou=groups,${slapdSuffix}`;
const audience = 'https://modferry.corp.example';

function person(rdn: string, uid: string, password: string): string {
  return `dn: ${rdn},${people}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: x\nsn: x\nuserPassword: ${password}\n\n`;
}

const ldif = [
  person('uid=dora', 'dora', 'dora secret'),
  person('uid=erik', 'erik', 'erik secret'),
  person('uid=*)(uid\\=dora', '*)(uid=dora', 'star secret'),
  `dn: cn=team-a,${groups}\nobjectClass: groupOfNames\ncn: team-a\nmember: uid=dora,${people}\n\n`,
  `dn: cn=team-b,${groups}\nobjectClass: groupOfNames\ncn: team-b\nmember: uid=erik,${people}\n\n`,
].join('');

let sources: Sources;
let slapd: Slapd;
let issuer: JwtIssuerKit;
let authority: TestAuthority;
let strangers: TestAuthority;
let proxy: ModferryProcess;
let tls: Readonly<Record<string, string>>;
let tlsUrl: string;

beforeAll(async () => {
  [sources, slapd, issuer] = await Promise.all([startSources(), startSlapd({ ldif }), startJwtIssuer()]);
  authority = await testAuthority(sources.dir.path);
  strangers = await testAuthority(sources.dir.path, 'strangers');
  const { certFile: cert, keyFile: key } = await authority.issue();
  tls = { cert, key, client_ca: authority.certFile, client_auth: 'optional' };
  proxy = await start({ config: { ...sources.config, tls, access: access() }, args: listenTls });
  tlsUrl = await otherUrl(proxy, 'https:');
});
afterAll(async () => {
  await proxy.close();
  await Promise.all([slapd.close(), issuer.close(), sources[Symbol.asyncDispose]()]);
});

function access(): Readonly<Record<string, unknown>> {
  return {
    ...sources.config.access,
    // All of this comes from one address.
    failures_per_minute: 10_000,
    ldap: {
      url: slapd.url,
      bind_dn: slapd.adminDn,
      bind_password: slapd.adminPassword,
      user_base: people,
      group_base: groups,
      timeout: '2s',
    },
    jwt: [
      {
        issuer: issuer.issuer,
        audience,
        rules: [
          { claims: { repository: 'acme/tools', ref_protected: true }, groups: ['team-a', 'team-b'] },
          { claims: { repository: 'acme/*' }, groups: ['team-a', 'team-b'], read: ['corp.example/team-a'] },
        ],
      },
    ],
    certificates: [
      { match: 'cn:ci-*', name: 'build', groups: ['team-a'] },
      { match: 'uri:spiffe://corp.example/team-b/*', groups: ['team-b'] },
    ],
  };
}

/** Of a module of team A, and of one of team B. */
async function statuses(as: string | undefined): Promise<[number, number]> {
  return [(await send(proxy.url, modA, { as })).status, (await send(proxy.url, modB, { as })).status];
}

async function whoami(as: string): Promise<unknown> {
  const { status, text } = await send(proxy.url, '/-/v1/whoami', { as });
  return status === 200 ? JSON.parse(text) : status;
}

describe('a password file', () => {
  it('knows its users and their groups', async () => {
    expect([await statuses(alice), await statuses(bob)]).toEqual([
      [200, 403],
      [403, 200],
    ]);
    expect(await whoami(alice)).toMatchObject({ kind: 'user', name: 'alice', groups: ['team-a'] });
    for (const as of [basic('alice', 'bob-secret'), basic('alice', ''), basic('ALICE', 'alice-secret')]) {
      expect(await statuses(as)).toEqual([401, 401]);
    }
  });

  it('is read again when it changes: who is new comes in, who is gone is out, groups move', async () => {
    const before = await Promise.all([
      readFile(sources.htpasswdFile, 'utf8'),
      readFile(sources.groupsFile, 'utf8'),
    ]);
    expect(await statuses(bob)).toEqual([403, 200]);
    const replace = async (file: string, text: string): Promise<void> => {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    };
    onTestFinished(async () => {
      await replace(sources.htpasswdFile, before[0]);
      await replace(sources.groupsFile, before[1]);
      await eventually(
        () => statuses(bob),
        ([, status]) => status === 200,
      );
    });
    const [line = ''] = before[0].split('\n');
    await replace(sources.htpasswdFile, `${line}\n${htpasswdLine('carol', 'carol secret')}`);
    await replace(sources.groupsFile, 'team-a: carol\nteam-b: alice\n');
    await eventually(
      async () => [
        await statuses(alice),
        await statuses(bob),
        await statuses(basic('carol', 'carol secret')),
      ],
      (now) => JSON.stringify(now) === '[[403,200],[401,401],[200,403]]',
      5_000,
    );
    // A file that is half written takes nobody in by accident, and throws nobody out.
    await replace(sources.htpasswdFile, 'carol:plain\nalice\n');
    await proxy.waitForLine(/htpasswd.*line 1/, 5_000);
    expect(await statuses(basic('carol', 'plain'))).toEqual([401, 401]);
  });
});

describe('LDAP', () => {
  const dora = basic('dora', 'dora secret');

  it('lets the group decide, and takes no wrong or empty password', async () => {
    expect(await statuses(dora)).toEqual([200, 403]);
    expect(await statuses(basic('erik', 'erik secret'))).toEqual([403, 200]);
    expect(await whoami(dora)).toMatchObject({ kind: 'user', name: 'dora', groups: ['team-a'] });
    for (const password of ['erik secret', '', '*']) {
      expect(await statuses(basic('dora', password)), password).toEqual([401, 401]);
    }
    expect(await statuses(basic('nobody', 'dora secret'))).toEqual([401, 401]);
  });

  it('takes the characters of filters for characters', async () => {
    for (const name of ['*', 'd*', 'dora)(|(uid=*', '*)(uid=*', 'dora\\00', 'dora\0']) {
      expect(await statuses(basic(name, 'dora secret')), name).toEqual([401, 401]);
    }
    // A name of its own, which is in no group.
    expect(await whoami(basic('*)(uid=dora', 'star secret'))).toMatchObject({
      name: '*)(uid=dora',
      groups: [],
    });
    expect(await statuses(basic('*)(uid=dora', 'star secret'))).toEqual([403, 403]);
    expect(await statuses(basic('*)(uid=dora', 'dora secret'))).toEqual([401, 401]);
  });

  it('that does not answer is 503 and no wrong password; who is known otherwise comes in', async () => {
    expect(await statuses(dora)).toEqual([200, 403]);
    await slapd.stop();
    try {
      const unknown = await send(proxy.url, modA, { as: basic('erik', 'another') });
      expect(unknown).toMatchObject({ status: 503, text: expect.stringContaining('ldap does not answer') });
      expect(unknown.headers).toMatchObject({ 'retry-after': '5' });
      expect(unknown.headers).not.toHaveProperty('www-authenticate');
      expect(await statuses(dora), 'proven less than a minute ago').toEqual([200, 403]);
      expect(await statuses(alice)).toEqual([200, 403]);
      expect(await statuses(undefined)).toEqual([401, 401]);
      expect(await statuses(basic('alice', 'wrong')), 'another list knows her').toEqual([401, 401]);
    } finally {
      await slapd.start();
    }
    await eventually(
      () => statuses(basic('erik', 'another')),
      ([status]) => status === 401,
    );
    expect(proxy.stderr()).toMatch(/ldap cannot say who asks/);
    expect(proxy.stderr()).not.toMatch(/(?:dora|erik|star) secret/);
  });
});

describe('the JWT of a CI job', () => {
  function claims(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    const nowS = Math.floor(Date.now() / 1000);
    const times = { iat: nowS, nbf: nowS, exp: nowS + 300 };
    return { iss: issuer.issuer, aud: audience, sub: 'job', repository: 'acme/app', ...times, ...more };
  }

  it('is somebody by its claims: they give groups, and take away what a rule does not name', async () => {
    const job = await issuer.key.sign(claims());
    expect(await statuses(bearer(job))).toEqual([200, 403]);
    expect(await statuses(basic('gitlab-ci-token', job)), 'as .netrc brings it').toEqual([200, 403]);
    expect(await whoami(bearer(job))).toMatchObject({ kind: 'jwt', groups: ['team-a', 'team-b'] });
    const tools = await issuer.key.sign(claims({ repository: 'acme/tools', ref_protected: true }));
    expect(await statuses(bearer(tools))).toEqual([200, 200]);
    for (const other of [{ repository: 'evil/acme' }, { repository: 'acme/app/deep' }, { repository: 7 }]) {
      expect(await statuses(bearer(await issuer.key.sign(claims(other))))).toEqual([401, 401]);
    }
  });

  it('is refused when it is forged, for others, too old or from the future', async () => {
    const nowS = Math.floor(Date.now() / 1000);
    const header = { alg: 'none', typ: 'JWT' };
    const [head = '', , signature = ''] = (await issuer.key.sign(claims())).split('.');
    const changed = Buffer.from(JSON.stringify(claims({ repository: 'acme/tools' }))).toString('base64url');
    const forged = new Map([
      ['alg none', forgedToken(header, claims())],
      ['alg None', forgedToken({ ...header, alg: 'None' }, claims())],
      [
        'the public key as a secret',
        forgedToken({ alg: 'HS256', kid: 'key-1' }, claims(), issuer.key.publicPem),
      ],
      ['other claims under a good signature', `${head}.${changed}.${signature}`],
      ['for another audience', await issuer.key.sign(claims({ aud: 'https://other.example' }))],
      ['for nobody', await issuer.key.sign(claims({ aud: undefined }))],
      ['by another issuer', await issuer.key.sign(claims({ iss: 'https://evil.example' }))],
      ['from the future', await issuer.key.sign(claims({ nbf: nowS + 600, iat: nowS + 600 }))],
      ['too old', await issuer.key.sign(claims({ exp: nowS - 120 }))],
      ['without an end', await issuer.key.sign(claims({ exp: undefined }))],
      ['a path as key id', await issuer.key.sign(claims(), { kid: '../../etc/passwd' })],
      ['an address of keys in it', await issuer.key.sign(claims(), { jku: 'http://127.0.0.1:1', kid: 'k' })],
    ]);
    for (const [why, token] of forged) expect(await statuses(bearer(token)), why).toEqual([401, 401]);
    expect(proxy.stderr()).not.toContain(signature);
  });

  it('waits for the keys of its issuer: while they cannot be had it is 503', async () => {
    const restarted = await start({ config: { ...sources.config, tls, access: access() } });
    onTestFinished(restarted.close);
    issuer.fault = 'status-500';
    onTestFinished(() => void (issuer.fault = 'none'));
    const as = bearer(await issuer.key.sign(claims()));
    expect(await send(restarted.url, modA, { as })).toMatchObject({ status: 503 });
    expect((await send(restarted.url, modA, { as: alice })).status).toBe(200);
  });
});

describe('client certificates', () => {
  async function asked(options: Parameters<TestAuthority['issue']>[0], by: TestAuthority = authority) {
    const client = await by.issue(options);
    const get = async (path: string, as?: string) =>
      (await send(tlsUrl, path, { ca: authority.cert, client, as })).status;
    return [await get(modA), await get(modB), await get(modA, bob)];
  }

  it('are somebody by a rule for the common name, by another name, or by name and units', async () => {
    // A log-in that is sent wins: whoever sends one wants to be that.
    expect(await asked({ commonName: 'ci-17' })).toEqual([200, 403, 403]);
    expect(await asked({ commonName: 'x', altNames: 'URI:spiffe://corp.example/team-b/w' })).toEqual([
      403, 200, 403,
    ]);
    expect(await asked({ subject: '/OU=team-b/CN=worker' })).toEqual([403, 200, 403]);
    // A rule says all of the groups: what the certificate writes beside it does not count.
    expect(await asked({ subject: '/OU=team-b/CN=ci-18' })).toEqual([200, 403, 403]);
    expect(await asked({ subject: '/CN=ci-1/CN=ci-2' })).toEqual([401, 401, 403]);
  });

  it('count only when our authority signed them, and not after their end', async () => {
    expect(await asked({ commonName: 'ci-17' }, strangers)).toEqual([401, 401, 403]);
    const ended = {
      validFrom: new Date(Date.now() - 2 * 86_400_000),
      validTo: new Date(Date.now() - 86_400_000),
    };
    expect(await asked({ commonName: 'ci-17', ...ended })).toEqual([401, 401, 403]);
    const nobody = await send(tlsUrl, modA, { ca: authority.cert });
    expect(nobody.status).toBe(401);
  });

  it('are needed where the configuration says so: without one there is no connection', async () => {
    const strict = await start({
      config: { ...sources.config, tls: { ...tls, client_auth: 'required' } },
      args: listenTls,
    });
    onTestFinished(strict.close);
    const url = await otherUrl(strict, 'https:');
    const ca = authority.cert;
    const good = await authority.issue({ subject: '/OU=team-a/CN=worker' });
    expect((await send(url, modA, { ca, client: good })).status).toBe(200);
    await expect(send(url, '/healthz', { ca })).rejects.toThrow(/certificate required|ECONNRESET|socket/i);
    const strange = await strangers.issue({ subject: '/OU=team-a/CN=worker' });
    await expect(send(url, '/healthz', { ca, client: strange })).rejects.toThrow();
    expect((await send(strict.url, '/healthz')).status, 'plain HTTP beside it').toBe(200);
  });
});

it('nothing that proves anybody is in a file or a line of ours', async () => {
  const names = await readdir(join(proxy.dataDir, 'audit'));
  const texts = await Promise.all(names.map((name) => readFile(join(proxy.dataDir, 'audit', name), 'utf8')));
  const audit = texts.join('');
  expect(audit).toContain('"denied"');
  expect(audit + proxy.stderr() + proxy.stdout()).not.toMatch(/secret|eyJ[\w-]{20,}\.[\w-]{20,}/);
});
