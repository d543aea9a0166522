import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { browse, type OidcProvider, startOidcProvider } from '../../../test/kit/oidc-provider.ts';
import { type Desk, type LoginServer, startDesk, startLoginServer } from '../login/test-login.ts';

let provider: OidcProvider;
let server: LoginServer;
let desk: Desk;

beforeEach(async () => {
  provider = await startOidcProvider();
  server = await startLoginServer(provider);
  desk = startDesk();
});
afterEach(() => provider.close());

describe('modferry login', () => {
  it('logs in with the browser and keeps what comes of it for the user alone', async () => {
    const { code, stdout, stderr } = await desk.logIn(server.url);
    expect(stderr).toContain(`Log in here:\n${provider.issuer}/auth?`);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/ as alice, until 20/) as string,
    });
    expect([...server.tokens]).toEqual([['mf_login_1', { name: 'alice', groups: ['team-a', 'developers'] }]]);
    expect(desk.saved()).toEqual({
      [server.url]: {
        token: 'mf_login_1',
        name: 'alice',
        kind: 'browser',
        expiresAtMs: expect.any(Number) as number,
        savedAtMs: expect.any(Number) as number,
        renewal: {
          issuer: provider.issuer,
          clientId: 'modferry-cli',
          refreshToken: expect.any(String) as string,
        },
      },
    });
    expect(statSync(desk.credentialsFile).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(desk.credentialsFile)).mode & 0o777).toBe(0o700);
    expect(readdirSync(dirname(desk.credentialsFile))).toEqual(['credentials.json']);
    expect(`${stdout}${stderr}`).not.toContain('mf_login_1');
  });

  it('asks with PKCE, state, nonce and an exact loopback address', async () => {
    await desk.logIn(server.url);
    const asked = Object.fromEntries(provider.authorization());
    expect(asked).toMatchObject({
      response_type: 'code',
      client_id: 'modferry-cli',
      code_challenge_method: 'S256',
      scope: 'openid profile groups offline_access',
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/) as string,
    });
    for (const name of ['code_challenge', 'state', 'nonce']) expect(asked[name]?.length).toBeGreaterThan(40);
  });

  it('only prints the address with --no-browser', async () => {
    const launcher = join(import.meta.dirname, '../../../bin/modferry');
    const env = { HOME: desk.home, PATH: `${join(desk.home, 'bin')}:${process.env['PATH'] ?? ''}` };
    const child = spawn(launcher, ['login', '--no-browser', '--server', server.url], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += String(text)));
    await expect.poll(() => /http\S+\/auth\?\S+\n/.exec(stderr), { timeout: 15_000 }).not.toBeNull();
    const { status, text } = await browse(/http\S+\/auth\?\S+/.exec(stderr)?.[0] ?? '');
    expect({ status, text }).toEqual({ status: 200, text: 'modferry: You can close this window.\n' });
    expect(await ended).toBe(0);
    expect(Object.keys(desk.saved())).toEqual([server.url]);
    expect(readdirSync(desk.home)).not.toContain('opened');
  });

  it('takes no answer with another state, of another path or host, and goes on waiting for the right one', async () => {
    const running = desk.cli().run('login', '--server', server.url);
    const page = await desk.openedPage();
    const back = new URL(new URL(page).searchParams.get('redirect_uri') ?? '');
    const state = new URL(page).searchParams.get('state') ?? '';
    const get = (path: string, headers: Record<string, string> = {}): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port: back.port, path, headers }, (answer) =>
          resolve(answer.resume().statusCode),
        )
          .on('error', reject)
          .end();
      });
    expect(await get('/callback?code=stolen&state=guessed')).toBe(400);
    expect(await get('/callback?code=stolen')).toBe(400);
    expect(await get(`/callback/x?code=a&state=${state}`)).toBe(404);
    expect(await get(`/callback?code=a&state=${state}`, { host: 'evil.example' })).toBe(404);
    expect(await get('http://[')).toBe(404);
    expect((await browse(page)).status).toBe(200);
    expect((await running).code).toBe(0);
  });

  it('takes no code that was not made for it', async () => {
    const other = startDesk();
    let stolen = '';
    // Mallory logs in and keeps the code, to have the user log in as mallory.
    const mallory = other.cli();
    const running = mallory.run('login', '--server', server.url);
    await browse(await other.openedPage(), {
      user: 'mallory',
      changeCallback: (url) => {
        stolen = url.searchParams.get('code') ?? '';
        url.searchParams.set('state', 'x');
        return url;
      },
    });
    const mine = await desk.logIn(server.url, [], {
      changeCallback: (url) => {
        url.searchParams.set('code', stolen);
        return url;
      },
    });
    expect(stolen).not.toBe('');
    expect(mine.code).toBe(1);
    expect(mine.stderr).toMatch(/refuses the log-in: invalid_grant/);
    expect(server.tokens.size).toBe(0);
    mallory.signal('SIGINT');
    expect(await running).toMatchObject({ code: 130 });
  });

  it.each<[string, (answer: Record<string, unknown>, earlier: unknown) => void, RegExp]>([
    ['of another log-in', (answer, earlier) => Object.assign(answer, { id_token: earlier }), /nonce/],
    [
      'without a signature',
      (answer) => {
        const [, payload] = String(answer['id_token']).split('.');
        answer['id_token'] = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
      },
      /failed/,
    ],
    [
      'that somebody changed',
      (answer) => {
        const [head, payload = '', signature] = String(answer['id_token']).split('.');
        const claims = Buffer.from(payload, 'base64url').toString().replace('"alice"', '"admin"');
        answer['id_token'] = `${head}.${Buffer.from(claims).toString('base64url')}.${signature}`;
      },
      /no valid ID token/,
    ],
    ['that is missing', (answer) => Object.assign(answer, { id_token: undefined }), /ID token|id_token/],
  ])('takes no ID token %s', async (_, change, message) => {
    let earlier: unknown;
    provider.tamper = (answer) => {
      earlier = answer['id_token'];
    };
    await startDesk().logIn(server.url);
    provider.tamper = (answer) => change(answer, earlier);
    const { code, stderr } = await desk.logIn(server.url);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(server.tokens.size).toBe(1);
    expect(readdirSync(desk.home)).not.toContain('.config');
  });

  it('says so when the user refuses', async () => {
    const { code, stderr } = await desk.logIn(server.url, [], { refuses: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(/refuses the log-in: access_denied/);
  });

  it('ends with Ctrl-C', async () => {
    const cli = desk.cli();
    const running = cli.run('login', '--server', server.url);
    await desk.openedPage();
    cli.signal('SIGINT');
    expect(await running).toMatchObject({ code: 130 });
    expect(readdirSync(desk.home)).not.toContain('.config');
  });

  it.each<[string, { status: number; body: string }, number, RegExp]>([
    ['no browser log-in', { status: 404, body: '' }, 1, /use a token: modferry login --token/],
    ['another kind of server', { status: 200, body: '<html>' }, 1, /as no modferry does/],
    ['an error', { status: 500, body: 'out of \u001b[31morder\n' }, 1, /\(500\): out of \[31morder$/m],
    [
      'an issuer over plain http',
      { status: 200, body: '{"issuer":"http://x.example","clientId":"c","scopes":[]}' },
      1,
      /not https/,
    ],
    ['a proxy page', { status: 302, body: '' }, 1, /refuses the log-in \(302\)/],
  ])('says what to do about a server with %s', async (_, answer, code, message) => {
    server.answer = answer;
    const run = await desk.cli().run('login', '--server', server.url);
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toMatch(message);
  });

  it('says that nobody answers, be it the server or the issuer', async () => {
    expect(await desk.cli().run('login', '--server', 'http://127.0.0.1:1')).toMatchObject({ code: 69 });
    provider.isDown = true;
    const { code, stderr } = await desk.cli().run('login', '--server', server.url);
    expect(code).not.toBe(0);
    expect(stderr).toContain(provider.issuer);
  });

  it.each([
    'http://goproxy.corp.example',
    'https://me:secret@goproxy.corp.example',
    'ftp://x',
    'https://x/?q',
  ])('refuses %s', async (url) => {
    const { code, stderr } = await desk.cli().run('login', '--server', url);
    expect(code).toBe(2);
    expect(stderr).not.toContain('secret');
  });
});

describe('modferry login --token', () => {
  it('keeps a token from standard input', async () => {
    const cli = desk.cli({ stdin: '  mf_abc\n' });
    expect(await cli.run('login', '--server', 'https://goproxy.corp.example/', '--token')).toMatchObject({
      code: 0,
    });
    expect(desk.saved()).toMatchObject({
      'https://goproxy.corp.example': { token: 'mf_abc', kind: 'token' },
    });
    expect(server.asked).toEqual([]);
  });

  it.each(['', 'two words', 'a\nb', 'ü', 'x'.repeat(9000)])('refuses %j', async (stdin) => {
    const cli = desk.cli({ stdin });
    expect(await cli.run('login', '--server', 'https://goproxy.corp.example', '--token')).toMatchObject({
      code: 2,
    });
  });

  it('keeps those of several servers, by many commands at once', async () => {
    const runs = Array.from({ length: 8 }, (_, index) =>
      desk.cli({ stdin: `mf_${index}` }).run('login', '--server', `https://s${index}.example`, '--token'),
    );
    await Promise.all(runs);
    expect(Object.keys(desk.saved())).toHaveLength(8);
  });
});

describe('the file', () => {
  it('is not used when others can read it, or when it is damaged', async () => {
    mkdirSync(dirname(desk.credentialsFile), { recursive: true });
    writeFileSync(desk.credentialsFile, '{"servers":{}}', { mode: 0o600 });
    expect(await desk.cli().run('goauth')).toMatchObject({ code: 0, stdout: '' });
    chmodSync(desk.credentialsFile, 0o640);
    expect((await desk.cli().run('goauth')).stderr).toMatch(/chmod 600/);
    chmodSync(desk.credentialsFile, 0o600);
    for (const text of [
      '{',
      '[]',
      '{"servers":{"https://x":{"token":"a\\r\\nHost: b"}}}',
      '{"servers":{"https://x":7}}',
    ]) {
      writeFileSync(desk.credentialsFile, text);
      expect(await desk.cli().run('goauth')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/damaged/) as string,
      });
    }
  });
});

