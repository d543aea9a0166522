/**
 * The real go command gets its credentials from `modferry goauth`, over TLS: from the first request on, anew when they
 * are refused, and from `.netrc` where nobody logged in.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Desk, type LoginServer, startDesk, startLoginServer } from '../../src/cli/login/test-login.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { type GoResult, goHome, runGo } from '../kit/go.ts';
import { type OidcProvider, startOidcProvider } from '../kit/oidc-provider.ts';
import { tempDir } from '../kit/temp.ts';
import { type TestAuthority, testAuthority } from '../kit/tls.ts';

const module = fakeModule({ path: 'git.corp.example/team/lib', version: 'v1.2.3' });
const launcher = join(import.meta.dirname, '../../bin/modferry');

let authority: TestAuthority;
let provider: OidcProvider;
let server: LoginServer;
let desk: Desk;
/** Requests for modules, with the token each came with. */
let served: string[];

beforeEach(async () => {
  const dir = await tempDir('e2e-goauth');
  onTestFinished(dir.remove);
  authority = await testAuthority(dir.path);
  provider = await startOidcProvider();
  onTestFinished(provider.close);
  server = await startLoginServer(provider, await authority.issue());
  desk = startDesk();
  served = [];
  server.other = ({ url = '', headers: { authorization = '' } }, response) => {
    const basic = /^Basic (.*)$/.exec(authorization)?.[1];
    const token =
      basic === undefined ? authorization.slice(7) : Buffer.from(basic, 'base64').toString().split(':')[1];
    const user = server.tokens.get(token ?? '');
    served.push(`${user?.name ?? 'nobody'} ${url.replace(/^.*\/@/, '@')}`);
    if (user === undefined) response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('log in\n');
    else if (url.endsWith('.info')) response.end(module.info);
    else if (url.endsWith('.mod')) response.end(module.mod);
    else if (url.endsWith('.zip')) response.end(module.zip);
    else response.writeHead(404).end();
  };
});

async function download(goauth: string): Promise<GoResult> {
  await using home = await goHome();
  const env = {
    HOME: desk.home,
    XDG_CONFIG_HOME: join(desk.home, '.config'),
    GOPROXY: server.url,
    GOPRIVATE: 'git.corp.example',
    GONOPROXY: 'none',
    GOAUTH: goauth,
    SSL_CERT_FILE: authority.certFile,
  };
  return await runGo(['mod', 'download', '-x', `${module.path}@${module.version}`], { home, env });
}

describe('GOAUTH=modferry goauth', () => {
  it('gives go the log-in of the user before it asks anything', async () => {
    await desk.logIn(server.url, ['--ca-file', authority.certFile]);
    const { code, stderr } = await download(`${launcher} goauth`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(served.toSorted()).toEqual(['alice @v/v1.2.3.info', 'alice @v/v1.2.3.mod', 'alice @v/v1.2.3.zip']);
    expect(stderr).not.toContain('mf_login');
  });

  it('renews the log-in when the server refuses it', async () => {
    await desk.logIn(server.url, ['--ca-file', authority.certFile]);
    server.tokens.clear();
    desk.change(server.url, { savedAtMs: 1 });
    const { code, stderr } = await download(`${launcher} goauth;netrc`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(served[0]).toMatch(/^nobody /);
    expect(served).toContain('alice @v/v1.2.3.zip');
    expect([...server.tokens.keys()]).toEqual(['mf_login_2']);
  });

  it('says with -x what to run when nobody can log in silently', async () => {
    await desk.logIn(server.url, ['--ca-file', authority.certFile]);
    desk.change(server.url, { expiresAtMs: 1, renewal: undefined });
    const { code, stderr } = await download(`${launcher} goauth`);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`modferry login --server ${server.url}`);
    expect(served.every((line) => line.startsWith('nobody '))).toBe(true);
  });

  it('leaves room for .netrc', async () => {
    server.tokens.set('mf_static', { name: 'ci', groups: [] });
    mkdirSync(join(desk.home, '.config'), { recursive: true });
    writeFileSync(
      join(desk.home, '.netrc'),
      `machine ${new URL(server.url).host} login token password mf_static\n`,
      {
        mode: 0o600,
      },
    );
    const { code, stderr } = await download(`${launcher} goauth;netrc`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(served).toContain('ci @v/v1.2.3.zip');
  });
});
