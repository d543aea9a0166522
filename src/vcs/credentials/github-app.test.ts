import { createVerify, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startConnectProxy } from '../../../test/kit/connect-proxy.ts';
import { listenOn } from '../../../test/kit/tcp-server.ts';
import { testAuthority } from '../../../test/kit/tls.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { Secret } from '../../lib/secret.ts';
import { fixedProxyRule } from '../../outbound/proxy-rule.ts';
import type { CredentialFinderOptions } from './finder.ts';
import { githubApiUrl } from './forge.ts';
import { entry, failure, finderOf, signal, tempFolder } from './test-finder.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const startMs = Date.UTC(2026, 0, 1);

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly claims: Record<string, unknown>;
  readonly isSigned: boolean;
}

/** The part of GitHub's API that gives installation tokens. `answer` may say something else. */
async function fakeGithub(
  answer: (path: string, response: ServerResponse) => boolean = () => false,
  tls?: { readonly cert: string; readonly key: string },
) {
  const asked: Asked[] = [];
  let tokens = 0;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const [head = '', body = '', signature = ''] = (request.headers.authorization ?? '').slice(7).split('.');
    const verify = createVerify('RSA-SHA256').update(`${head}.${body}`);
    const path = request.url ?? '';
    asked.push({
      method: request.method ?? '',
      path,
      claims: JSON.parse(Buffer.from(body, 'base64url').toString() || '{}') as Record<string, unknown>,
      isSigned: verify.verify(publicKey, signature, 'base64url'),
    });
    if (answer(path, response)) return;
    const send = (status: number, json: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    };
    if (path === '/users/team/installation') send(200, { id: 77 });
    else if (path === '/app/installations/77/access_tokens') {
      tokens += 1;
      send(201, { token: `ghs_${tokens}`, expires_at: new Date(startMs + tokens * 3_600_000).toISOString() });
    } else send(404, { message: 'Not Found' });
  };
  const server = tls === undefined ? createServer(listener) : createHttps(tls, listener);
  const { port, close } = await listenOn(server);
  onTestFinished(close);
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, asked, port };
}

function finderFor(
  apiUrl: string,
  more: Partial<CredentialFinderOptions> = {},
  app: { installationId?: string; privateKey?: string; appId?: string } = {},
) {
  const key = new Secret(app.privateKey ?? privateKey);
  const { installationId, appId = '4711' } = app;
  const use = { kind: 'github_app', appId, privateKey: key, installationId, apiUrl } as const;
  return finderOf([entry('github.com', use)], more);
}

const url = 'https://github.com/Team/lib';
const repository = 'https://github.com/team/lib.git';