describe('modferry logout', () => {
  it('ends the log-in at the server and the issuer, and forgets it', async () => {
    await desk.logIn(server.url);
    expect(await desk.cli().run('logout')).toEqual({
      code: 0,
      stdout: `logged out of ${server.url}\n`,
      stderr: '',
    });
    expect(server.tokens.size).toBe(0);
    expect(provider.asked.at(-1)).toBe('POST /token/revocation');
    expect(desk.saved()).toEqual({});
    expect(await desk.cli().run('logout')).toMatchObject({ code: 1 });
  });

  it('forgets it too when nobody can be told, and says so', async () => {
    await desk.logIn(server.url);
    server.answer = { status: 500, body: '' };
    provider.isDown = true;
    const { code, stderr } = await desk.cli().run('logout', '--server', server.url);
    expect(code).toBe(1);
    expect(stderr).toMatch(/did not end the log-in/);
    expect(stderr).toMatch(/forgotten here/);
    expect(desk.saved()).toEqual({});
  });

  it('only forgets a token made elsewhere, and wants to know which', async () => {
    for (const url of ['https://a.example', 'https://b.example']) {
      await desk.cli({ stdin: 'mf_abc' }).run('login', '--server', url, '--token');
    }
    expect(await desk.cli().run('logout')).toMatchObject({ code: 2 });
    expect(await desk.cli().run('logout', '--server', 'https://c.example')).toMatchObject({ code: 1 });
    expect(await desk.cli().run('logout', '--server', 'https://a.example/')).toMatchObject({ code: 0 });
    expect(await desk.cli().run('logout', '--all')).toMatchObject({ code: 0 });
    expect(readFileSync(desk.credentialsFile, 'utf8')).not.toContain('mf_abc');
  });
});
