/** `modferry publish` and `unpublish` against a real registry behind a plain server, or a scripted one. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { zipEntries } from '../../../test/kit/zip-variants.ts';
import { modulePath, testRegistry, v } from '../../publish/test-registry.ts';
import { fakeCli, tempFolder } from '../test-kit.ts';

const goMod = 'module corp.test/lib\n\ngo 1.22\n';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Answers as told, and remembers what came. `refuse`: before the body. */
async function scripted(status: number, text: string, refuse = false) {
  const seen: Seen[] = [];
  const server = createServer();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    const end = (): void => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(chunks) });
      response.writeHead(status, {
        'content-type': 'text/plain',
        ...(refuse ? { connection: 'close' } : {}),
      });
      response.end(text);
    };
    if (refuse) end();
    else request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', end);
  };
  server.on('request', answer);
  server.on('checkContinue', (request, response) => {
    if (!refuse) response.writeContinue();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function folder(files: Readonly<Record<string, string>>): string {
  const root = tempFolder();
  fill(root, files);
  return root;
}

function fill(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

const gitEnv = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};

function git(root: string, ...args: readonly string[]): void {
  execFileSync('git', ['-C', root, '-c', 'user.name=t', '-c', 'user.email=t@t.test', ...args], {
    env: gitEnv,
    stdio: 'pipe',
  });
}

function repository(files: Readonly<Record<string, string>>, ...tags: readonly string[]): string {
  const root = folder(files);
  git(root, 'init', '--quiet', '--initial-branch=main');
  git(root, 'add', '--all');
  git(root, 'commit', '--quiet', '--message=first');
  for (const tag of tags) git(root, 'tag', tag);
  return root;
}

function names(zip: Buffer): string[] {
  return zipEntries(zip).map(({ name }) => name);
}

const published = JSON.stringify({ url: 'https://proxy.test/z' });

describe('modferry publish of a folder with --version', () => {
  it('uploads the files that Go would take, and no others', async () => {
    const server = await scripted(201, published);
    const root = folder({
      'go.mod': goMod,
      'a.go': 'package lib\n',
      'internal/b.go': 'package internal\n',
      'vendor/modules.txt': '# x\n',
      'vendor/x.test/y/y.go': 'package y\n',
      'nested/go.mod': 'module corp.test/lib/nested\n',
      'nested/c.go': 'package nested\n',
      '.git/config': '[remote "origin"]\nurl = https://user:secret@x.test\n',
      'sub/.hg/x': 'x',
      '.hg_archival.txt': 'x',
    });
    symlinkSync('/etc/passwd', join(root, 'link'));

    const run = await fakeCli({ cwd: root }).run(
      'publish',
      '--version',
      'v1.2.3',
      '--server',
      server.url,
      '--token',
      'secret',
    );

    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/^published corp\.test\/lib@v1\.2\.3 \(4 files, [^)]+\)\nh1:\S+=\n$/);
    const [put] = server.seen;
    expect(put).toMatchObject({ method: 'PUT', url: '/corp.test/lib/@v/v1.2.3.zip' });
    expect(put?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'content-length': String(put?.body.length),
      expect: '100-continue',
    });
    expect(names(put?.body ?? Buffer.alloc(0))).toEqual(
      ['a.go', 'go.mod', 'internal/b.go', 'vendor/modules.txt'].map((name) => `corp.test/lib@v1.2.3/${name}`),
    );
  });

  // What golang.org/x/mod/zip.CreateFromDir (v0.42.0) and dirhash.HashZip give for this folder.
  it.each([
    ['1.22', 'h1:E0pPgoOAo6hob+H/UU4iu4QaIptWEH/6tx6rZpnH/mA='],
    ['1.24', 'h1:PTf9yl/sH5bGzgDJK3GBZwPUOC4lCsbid6cgVsIaqMY='],
  ])('makes the zip that Go makes, with a go line of %s', async (go, h1) => {
    const root = folder({
      'go.mod': `module corp.test/lib\n\ngo ${go}\n`,
      'a.go': 'package lib\n',
      'internal/b.go': 'x\n',
      'vendor/modules.txt': '# x\n',
      'vendor/x.test/y/y.go': 'y\n',
      'nested/go.mod': 'module n\n',
      'nested/n.go': 'n\n',
      'sub/.hg/x': 'h\n',
      'a/vendor/b/q.go': 'q\n',
      'a/vendor/r.go': 'r\n',
      '.hg_archival.txt': 'z\n',
      'ü b.txt': 'é\n',
      '.gitignore': 'u\n',
    });
    symlinkSync('/etc/passwd', join(root, 'link'));

    const run = await fakeCli({ cwd: root }).run('publish', '--version', 'v1.2.3', '--dry-run', '--json');

    expect(JSON.parse(run.stdout)).toMatchObject({ h1 });
  });

  it('makes what the registry takes, and says when it was there', async () => {
    const test = await testRegistry();
    const root = folder({ 'go.mod': goMod, 'a.go': 'package lib\n' });
    const server = await scripted(201, published);
    await fakeCli().run('publish', root, '--version', 'v1.2.3', '--server', server.url);
    const [put] = server.seen;

    expect(await test.publish(put?.body ?? Buffer.alloc(0), 'v1.2.3')).toMatchObject({
      outcome: 'published',
    });

    const again = await scripted(200, published);
    const run = await fakeCli().run('publish', root, '--version', 'v1.2.3', '--server', again.url);
    expect(run.stdout).toMatch(/^already published corp.test\/lib@v1.2.3/);
    expect(again.seen[0]?.body).toEqual(put?.body);
    expect(test.registry.tombstoneOf(modulePath, v('v1.2.3'))).toBeUndefined();
  });

  it('prints JSON for scripts, and sends nothing with --dry-run', async () => {
    const server = await scripted(201, published);
    const root = folder({ 'go.mod': goMod });
    const cli = fakeCli({ cwd: root });

    const dry = await cli.run(
      'publish',
      '--version',
      'v1.0.0',
      '--server',
      server.url,
      '--dry-run',
      '--json',
    );
    expect(server.seen).toEqual([]);
    const real = await cli.run('publish', '--version', 'v1.0.0', '--server', server.url, '--json');

    const { h1, ...rest } = JSON.parse(dry.stdout) as Record<string, unknown>;
    expect(rest).toMatchObject({
      outcome: 'would_publish',
      module: 'corp.test/lib',
      version: 'v1.0.0',
      files: 1,
    });
    expect(JSON.parse(real.stdout)).toMatchObject({ outcome: 'published', h1, url: 'https://proxy.test/z' });
  });

  it('shows what the server says to 409 and fails with 1', async () => {
    const server = await scripted(409, 'it is there with other content: h1:a, h1:b\n\u001b[2Jmore', true);
    const root = folder({ 'go.mod': goMod });

    const run = await fakeCli({ cwd: root }).run('publish', '--version', 'v1.0.0', '--server', server.url);

    expect(run.code).toBe(1);
    expect(run.stderr).toContain(
      'corp.test/lib@v1.0.0 was not published: it is there with other content: h1:a, h1:b',
    );
    expect(run.stderr).not.toContain('\u001b');
    expect(server.seen[0]?.body).toEqual(Buffer.alloc(0));
  });

  it('says how to log in when the server wants that', async () => {
    const server = await scripted(401, 'no rights here', true);
    const root = folder({ 'go.mod': goMod });

    const run = await fakeCli({ cwd: root }).run('publish', '--version', 'v1.0.0', '--server', server.url);

    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(
      /no rights here; give a token with --token or MODFERRY_TOKEN, or run modferry login/,
    );
  });

  it('takes the token from the environment, and sends none when there is none', async () => {
    const server = await scripted(201, published);
    const root = folder({ 'go.mod': goMod });
    const args = ['publish', '--version', 'v1.0.0', '--server', server.url];

    await fakeCli({ cwd: root, env: { MODFERRY_TOKEN: 'from-env' } }).run(...args);
    await fakeCli({ cwd: root }).run(...args);

    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer from-env', undefined]);
  });

  it('sends no token in the clear', async () => {
    const root = folder({ 'go.mod': goMod });

    const run = await fakeCli({ cwd: root }).run(
      'publish',
      '--version',
      'v1.0.0',
      '--server',
      'http://proxy.test',
      '--token',
      't',
    );

    expect(run).toMatchObject({ code: 2, stderr: expect.stringContaining('is not encrypted') });
  });

  it('says that nobody answers', async () => {
    const root = folder({ 'go.mod': goMod });

    const run = await fakeCli({ cwd: root }).run(
      'publish',
      '--version',
      'v1.0.0',
      '--server',
      'http://127.0.0.1:1',
    );

    expect(run).toMatchObject({ code: 69, stderr: expect.stringContaining('http://127.0.0.1:1') });
  });

  it.each([
    ['without a go.mod', {}, 'v1.0.0', 1, /there is no go\.mod/],
    ['whose go.mod names nothing', { 'go.mod': 'go 1.22\n' }, 'v1.0.0', 1, /no module line/],
    [
      'whose go.mod names no module path',
      { 'go.mod': 'module lib\u00e9\n' },
      'v1.0.0',
      1,
      /go\.mod: the module path/,
    ],
    ['under a version that does not fit', { 'go.mod': goMod }, 'v2.0.0', 2, /does not fit the module path/],
    ['under no version', { 'go.mod': goMod }, 'latest', 2, /not a canonical version/],
    ['with names that collide', { 'go.mod': goMod, 'a.go': '', 'A.go': '' }, 'v1.0.0', 1, /collides/],
  ])('refuses a folder %s', async (_, files, version, code, message) => {
    const root = folder(files);

    const run = await fakeCli({ cwd: root }).run('publish', '--version', version, '--dry-run');

    expect(run.code).toBe(code);
    expect(run.stderr).toMatch(message);
  });
});

