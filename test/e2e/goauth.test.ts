/**
 * The real go command gets its credentials from `modferry goauth`, over TLS, for a modferry whose users log in at a real
 * issuer: from the first request on, anew when they are refused, and from `.netrc` where nobody logged in.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Desk, startDesk } from '../../src/cli/login/test-login.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../kit/fake-upstream.ts';
import { type GoResult, goHome, runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type OidcProvider, startOidcProvider } from '../kit/oidc-provider.ts';
import { type TempDir, tempDir } from '../kit/temp.ts';
import { type TestAuthority, testAuthority } from '../kit/tls.ts';
import {
  type AccessLine,
  accessLines,
  auditOf,
  listenTls,
  makeToken,
  otherUrl,
  send,
  start,
} from './access-support.ts';
import { runModferry } from './support.ts';

const launcher = join(import.meta.dirname, '../../bin/modferry');
const path = 'git.corp.example/team/lib';

let dir: TempDir;
let authority: TestAuthority;
let provider: OidcProvider;
let source: FakeUpstream;
let proxy: ModferryProcess;
/** With the path that everything is under. */
let url: string;
let desk: Desk;
/** Another version for each test, so that what was asked can be told apart. */
let module: FakeModule;
let modules = 0;

beforeAll(async () => {
  dir = await tempDir('goauth');
  [authority, provider, source] = await Promise.all([
    testAuthority(dir.path),
    startOidcProvider(),
    startFakeUpstream(),
  ]);
  const { certFile: cert, keyFile: key } = await authority.issue();
  proxy = await start({
    config: {
      upstreams: [{ name: 'inner', url: source.url, private: true }],
      routes: [{ match: 'git.corp.example', name: 'team', private: true, read: ['group:team-a', 'tokens'] }],
      direct: { enabled: false },
      access: {
        oidc: {
          issuer: provider.issuer,
          client_id: provider.clientId,
          scopes: 'openid profile groups offline_access',
          session: '1h',
        },
      },
      path_prefix: '/go',
      tls: { cert, key },
      log: { access: 'all' },
    },
    args: listenTls,
  });
  url = await otherUrl(proxy, 'https:');
});
afterAll(async () => {
  await proxy.close();
  await Promise.all([source.close(), provider.close(), dir.remove()]);
});
beforeEach(() => {
  desk = startDesk();
  modules += 1;
  module = fakeModule({ path, version: `v1.2.${modules}` });
  source.add(module);
});

async function logIn(): Promise<void> {
  const done = await desk.logIn(url, ['--ca-file', authority.certFile]);
  expect(done, done.stderr).toMatchObject({ code: 0 });
}

async function download(goauth: string): Promise<GoResult> {
  await using home = await goHome();
  const env = {
    HOME: desk.home,
    XDG_CONFIG_HOME: join(desk.home, '.config'),
    GOPROXY: url,
    GOPRIVATE: 'git.corp.example',
    GONOPROXY: 'none',
    GOAUTH: goauth,
    SSL_CERT_FILE: authority.certFile,
  };
  return await runGo(['mod', 'download', '-x', `${module.path}@${module.version}`], { home, env });
}

/** What go asked in this test, as `user:alice info 200`, once it asked for the last of it. */
async function served(last: (line: AccessLine) => boolean): Promise<string[]> {
  const ofModule = (lines: readonly AccessLine[]) =>
    lines.filter(({ version }) => version === module.version);
  const lines = ofModule(await accessLines(proxy, (all) => ofModule(all).some(last)));
  return lines.map(({ by = 'nobody', artifact, status }) => `${by} ${artifact} ${status}`);
}

const isZip = ({ artifact, status }: AccessLine): boolean => artifact === 'zip' && status === 200;

/** Log-ins that the server knows now, oldest first. */
async function logins(): Promise<string[]> {
  const { stdout } = await runModferry(['token', 'list', '--json', '--data', proxy.dataDir]);
  const tokens = stdout.split('\n').filter((line) => line !== '');
  return tokens
    .map((line) => JSON.parse(line) as { id: string; kind: string; name: string })
    .filter(({ kind, name }) => kind === 'login' && name === 'alice')
    .map(({ id }) => id);
}

async function endAtServer(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    expect(await runModferry(['token', 'revoke', id, '--data', proxy.dataDir])).toMatchObject({ code: 0 });
  }
}

describe('GOAUTH=modferry goauth', () => {
  it('gives go the log-in of the user before it asks anything', async () => {
    await logIn();
    const { code, stderr } = await download(`${launcher} goauth`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect((await served(isZip)).toSorted()).toEqual([
      'user:alice info 200',
      'user:alice mod 200',
      'user:alice zip 200',
    ]);
    expect(stderr).not.toContain('mfy_');
    const [login] = await auditOf(proxy.dataDir, ['--action', 'login']);
    expect(login).toMatchObject({ who: 'user:alice', from: '127.0.0.1', result: 'ok' });
    expect(provider.authorization().get('code_challenge_method')).toBe('S256');
  });

  it('renews the log-in when the server refuses it', async () => {
    await logIn();
    const before = await logins();
    await endAtServer(before);
    desk.change(url, { savedAtMs: 1 });
    const { code, stderr } = await download(`${launcher} goauth;netrc`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const lines = await served(isZip);
    expect(lines[0]).toBe('nobody info 401');
    expect(lines).toContain('user:alice zip 200');
    expect((await logins()).filter((id) => before.includes(id))).toEqual([]);
    expect(await logins()).toHaveLength(1);
  });

  it('brings the groups that the issuer tells at the renewal, and no longer what they gave', async () => {
    await logIn();
    const groups = provider.groups.get('alice') ?? [];
    provider.groups.set('alice', ['elsewhere']);
    onTestFinished(() => void provider.groups.set('alice', groups));
    await endAtServer(await logins());
    desk.change(url, { savedAtMs: 1 });
    const { code, stderr } = await download(`${launcher} goauth`);
    expect(code).toBe(1);
    expect(stderr).toContain('alice may not do this (route team: read)');
    expect(await served(({ status }) => status === 403)).toContain('user:alice info 403');
  });

  it('says with -x what to run when nobody can log in silently', async () => {
    await logIn();
    desk.change(url, { expiresAtMs: 1, renewal: undefined });
    const { code, stderr } = await download(`${launcher} goauth`);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`modferry login --server ${url}`);
    const lines = await served(({ status }) => status === 401);
    expect(lines.every((line) => line === 'nobody info 401')).toBe(true);
  });

  it('has nothing to give after a log-out, and the log-in is worth nothing to whoever kept it', async () => {
    await endAtServer(await logins());
    await logIn();
    const kept = String(desk.saved()[url]?.['token']);
    const whoami = async (): Promise<number> =>
      (await send(proxy.url, '/go/-/v1/whoami', { as: `Bearer ${kept}` })).status;
    expect(await whoami()).toBe(200);
    expect(await desk.cli().run('logout', '--server', url)).toMatchObject({ code: 0 });
    expect(await whoami()).toBe(401);
    expect(await logins()).toEqual([]);
    expect((await download(`${launcher} goauth`)).code).toBe(1);
  });

  it('leaves room for .netrc', async () => {
    const { token } = await makeToken(proxy.dataDir, 'ci');
    mkdirSync(join(desk.home, '.config'), { recursive: true });
    const netrc = `machine ${new URL(url).host} login token password ${token}\n`;
    writeFileSync(join(desk.home, '.netrc'), netrc, { mode: 0o600 });
    const { code, stderr } = await download(`${launcher} goauth;netrc`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await served(isZip)).toContain('token:ci zip 200');
  });
});
