/**
 * Static tokens: made, listed and revoked beside running processes, without one and over HTTP; sent in every way a
 * client can; within their scopes and until their end. The real go command brings one over TLS.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import { goHome, runGo } from '../kit/go.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type TestAuthority, testAuthority } from '../kit/tls.ts';
import {
  type AccessLine,
  accessLines,
  alice,
  basic,
  bearer,
  fileOf,
  listenTls,
  makeToken,
  moduleA,
  moduleB,
  moduleOpen,
  otherUrl,
  type Sources,
  send,
  start,
  startSources,
  tokensFile,
} from './access-support.ts';
import { eventually, folder, runModferry } from './support.ts';

const modA = fileOf(moduleA, 'mod');
const modB = fileOf(moduleB, 'mod');

let sources: Sources;
let authority: TestAuthority;
/** Two processes on one data folder; the first one also listens with TLS. */
let first: ModferryProcess;
let second: ModferryProcess;
let tlsUrl: string;
let admin: string;

beforeAll(async () => {
  sources = await startSources();
  authority = await testAuthority(sources.dir.path);
  const { certFile: cert, keyFile: key } = await authority.issue();
  const config = { ...sources.config, tls: { cert, key }, log: { access: 'all' } };
  first = await start({ config, args: listenTls });
  second = await start({ config, dataDir: first.dataDir });
  tlsUrl = await otherUrl(first, 'https:');
  admin = (await makeToken(first.dataDir, 'ops', ['--admin'])).token;
});
afterAll(async () => {
  await second.close();
  await first.close();
  await sources[Symbol.asyncDispose]();
});

async function statusOf(as: string | undefined, path = modA, url = first.url): Promise<number> {
  return (await send(url, path, { as })).status;
}

/** `modferry token …` on the folder of the running processes. */
function token(...args: readonly string[]) {
  return runModferry(['token', ...args, '--data', first.dataDir]);
}

/** Over HTTP, as whoever has the token. */
async function api(method: string, path: string, as: string, body?: object) {
  const more = body === undefined ? {} : { body: JSON.stringify(body) };
  const { status, text } = await send(first.url, `/-/v1/tokens${path}`, { method, as: bearer(as), ...more });
  return { status, json: JSON.parse(text.startsWith('{') ? text : '{}') as Record<string, unknown>, text };
}

/** As the command makes them, in less time. */
async function mint(
  name: string,
  order: object = {},
): Promise<{ readonly id: string; readonly token: string }> {
  const { status, json } = await api('POST', '', admin, { name, ...order });
  expect(status).toBe(201);
  return { id: String(json['id']), token: String(json['token']) };
}