describe('modferry publish of a tag', () => {
  const files = {
    'go.mod': goMod,
    'a.go': 'package lib\r\n',
    '.gitattributes': 'tests export-ignore\n',
    'tests/x': 'x',
  };

  async function dry(what: string, cwd = tempFolder()) {
    return await fakeCli({ cwd, env: gitEnv }).run('publish', what, '--dry-run', '--json');
  }

  it('takes the tag at HEAD, and what is in the commit', async () => {
    const server = await scripted(201, published);
    const root = repository(files, 'v1.2.3', 'not-a-version', 'other/v1.0.0');
    writeFileSync(join(root, '.git', 'info', 'exclude'), 'ignored\n');
    writeFileSync(join(root, 'ignored'), 'secret');

    const run = await fakeCli({ cwd: root, env: gitEnv }).run('publish', '--server', server.url);

    expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('corp.test/lib@v1.2.3') });
    expect(names(server.seen[0]?.body ?? Buffer.alloc(0))).toEqual(
      ['.gitattributes', 'a.go', 'go.mod'].map((name) => `corp.test/lib@v1.2.3/${name}`),
    );
  });

  it('of a repository in a folder or behind a URL, with one hash', async () => {
    const root = repository(files, 'v1.2.3');
    writeFileSync(join(root, 'a.go'), 'changed and not committed\n');

    const local = await dry(`${root}@v1.2.3`);
    const remote = await dry(`file://${root}@v1.2.3`);

    expect(local).toMatchObject({ code: 0 });
    expect(JSON.parse(remote.stdout)).toEqual(JSON.parse(local.stdout));
  });

  it('of a module below the top, with the licence of the repository', async () => {
    const root = repository(
      {
        'go.mod': goMod,
        LICENSE: 'free\n',
        'sub/go.mod': 'module corp.test/lib/sub\n',
        'sub/s.go': 'package sub\n',
      },
      'sub/v0.1.0',
    );

    const here = await dry('.', join(root, 'sub'));
    const named = await dry(`${root}@sub/v0.1.0`);

    expect(JSON.parse(here.stdout)).toMatchObject({
      module: 'corp.test/lib/sub',
      version: 'v0.1.0',
      files: 3,
    });
    expect(JSON.parse(named.stdout)).toEqual(JSON.parse(here.stdout));
  });

  it('of a major version in its own directory', async () => {
    const root = repository({ 'go.mod': goMod, 'v2/go.mod': 'module corp.test/lib/v2\n' }, 'v2.0.0');

    expect(JSON.parse((await dry(`${root}@v2.0.0`)).stdout)).toMatchObject({
      module: 'corp.test/lib/v2',
      files: 1,
    });
  });

  it.each([
    ['no tag', [], {}, /no version tag is at HEAD; make one with "git tag v1.2.3"/],
    ['several', ['v1.2.3', 'v1.2.4'], {}, /several version tags are at HEAD \(v1.2.3, v1.2.4\)/],
    ['changes', ['v1.2.3'], { 'new.go': 'package lib\n' }, /changes that are in no commit \(\?\? new.go/],
  ] as const)('wants one tag at a clean HEAD: %s', async (_, tags, changes, message) => {
    const root = repository(files, ...tags);
    fill(root, changes);

    const run = await dry('.', root);

    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(message);
  });

  it('says that the folder is in no repository', async () => {
    const run = await dry('.', folder({ 'go.mod': goMod }));

    expect(run).toMatchObject({ code: 2, stderr: expect.stringMatching(/in no git repository .*--version/) });
  });

  it('says that a tag is not there, or does not fit', async () => {
    const root = repository(files, 'v2.0.0');

    expect(await dry(`${root}@v1.0.0`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no tag v1.0.0'),
    });
    expect(await dry(`${root}@v2.0.0`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('does not fit'),
    });
  });

  it.each([
    '--upload-pack=touch canary@v1.0.0',
    'ext::sh -c touch% canary@v1.0.0',
    'ssh://-oProxyCommand=touch%20canary/x@v1.0.0',
    'nothing@--output=canary',
    'nothing@v1.0.0;touch canary',
    '$(touch canary)@v1.0.0',
    'nothing',
    '@v1.0.0',
  ])('runs nothing for %s', async (what) => {
    const cwd = tempFolder();

    const run = await fakeCli({ cwd, env: gitEnv }).run('publish', '--dry-run', '--', what);

    expect([1, 2]).toContain(run.code);
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe('modferry unpublish', () => {
  it('sends the reason, of any script', async () => {
    const server = await scripted(200, '{}');

    const run = await fakeCli().run(
      'unpublish',
      'corp.test/Lib@v1.0.0-RC1',
      '--reason',
      'Schlüssel 泄露',
      '--server',
      server.url,
    );

    expect(run).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('unpublished corp.test/Lib@v1.0.0-RC1'),
    });
    const [asked] = server.seen;
    expect(asked).toMatchObject({ method: 'DELETE', url: '/corp.test/!lib/@v/v1.0.0-!r!c1.zip' });
    const reason = Buffer.from(String(asked?.headers['x-modferry-reason']), 'latin1').toString();
    expect(reason).toBe('Schlüssel 泄露');
  });

  it('shows why the server refuses', async () => {
    const server = await scripted(404, 'corp.test/lib@v1.0.0 is not published here\n');

    const run = await fakeCli().run(
      'unpublish',
      'corp.test/lib@v1.0.0',
      '--reason',
      'x',
      '--server',
      server.url,
    );

    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('is not published here') });
  });

  it.each([
    [['corp.test/lib', '--reason', 'x'], /name the version too/],
    [['corp.test/lib@v1.0.0'], /reason/],
    [['corp.test/lib@v1.0.0', '--reason', ' '], /why/],
  ])('wants a version and a reason: %j', async (args, message) => {
    const run = await fakeCli().run('unpublish', ...args);

    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(message);
  });
});
