import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OidcProvider, startOidcProvider } from '../../../test/kit/oidc-provider.ts';
import { type TempDir, tempDir } from '../../../test/kit/temp.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../../../test/kit/tls.ts';
import { type Desk, type LoginServer, startDesk, startLoginServer } from '../login/test-login.ts';
import { isBelow } from './goauth.ts';

const unauthorized = 'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer\n\n';
const notFound = 'HTTP/2.0 404 Not Found\n\n';

let dir: TempDir;
let authority: TestAuthority;
let certificate: Certificate;
let provider: OidcProvider;
let server: LoginServer;
let desk: Desk;

beforeEach(async () => {
  dir = await tempDir('goauth');
  authority = await testAuthority(dir.path);
  certificate = await authority.issue();
  provider = await startOidcProvider();
  server = await startLoginServer(provider, certificate);
  desk = startDesk();
});
afterEach(async () => {
  await provider.close();
  await dir.remove();
});

function logIn() {
  return desk.logIn(server.url, ['--ca-file', authority.certFile]);
}

function headerFor(url: string, token: string): string {
  return `${url}\n\nAuthorization: Bearer ${token}\n\n`;
}

async function keepToken(url: string, token: string): Promise<void> {
  await desk.cli({ stdin: token }).run('login', '--server', url, '--token');
}

describe('modferry goauth', () => {
  it('gives go what the log-in gave, in the form go reads', async () => {
    expect(await logIn()).toMatchObject({ code: 0 });
    expect(await desk.cli().run('goauth')).toEqual({
      code: 0,
      stdout: headerFor(server.url, 'mf_login_1'),
      stderr: '',
    });
  });

  it('gives nothing without a log-in, and nothing for plain http', async () => {
    expect(await desk.cli().run('goauth')).toEqual({ code: 0, stdout: '', stderr: '' });
    await keepToken('http://localhost:8080', 'mf_plain');
    await keepToken('https://a.example', 'mf_a');
    await keepToken('https://b.example/go', 'mf_b');
    const { stdout } = await desk.cli().run('goauth');
    expect(stdout).toBe(headerFor('https://a.example', 'mf_a') + headerFor('https://b.example/go', 'mf_b'));
  });

  it('gives after a refusal only what is for that URL', async () => {
    await keepToken('https://a.example/go', 'mf_a');
    const ask = async (url: string, stdin = notFound) =>
      (await desk.cli({ stdin }).run('goauth', url)).stdout;
    expect(await ask('https://a.example/go/x/@v/list')).toBe(headerFor('https://a.example/go', 'mf_a'));
    for (const url of [
      'https://a.example/gone/x',
      'https://a.example.evil/go/x',
      'https://a.example/go/../x',
      'x',
      '',
    ]) {
      expect(await ask(url, unauthorized)).toBe('');
    }
  });

  it('renews what has expired or ends soon, without a word', async () => {
    await logIn();
    for (const [expiresAtMs, token] of [
      [Date.now() - 1, 'mf_login_2'],
      [Date.now() + 60_000, 'mf_login_3'],
    ] as const) {
      desk.change(server.url, { expiresAtMs });
      expect(await desk.cli().run('goauth')).toEqual({
        code: 0,
        stdout: headerFor(server.url, token),
        stderr: '',
      });
    }
    expect(desk.saved()[server.url]).toMatchObject({ token: 'mf_login_3', name: 'alice' });
    // Asks nobody while the new one is good.
    const before = server.asked.length;
    await desk.cli().run('goauth');
    expect(server.asked).toHaveLength(before);
  });

  it('has the groups of now after a renewal', async () => {
    await logIn();
    provider.groups.set('alice', []);
    desk.change(server.url, { expiresAtMs: 1 });
    await desk.cli().run('goauth');
    expect(server.tokens.get('mf_login_2')).toEqual({ name: 'alice', groups: [] });
  });

  it('renews a log-in that the server refuses, but not one that was just made, nor for a 404', async () => {
    await logIn();
    const url = `${server.url}/x/@v/list`;
    const ask = async (stdin: string) => (await desk.cli({ stdin }).run('goauth', url)).stdout;
    expect(await ask(unauthorized)).toBe(headerFor(server.url, 'mf_login_1'));
    desk.change(server.url, { savedAtMs: Date.now() - 60_000 });
    expect(await ask(notFound)).toBe(headerFor(server.url, 'mf_login_1'));
    expect(await ask(unauthorized)).toBe(headerFor(server.url, 'mf_login_2'));
  });

  it('renews once for many at a time', async () => {
    await logIn();
    desk.change(server.url, { expiresAtMs: 1 });
    const runs = await Promise.all(Array.from({ length: 5 }, () => desk.cli().run('goauth')));
    expect(new Set(runs.map(({ stdout }) => stdout))).toEqual(new Set([headerFor(server.url, 'mf_login_2')]));
    expect(provider.asked.filter((one) => one === 'POST /token')).toHaveLength(2);
  });

  it('says on stderr what to do when it cannot renew, and keeps what there is', async () => {
    await logIn();
    desk.change(server.url, { expiresAtMs: 1 });
    provider.isDown = true;
    const down = await desk.cli().run('goauth');
    expect(down).toMatchObject({ code: 1, stdout: '' });
    expect(down.stderr).toContain(`run: modferry login --server ${server.url}`);
    provider.isDown = false;
    expect((await desk.cli().run('goauth')).stdout).toBe(headerFor(server.url, 'mf_login_2'));
    desk.change(server.url, { expiresAtMs: 1, renewal: undefined });
    const gone = await desk.cli().run('goauth');
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    expect(gone.stderr).toMatch(/the log-in has expired; run: modferry login/);
  });

  it('says that a refresh token is used up', async () => {
    await logIn();
    desk.change(server.url, {
      expiresAtMs: 1,
      renewal: { issuer: provider.issuer, clientId: provider.clientId, refreshToken: 'old' },
    });
    const { code, stderr } = await desk.cli().run('goauth');
    expect(code).toBe(1);
    expect(stderr).toMatch(/invalid_grant.*run: modferry login/s);
  });

  it('gives the others when one has expired', async () => {
    await logIn();
    desk.change(server.url, { expiresAtMs: 1, renewal: undefined });
    await keepToken('https://a.example', 'mf_a');
    const { code, stdout, stderr } = await desk.cli().run('goauth');
    expect({ code, stdout }).toEqual({ code: 0, stdout: headerFor('https://a.example', 'mf_a') });
    expect(stderr).toMatch(/expired/);
  });

  it('says that a token made elsewhere is refused', async () => {
    await keepToken('https://a.example', 'mf_a');
    desk.change('https://a.example', { savedAtMs: 1 });
    const { code, stdout, stderr } = await desk
      .cli({ stdin: unauthorized })
      .run('goauth', 'https://a.example/x');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/refuses the token/);
  });

  it('reads no answer without end', async () => {
    await keepToken('https://a.example', 'mf_a');
    const { stdout } = await desk.cli({ stdin: 'x'.repeat(10_000_000) }).run('goauth', 'https://a.example/x');
    expect(stdout).toBe(headerFor('https://a.example', 'mf_a'));
  });
});

describe('isBelow', () => {
  it.each([
    ['https://a.example', true],
    ['https://a.example/', true],
    ['https://a.example/x', true],
    ['https://a.example:8443/x', false],
    ['http://a.example/x', false],
    ['https://a.example@evil.example/x', false],
  ])('%s of https://a.example: %s', (url, expected) => {
    expect(isBelow(url, 'https://a.example')).toBe(expected);
  });
});
