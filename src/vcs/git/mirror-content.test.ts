/** Files and archives of a mirror, partial and full, and the limits of both. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FakeCommit } from '../../../test/kit/git-repo.ts';
import { startGitServer } from '../../../test/kit/git-server.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import { testAuthority } from '../../../test/kit/tls.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

const run = promisify(execFile);

async function namesIn(zip: string): Promise<readonly string[]> {
  return (await run('unzip', ['-Z1', zip])).stdout.trim().split('\n').toSorted();
}

const manyFiles: FakeCommit = {
  files: {
    'go.mod': 'module example.com/lib\n',
    'crlf.txt': 'a\r\nb\r\n',
    '.gitattributes': '*.win text eol=crlf\nsub/hidden export-ignore\nsub/subst export-subst\n',
    'sub/go.mod': 'module example.com/lib/sub\n',
    'sub/a.win': 'a\nb\n',
    'sub/hidden': 'h',
    'sub/subst': '$Format:%H %d$',
    'sub/x[1].go': 'package x\n',
    'other/*/star.go': 'package star\n',
    link: { symlink: 'go.mod' },
    module: { submodule: '1'.repeat(40) },
    ...Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`many/f${index}.go`, `package f${index}\n`]),
    ),
  },
  tags: ['v1.0.0'],
};

describe.each([true, false])('content, where the server allows filters: %s', (allowFilter) => {
  it('is read: files, targets of links, nothing else, and not beyond a limit', async () => {
    const { open, repo } = await testMirrors({ commits: [manyFiles], server: { allowFilter } });
    const [first = ''] = repo.commits;
    const repository = await open();
    const text = async (path: string): Promise<string | undefined> =>
      (await repository.readFile(first, path, 1_000, never))?.toString();
    expect(await text('go.mod')).toBe('module example.com/lib\n');
    expect(await text('crlf.txt')).toBe('a\r\nb\r\n');
    expect(await text('sub/x[1].go')).toBe('package x\n');
    expect(await text('other/*/star.go')).toBe('package star\n');
    expect(await text('link')).toBe('go.mod');
    for (const path of ['sub', 'module', 'nothing', 'sub/x*.go', '', 'go.mod/x'])
      expect(await text(path)).toBeUndefined();
    expect(await failureOf(repository.readFile(first, 'go.mod', 22, never))).toMatchObject({
      code: 'too_large',
    });
    expect(await repository.readFile(first, 'go.mod', 23, never)).toHaveLength(23);
    const directories = ['', 'sub', 'many', 'other/*', 'go.mod', 'link', 'module', 'nothing', 'man'];
    const found = await Promise.all(directories.map((path) => repository.isDirectory(first, path, never)));
    expect(found).toEqual([true, true, true, true, false, false, false, false, false]);
  });

  it('is archived as Go asks for, with one fetch for all that is missing', async () => {
    const { open, repo, server, dir } = await testMirrors({ commits: [manyFiles], server: { allowFilter } });
    const [first = ''] = repo.commits;
    const repository = await open();
    await repository.commit(first, never);
    expect(server.count('fetch')).toBe(1);
    const all = join(dir, 'all.zip');
    await Promise.all([
      repository.archive(first, '', all, { maxBytes: 1e6, signal: never }),
      repository.archive(first, '', `${all}2`, { maxBytes: 1e6, signal: never }),
    ]);
    expect(server.count('fetch')).toBe(allowFilter ? 2 : 1);
    expect(await namesIn(all)).toHaveLength(300 + 10 + 5);
    expect((await run('unzip', ['-p', all, 'crlf.txt'])).stdout).toBe('a\r\nb\r\n');
    expect(await readFile(all)).toEqual(await readFile(`${all}2`));
    const sub = join(dir, 'sub.zip');
    await repository.archive(first, 'sub', sub, { maxBytes: 1e6, signal: never });
    const files = (await namesIn(sub)).filter((name) => !name.endsWith('/'));
    expect(files).toEqual(['sub/a.win', 'sub/go.mod', 'sub/hidden', 'sub/subst', 'sub/x[1].go']);
    expect((await run('unzip', ['-p', sub, 'sub/a.win'])).stdout).toBe('a\r\nb\r\n');
    expect((await run('unzip', ['-p', sub, 'sub/subst'])).stdout).toBe('$Format:%H %d$');
    expect(server.count('fetch')).toBe(allowFilter ? 2 : 1);
  });
});

