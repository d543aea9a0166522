import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tokenActions } from '../../access/tokens/token-actions.ts';
import { tokenApi } from '../../access/tokens/token-api.ts';
import { Tokens } from '../../access/tokens/tokens.ts';
import { systemClock } from '../../lib/clock.ts';
import { fakeCli, jsonLines, playServer, tempFolder } from '../test-kit.ts';

function dataFolder() {
  const data = tempFolder();
  return { data, cli: fakeCli({ env: { MODFERRY_DATA: data } }) };
}

async function openTokens(data: string): Promise<Tokens> {
  const tokens = await Tokens.open(data, { clock: systemClock });
  onTestFinished(() => tokens.close());
  return tokens;
}

async function whois(data: string, token: string) {
  const tokens = await openTokens(data);
  return await tokens.authenticate({ kind: 'bearer', token: token.trim() });
}

describe('modferry token on a data folder', () => {
  it('creates, lists and revokes', async () => {
    const { data, cli } = dataFolder();
    const created = await cli.run(
      'token',
      'create',
      'ci',
      '--read',
      'corp.example,x.example/*',
      '--publish',
      'corp.example/team-a',
      '--group',
      'g1',
      '--group',
      'g2',
      '--expires',
      '90d',
    );
    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^mfy_\S{49}\n$/) });
    expect(created.stderr).toMatch(
      /^ci \(id [0-9a-f]{12}\): read corp\.example, x\.example\/\*; publish corp\.example\/team-a; groups g1, g2; expires 20/,
    );
    expect(await whois(data, created.stdout)).toMatchObject({
      kind: 'token',
      name: 'ci',
      groups: ['g1', 'g2'],
      scopes: { read: ['corp.example', 'x.example/*'], publish: ['corp.example/team-a'], admin: false },
    });
    expect((await cli.run('token', 'list')).stdout).toMatch(
      /^[0-9a-f]{12} {2}static {2}ci {2}expires .* never used/,
    );
    const [listed] = jsonLines((await cli.run('token', 'list', '--json')).stdout);
    expect(listed).toMatchObject({ name: 'ci', createdBy: 'local' });
    expect(JSON.stringify(listed)).not.toContain(created.stdout.trim());
    expect(listed).not.toHaveProperty('hash');
    expect(await cli.run('token', 'revoke', 'ci')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^revoked ci \(id/),
    });
    expect(await whois(data, created.stdout)).toBe('wrong');
    expect((await cli.run('token', 'list')).stdout).toBe('no tokens; see modferry token create\n');
    expect((await cli.run('token', 'revoke', 'ci')).code).toBe(1);
  });

  it('prints JSON for scripts', async () => {
    const { data, cli } = dataFolder();
    const { stdout, stderr } = await cli.run('token', 'create', 'ops', '--admin', '--json');
    const [created] = jsonLines(stdout);
    expect(created).toMatchObject({ name: 'ops', scopes: { read: ['*'], publish: [], admin: true } });
    expect(stderr).toBe('');
    expect(await whois(data, String(created?.['token']))).toMatchObject({ name: 'ops' });
  });

  it.each([
    ['a bad pattern', ['ci', '--read', 'https://x'], 2],
    ['a bad name', ['a\u001b[2J'], 2],
    ['a bad duration', ['ci', '--expires', 'never'], 2],
    ['no name', [], 2],
  ])('refuses %s', async (_, args, code) => {
    const { cli } = dataFolder();
    expect((await cli.run('token', 'create', ...args)).code).toBe(code);
    expect((await cli.run('token', 'list')).stdout).toContain('no tokens');
  });

  it('refuses a second token of a name, a damaged file and a folder that is not there', async () => {
    const { data, cli } = dataFolder();
    await cli.run('token', 'create', 'ci');
    expect(await cli.run('token', 'create', 'ci')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('there is a token called "ci" already'),
    });
    mkdirSync(join(data, 'meta'), { recursive: true });
    writeFileSync(join(data, 'meta', 'tokens.json'), '{"version":1,');
    for (const args of [['list'], ['create', 'b'], ['revoke', 'ci']]) {
      expect(await cli.run('token', ...args)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('tokens.json cannot be understood'),
      });
    }
    expect((await cli.run('token', 'create', 'b', '--data', join(data, 'none'))).code).toBe(1);
  });
});