describe('a token', () => {
  it('is good as Bearer and in either field of Basic, from its making to its revocation', async () => {
    const made = await token('create', 'ci');
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^mfy_\S{49}\n$/) });
    const text = made.stdout.trim();
    expect(made.stderr).not.toContain(text);
    const ways = [bearer(text), `bearer ${text}`, basic('', text), basic('any', text), basic(text, '')];
    for (const way of [...ways, basic(text, 'x-oauth-basic')]) {
      expect(await statusOf(way)).toBe(200);
      await eventually(
        () => statusOf(way, modA, second.url),
        (status) => status === 200,
        5_000,
      );
    }
    expect(await statusOf(bearer(`${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`))).toBe(401);

    const listed = await token('list');
    expect(listed.stdout).toMatch(/ci .*read \*/);
    expect(listed.stdout).not.toContain('mfy_');
    const revoked = await token('revoke', 'ci');
    expect(revoked).toMatchObject({ code: 0, stdout: expect.stringContaining('revoked ci') });
    for (const way of ways) expect(await statusOf(way), 'the process that was told').toBe(401);
    // Ready answers too: it was asked for there before.
    await eventually(
      () => Promise.all(ways.map((way) => statusOf(way, modA, second.url))),
      (statuses) => statuses.every((status) => status === 401),
      5_000,
    );
    expect(await token('revoke', 'ci')).not.toMatchObject({ code: 0 });
    expect((await token('list')).stdout).not.toMatch(/ ci /);
  });

  it('is revived by no older file that is put back', async () => {
    const { token: text } = await mint('backup');
    const before = await readFile(tokensFile(first.dataDir));
    expect(await statusOf(bearer(text))).toBe(200);
    expect(await api('DELETE', '/backup', admin)).toMatchObject({ status: 200 });
    await writeFile(tokensFile(first.dataDir), before);
    // What was made after it was put back tells that it was read.
    const next = await mint('after-restore');
    for (const { url } of [first, second]) {
      await eventually(
        () => statusOf(bearer(next.token), modA, url),
        (status) => status === 200,
        5_000,
      );
      expect(await statusOf(bearer(text), modA, url)).toBe(401);
    }
  });

  it('is made, listed and revoked over HTTP by whoever has the right', async () => {
    const made = await api('POST', '', admin, { name: 'by-http', read: ['corp.example/team-a'] });
    expect(made).toMatchObject({ status: 201, json: { name: 'by-http', createdBy: 'token:ops' } });
    const text = String(made.json['token']);
    expect(await statusOf(bearer(text))).toBe(200);
    expect(await api('POST', '', admin, { name: 'by-http' })).toMatchObject({ status: 409 });
    expect(await api('POST', '', admin, { name: 'x', scopes: 'all' })).toMatchObject({ status: 400 });
    for (const [method, path] of [
      ['GET', ''],
      ['POST', ''],
      ['DELETE', '/by-http'],
    ] as const) {
      expect(await api(method, path, text), 'a token without the right').toMatchObject({ status: 403 });
    }
    const listed = await api('GET', '', admin);
    expect(listed).toMatchObject({ status: 200 });
    expect(listed.text).toContain('"by-http"');
    expect(listed.text).not.toMatch(/mfy_|[0-9a-f]{64}/);
    expect(await api('DELETE', '/by-http', admin)).toMatchObject({ status: 200 });
    expect(await statusOf(bearer(text))).toBe(401);
    expect(await api('DELETE', '/by-http', admin)).toMatchObject({ status: 404 });
  });

  it('is made by the command on a server elsewhere, over TLS', async () => {
    const there = ['--server', tlsUrl, '--ca-file', authority.certFile];
    const env = { MODFERRY_TOKEN: admin, HOME: sources.dir.path };
    const made = await runModferry(['token', 'create', 'afar', '--json', ...there], { env });
    expect(made).toMatchObject({ code: 0 });
    const { token: text } = JSON.parse(made.stdout) as { token: string };
    expect(await statusOf(bearer(text))).toBe(200);
    expect(await runModferry(['token', 'revoke', 'afar', ...there], { env })).toMatchObject({ code: 0 });
    expect(await statusOf(bearer(text))).toBe(401);
    const refused = await runModferry(['token', 'list', ...there], { env: { ...env, MODFERRY_TOKEN: text } });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/wrong, expired or revoked/);
    expect(refused.stderr).not.toContain('mfy_');
  });

  it('may what its scopes say and no more', async () => {
    const [reader, publisher, grouped] = await Promise.all([
      makeToken(first.dataDir, 'reads-a', ['--read', 'corp.example/team-a']),
      makeToken(first.dataDir, 'publishes-b', ['--read', 'none.example', '--publish', 'corp.example/team-b']),
      mint('of-team-b', { groups: ['team-b'], read: ['corp.example/*'] }),
    ]);
    const put = async (module: { path: string }, version: string, made: { token: string }) => {
      const upload = fakeModule({ path: module.path, version });
      const asked = { method: 'PUT', as: bearer(made.token), body: upload.zip };
      return (await send(first.url, fileOf(upload, 'zip'), asked)).status;
    };
    const statuses = async (made: { token: string }) => [
      await statusOf(bearer(made.token)),
      await statusOf(bearer(made.token), modB),
      await statusOf(bearer(made.token), fileOf(moduleOpen, 'mod')),
      await put(moduleA, 'v1.5.0', made),
      await put(moduleB, 'v1.5.0', made),
      await statusOf(bearer(made.token), '/-/v1/tokens'),
    ];
    expect(await statuses(reader)).toEqual([200, 403, 200, 403, 403, 403]);
    expect(await statuses(publisher)).toEqual([403, 403, 200, 403, 201, 403]);
    expect(await statuses(grouped)).toEqual([200, 200, 200, 403, 403, 403]);
    const told = await send(first.url, modB, { as: bearer(reader.token) });
    expect(told.text).toContain('reads-a may not do this (token scope: read)');
  });

  it('ends at its time, ready answers included', async () => {
    const made = await api('POST', '', admin, { name: 'brief', expiresIn: '2s' });
    const as = bearer(String(made.json['token']));
    expect([await statusOf(as), await statusOf(as)]).toEqual([200, 200]);
    await eventually(
      () => statusOf(as),
      (status) => status === 401,
      5_000,
    );
    expect((await token('list')).stdout).toMatch(/brief .*expired/);
  });

  it('stands nowhere but where it is used', async () => {
    const { token: text } = await mint('secret-keeper');
    expect(await statusOf(bearer(text))).toBe(200);
    expect(await statusOf(basic('x', text), modA, second.url)).not.toBe(403);
    expect((await stat(tokensFile(first.dataDir))).mode & 0o777).toBe(0o600);
    const files = await readdir(first.dataDir, { recursive: true, withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
    );
    expect(texts.length).toBeGreaterThan(3);
    expect(texts.some((content) => content.includes('mfy_'))).toBe(false);
    for (const each of [first, second]) expect(each.stdout() + each.stderr()).not.toContain('mfy_');
  });
});