describe('an archive', () => {
  it('is not written beyond its limit, nor of what is no directory, and leaves no file then', async () => {
    const { open, repo, dir } = await testMirrors({
      commits: [{ files: { 'd/big': randomBytes(200_000) } }],
    });
    const [first = ''] = repo.commits;
    const repository = await open();
    const file = join(dir, 'a.zip');
    const archived = (directory: string, maxBytes: number, to = file) =>
      repository.archive(first, directory, to, { maxBytes, signal: never });
    expect(await failureOf(archived('d', 100_000))).toMatchObject({ code: 'too_large' });
    expect(await failureOf(archived('nothing', 1e6))).toMatchObject({ code: 'absent' });
    expect(await failureOf(archived('d/big', 1e6))).toMatchObject({ code: 'absent' });
    expect(await readdir(dir)).not.toContain('a.zip');
    expect(await failureOf(archived('d', 1e6, join(dir, 'no/a.zip')))).toMatchObject({ code: 'ENOENT' });
    await archived('d', 1e6);
    expect((await stat(file)).size).toBeGreaterThan(200_000);
  });

  it('and a file of which the server gives no bytes are failures, no absences', async () => {
    const { open, repo, server, dir } = await testMirrors();
    const [first = ''] = repo.commits;
    const repository = await open();
    await repository.commit(first, never);
    server.fault = { kind: 'cut', when: 'fetch', afterBytes: 0 };
    expect(await failureOf(repository.readFile(first, 'go.mod', 100, never))).toMatchObject({
      code: 'connect',
    });
    const archived = repository.archive(first, '', join(dir, 'a.zip'), { maxBytes: 1e6, signal: never });
    expect(await failureOf(archived)).toMatchObject({ code: 'connect' });
    await server.close();
    expect(await failureOf(repository.readFile(first, 'go.mod', 100, never))).toMatchObject({
      code: 'connect',
    });
  });
});

describe('a repository that is too large', () => {
  const big: FakeCommit = { message: randomBytes(400_000).toString('hex'), files: { a: '1' } };

  it('is refused with a sentence, removed, and not fetched again at once', async () => {
    const { open, repo, server, mirrorsDir } = await testMirrors({
      commits: [big],
      mirrors: { maxRepositoryBytes: 200_000 },
    });
    const repository = await open();
    const [first = ''] = repo.commits;
    const failure = await failureOf(repository.commit(first, never));
    expect(failure).toMatchObject({ code: 'refused', message: expect.stringContaining('200000 bytes') });
    expect((await readdir(mirrorsDir)).filter((name) => !name.endsWith('.refs'))).toEqual([]);
    expect(await failureOf(repository.commit(first, never))).toMatchObject({ code: 'refused' });
    expect(server.count('fetch')).toBe(1);
    expect(await repository.refs(0, never)).toHaveLength(2);
  });

  it('is left off while it comes', async () => {
    const { open, repo, server, mirrorsDir } = await testMirrors({
      commits: [big],
      mirrors: { maxRepositoryBytes: 100_000 },
    });
    // At this pace all of it would take minutes.
    server.fault = { kind: 'drip', when: 'fetch', bytes: 20_000, pauseMs: 150 };
    const repository = await open();
    expect(await failureOf(repository.commit(repo.commits[0] ?? '', never))).toMatchObject({
      code: 'refused',
    });
    expect((await readdir(mirrorsDir)).filter((name) => !name.endsWith('.refs'))).toEqual([]);
  });
});

describe('TLS and the way out', () => {
  it('checks certificates against the authority that is named', async () => {
    const dir = await tempDir('git-tls');
    onTestFinished(dir.remove);
    const authority = await testAuthority(dir.path);
    const server = { tls: await authority.issue() };
    const strict = await testMirrors({ server });
    expect(await failureOf((await strict.open()).refs(0, never))).toMatchObject({ code: 'tls' });
    const trusting = await testMirrors({
      server,
      git: { transport: { caFileFor: () => authority.certFile } },
    });
    const repository = await trusting.open();
    expect((await repository.readFile(trusting.repo.commits[0] ?? '', 'go.mod', 100, never))?.length).toBe(
      23,
    );
  });

  it('goes through the outbound proxy that is named, and says so when that fails', async () => {
    const asked: string[] = [];
    const proxy = await startGitServer({
      root: '/nonexistent',
      answer: ({ url }) => {
        asked.push(url);
        return { status: 502 };
      },
    });
    onTestFinished(proxy.close);
    const through = await testMirrors({ git: { transport: { proxyFor: () => proxy.url } } });
    expect(await failureOf((await through.open()).refs(0, never))).toMatchObject({ code: 'failed' });
    expect(asked[0]).toContain(`${through.url}/info/refs`);
    await proxy.close();
    expect(await failureOf((await through.open()).refs(0, never))).toMatchObject({ code: 'proxy' });
  });

  it('goes to the address that was checked, not to what the name gives now', async () => {
    const { server, repo, open } = await testMirrors({
      git: { transport: { addressFor: () => '127.0.0.1' } },
    });
    const repository = await open(undefined, `http://git.invalid:${server.port}/team/lib.git`);
    expect((await repository.refs(0, never))[0]?.commit).toBe(repo.commits[1]);
  });
});