describe('GitHub App', () => {
  it('finds the installation of the owner and gets a token with a signed JWT', async () => {
    const github = await fakeGithub();
    const clock = new FakeClock(startMs);
    const finder = finderFor(github.url, { clock });

    expect(await finder.find(repository, { signal })).toEqual({
      kind: 'basic',
      username: 'x-access-token',
      password: 'ghs_1',
    });
    expect(github.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /orgs/team/installation',
      'GET /users/team/installation',
      'POST /app/installations/77/access_tokens',
    ]);
    const iat = startMs / 1000 - 60;
    for (const { isSigned, claims } of github.asked) {
      expect({ isSigned, ...claims }).toEqual({ isSigned: true, iat, exp: iat + 540, iss: '4711' });
    }
  });

  it('keeps the token until five minutes before its end, and asks once for all', async () => {
    const github = await fakeGithub();
    const clock = new FakeClock(startMs);
    const finder = finderFor(github.url, { clock }, { installationId: '77' });
    const password = async (isRetry = false) => {
      const found = await finder.find(url, { isRetry, signal });
      return found?.kind === 'basic' ? found.password : undefined;
    };

    expect(await Promise.all([password(), password(), password()])).toEqual(['ghs_1', 'ghs_1', 'ghs_1']);
    await clock.advance(3_600_000 - 300_000 - 1);
    expect(await password()).toBe('ghs_1');
    await clock.advance(1);
    expect(await password()).toBe('ghs_2');
    // One that is refused before its time is had anew, once.
    expect(await Promise.all([password(true), password(true)])).toEqual(['ghs_3', 'ghs_3']);
    expect(await password(true)).toBe('ghs_3');
    expect(github.asked).toHaveLength(3);
  });

  it('goes through the outbound proxy and believes the authority that is named', async () => {
    const authority = await testAuthority(tempFolder());
    const github = await fakeGithub(undefined, await authority.issue());
    const proxy = await startConnectProxy();
    onTestFinished(proxy.close);
    const apiUrl = `https://localhost:${github.port}`;
    const rule = fixedProxyRule(proxy.url);
    const finder = finderFor(apiUrl, { proxy: rule, caFile: authority.certFile });

    expect(await finder.find(repository, { signal })).toMatchObject({ password: 'ghs_1' });
    expect(proxy.requests.map(({ target }) => target)).toContain(`localhost:${github.port}`);
    expect(await failure(finderFor(apiUrl, {}).find(repository, { signal }))).toMatchObject({ code: 'tls' });
  });

  it.each<[string, (response: ServerResponse) => void, string, RegExp]>([
    [
      '401',
      (response) => response.writeHead(401, { date: new Date(startMs).toUTCString() }).end('hunter2'),
      'auth',
      /belong together/,
    ],
    [
      '401 with another time',
      (response) => response.writeHead(401, { date: new Date(startMs - 600_000).toUTCString() }).end(),
      'auth',
      /clock is 600 s ahead/,
    ],
    ['403', (response) => response.writeHead(403).end('hunter2'), 'forbidden', /suspended/],
    ['404', (response) => response.writeHead(404).end(), 'auth', /has no installation 77/],
    ['422', (response) => response.writeHead(422).end(), 'forbidden', /Contents, read/],
    ['500', (response) => response.writeHead(500).end('hunter2'), 'failed', /answers 500/],
    [
      'a redirect',
      (response) => response.writeHead(302, { location: 'http://x.test' }).end(),
      'failed',
      /302/,
    ],
    ['HTML', (response) => response.writeHead(201).end('<html>hunter2'), 'failed', /given no token/],
    ['no token', (response) => response.writeHead(201).end('{"token":1}'), 'failed', /given no token/],
    ['a broken answer', (response) => response.destroy(), 'failed', /broke off/],
    [
      'an endless one',
      (response) => response.writeHead(201).end('x'.repeat(2 * 1024 * 1024)),
      'failed',
      /over/,
    ],
  ])('tells what %s means', async (_what, answer, code, expected) => {
    const github = await fakeGithub((_path, response) => {
      answer(response);
      return true;
    });
    const clock = new FakeClock(startMs);
    const finder = finderFor(github.url, { clock }, { installationId: '77' });
    const error = await failure(finder.find(url, { signal }));

    expect(error).toMatchObject({ code, message: expect.stringMatching(expected) as string });
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
  });

  it('gives up an API that does not answer after 30 s, and when the asker leaves', async () => {
    const silent = await fakeGithub(() => true);
    const clock = new FakeClock(startMs);
    const work = failure(finderFor(silent.url, { clock }, { installationId: '77' }).find(url, { signal }));
    await expect.poll(() => silent.asked.length).toBe(1);
    await clock.advance(30_000);
    expect(await work).toMatchObject({ code: 'timeout' });

    const leaving = new AbortController();
    const left = finderFor(silent.url, { clock }, { installationId: '77' }).find(url, {
      signal: leaving.signal,
    });
    await expect.poll(() => silent.asked.length).toBe(2);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
  });

  it('says which step fails where there is no API', async () => {
    const github = await fakeGithub();
    const closed = finderFor('http://127.0.0.1:1', {}, { installationId: '77' });
    expect(await failure(closed.find(url, { signal }))).toMatchObject({ code: 'connect' });
    const plain = finderFor('http://api.example', {}, { installationId: '77' });
    expect(await failure(plain.find(url, { signal }))).toMatchObject({ code: 'refused' });
    const other = finderFor(github.url);
    const absent = await failure(other.find('https://github.com/nobody/lib', { signal }));
    expect(absent).toMatchObject({
      code: 'auth',
      message: expect.stringContaining('not installed for nobody') as string,
    });
    const odd = await failure(other.find('https://github.com/..%2f..%2fapp/lib', { signal }));
    expect(odd.code).toBe('auth');
    expect(github.asked.at(-1)?.path).toBe('/users/..%252f..%252fapp/installation');
  });

  it.each([
    ['hunter2'],
    [generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  ])('refuses what is no RSA key, and does not show it', async (pem) => {
    const error = await failure(
      finderFor('http://127.0.0.1:1', {}, { installationId: '1', privateKey: pem }).find(url, { signal }),
    );
    expect(error).toMatchObject({ code: 'auth', message: expect.stringContaining('no RSA key') as string });
    expect(inspect(error, { depth: 9 })).not.toContain(pem.slice(0, 40));
  });

  it.each([
    ['github.com', 'https://api.github.com'],
    ['git.corp.example', 'https://git.corp.example/api/v3'],
    ['corp.ghe.com', 'https://api.corp.ghe.com'],
  ])('knows the API of %s', (host, expected) => {
    expect(githubApiUrl(host)).toBe(expected);
  });
});