describe('without a running modferry', () => {
  it('tokens are made and revoked in the folder; a damaged file lets nobody in, and says why', async () => {
    const dataDir = (await folder('tokens')).path;
    const kept = await makeToken(dataDir, 'kept');
    const gone = await makeToken(dataDir, 'gone');
    expect(await runModferry(['token', 'revoke', gone.id, '--data', dataDir])).toMatchObject({ code: 0 });
    const config = { ...sources.config, private: 'corp.example/by-default' };
    const proxy = await start({ config, dataDir });
    onTestFinished(proxy.close);
    const [as, late] = [bearer(kept.token), bearer(gone.token)];
    expect([await statusOf(as, modA, proxy.url), await statusOf(late, modA, proxy.url)]).toEqual([200, 401]);

    const good = await readFile(tokensFile(dataDir));
    await writeFile(tokensFile(dataDir), good.subarray(0, -20));
    // Not 401: go would tell its user that the token is wrong. What is ready is not served either.
    const refused = await eventually(
      () => send(proxy.url, modA, { as }),
      ({ status }) => status !== 200,
      5_000,
    );
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('tokens') });
    expect(refused.headers['retry-after']).toBeDefined();
    expect(await statusOf(undefined, modA, proxy.url)).toBe(401);
    expect(await statusOf(late, modA, proxy.url)).toBe(503);
    expect(await statusOf(as, '/-/v1/tokens', proxy.url)).toBe(503);
    expect(await statusOf(as, '/corp.example/by-default/@v/list', proxy.url)).toBe(503);
    expect(await statusOf(alice, modA, proxy.url), 'whom another list knows').toBe(200);
    expect(proxy.stderr()).toMatch(/tokens\.json cannot be understood, so no token is accepted/);
    const made = await runModferry(['token', 'create', 'new', '--data', dataDir]);
    expect(made).toMatchObject({ stdout: '', stderr: expect.stringContaining('tokens.json') });
    expect(made.code).not.toBe(0);

    const later = await start({ config, dataDir });
    onTestFinished(later.close);
    expect([await statusOf(as, modA, later.url), await statusOf(late, modA, later.url)]).toEqual([503, 503]);
    expect(await statusOf(undefined, modA, later.url)).toBe(401);
    expect(later.stderr()).toContain('tokens.json cannot be understood');

    await writeFile(tokensFile(dataDir), good);
    await eventually(
      () => statusOf(as, modA, proxy.url),
      (status) => status === 200,
      5_000,
    );
    expect(await statusOf(late, modA, proxy.url)).toBe(401);
  });
});

describe('the real go command over TLS', () => {
  /** With what stands in `.netrc`, on a machine whose GOPRIVATE would go around us. */
  async function download(netrc: string) {
    await using home = await goHome();
    await writeFile(join(home.path, '.netrc'), netrc, { mode: 0o600 });
    const env = {
      GOPROXY: tlsUrl,
      GOPRIVATE: 'corp.example',
      GONOPROXY: 'none',
      SSL_CERT_FILE: authority.certFile,
    };
    const wanted = [moduleA, moduleOpen].map(({ path, version }) => `${path}@${version}`);
    return await runGo(['mod', 'download', ...wanted], { home, env });
  }

  it('brings a token from .netrc, and we served it', async () => {
    const { token: text } = await mint('go-netrc', { read: ['corp.example/team-a'] });
    const { host } = new URL(tlsUrl);
    const got = await download(`machine ${host} login token password ${text}\n`);
    expect(got, got.stderr).toMatchObject({ code: 0 });
    const ofToken = (lines: readonly AccessLine[]) =>
      lines.filter(({ by, module }) => by === 'token:go-netrc' && module === moduleA.path);
    const ours = ofToken(await accessLines(first, (lines) => ofToken(lines).length >= 3));
    expect(ours.map(({ artifact, status }) => `${artifact} ${status}`).toSorted()).toEqual([
      'info 200',
      'mod 200',
      'zip 200',
    ]);
    const inLogin = await download(`machine ${host} login ${text} password ''\n`);
    expect(inLogin, inLogin.stderr).toMatchObject({ code: 0 });
  });

  it('shows its user what to do without one, or with one that ended', async () => {
    const nobody = await download('');
    expect(nobody.code).toBe(1);
    expect(nobody.stderr).toMatch(/401 Unauthorized[\s\S]*run `modferry login`/);
    const { token: text } = await mint('ended');
    expect(await api('DELETE', '/ended', admin)).toMatchObject({ status: 200 });
    const ended = await download(`machine ${new URL(tlsUrl).host} login token password ${text}\n`);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/401 Unauthorized[\s\S]*wrong, expired or revoked/);
    expect(ended.stderr).not.toContain(text);
  });
});