describe('modferry token beside a running modferry', () => {
  it('lets the server make and revoke it, which tells the audit', async () => {
    const { data, cli } = dataFolder();
    const tokens = await openTokens(data);
    const told: string[] = [];
    await playServer(
      data,
      tokenActions(
        tokens,
        () => systemClock.now(),
        (action, id, name) => told.push(`${action} ${name} ${id.length}`),
      ),
    );
    const { stdout } = await cli.run('token', 'create', 'ci', '--group', 'g');
    const credentials = { kind: 'bearer', token: stdout.trim() } as const;
    expect(await tokens.authenticate(credentials)).toMatchObject({ name: 'ci', groups: ['g'] });
    expect(await cli.run('token', 'create', 'ci')).toMatchObject({ code: 1 });
    expect((await cli.run('token', 'revoke', 'ci')).stdout).toMatch(/^revoked ci/);
    expect(await tokens.authenticate(credentials)).toBe('wrong');
    expect(told).toEqual(['token_create ci 12', 'token_revoke ci 12']);
  });
});

describe('modferry token on a server elsewhere', () => {
  async function serve() {
    const tokens = await openTokens(tempFolder());
    const api = tokenApi(tokens, () => systemClock.now());
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const rest = (request.url ?? '').slice('/sub/-/v1/tokens'.length);
        const json: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
        const reply =
          request.headers.authorization !== 'Bearer admin'
            ? Promise.resolve({
                status: 401,
                body: { error: { code: 'x', message: 'who\u001b[2J are you' } },
              })
            : request.method === 'POST'
              ? api.create(json, 'token:admin')
              : request.method === 'GET'
                ? api.list()
                : api.revoke(decodeURIComponent(rest.slice(1)));
        void reply.then(({ status, body }) => response.writeHead(status).end(JSON.stringify(body)));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sub`;
    return { tokens, url, seen, cli: fakeCli({ env: { MODFERRY_TOKEN: 'admin' } }) };
  }

  it('creates, lists and revokes', async () => {
    const { tokens, url, cli } = await serve();
    const { stdout } = await cli.run('token', 'create', 'a/b c', '--server', url, '--expires', '1h30m');
    const credentials = { kind: 'bearer', token: stdout.trim() } as const;
    expect(await tokens.authenticate(credentials)).toMatchObject({ name: 'a/b c' });
    expect((await cli.run('token', 'list', '--server', url)).stdout).toContain('a/b c');
    expect(await cli.run('token', 'create', 'a/b c', '--server', url)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('already'),
    });
    expect((await cli.run('token', 'revoke', 'a/b c', '--server', url)).code).toBe(0);
    expect(await tokens.authenticate(credentials)).toBe('wrong');
  });

  it('tells what the server says, and nothing that a terminal obeys', async () => {
    const { url, cli } = await serve();
    const refused = await cli.run('token', 'list', '--server', url, '--token', 'other');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('who [2J are you') });
    expect(refused.stderr).not.toContain('\u001b');
  });

  it.each([
    ['plain http elsewhere', ['--server', 'http://goproxy.corp.example']],
    ['a login in the URL', ['--server', 'https://a:b@goproxy.corp.example']],
    ['a token over two lines', ['--server', 'https://goproxy.corp.example', '--token', 'a\nb']],
  ])('sends no token with %s', async (_, args) => {
    const { cli } = await serve();
    expect((await cli.run('token', 'list', ...args)).code).toBe(2);
  });

  it('needs a token', async () => {
    const { url, seen } = await serve();
    expect((await fakeCli().run('token', 'list', '--server', url)).code).toBe(2);
    expect(seen).toEqual([]);
  });

  it('says that nobody answers', async () => {
    const { cli } = await serve();
    expect((await cli.run('token', 'list', '--server', 'http://127.0.0.1:1')).code).toBe(69);
  });
});
