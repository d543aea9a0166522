import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeGitRepo, plainGitEnv } from './git-repo.ts';
import { type GitServerOptions, startGitServer } from './git-server.ts';
import { tempDir } from './temp.ts';
import { testAuthority } from './tls.ts';

const run = promisify(execFile);

async function started(options: Partial<GitServerOptions> = {}) {
  const dir = await tempDir('git-server');
  onTestFinished(dir.remove);
  const repo = await makeGitRepo(join(dir.path, 'team/lib.git'), [
    {
      files: { 'go.mod': 'module example.com/lib\n', 'x.bin': Buffer.alloc(100_000, 'x') },
      tags: ['v1.0.0'],
    },
    { files: { 'a b/run.sh': { content: '#!/bin/sh\n', executable: true } }, annotatedTags: ['v1.1.0'] },
    {
      branch: 'dev',
      from: 'main',
      files: { link: { symlink: 'go.mod' }, sub: { submodule: 'a'.repeat(40) } },
    },
  ]);
  const server = await startGitServer({ root: dir.path, ...options });
  onTestFinished(server.close);
  const git = async (...args: string[]) =>
    (await run('git', args, { cwd: dir.path, env: { ...plainGitEnv(), GIT_TERMINAL_PROMPT: '0' } })).stdout;
  return { dir: dir.path, repo, server, git, remote: `${server.url}/team/lib.git` };
}

describe('Git repositories from a description', () => {
  it('have the same hashes everywhere', async () => {
    const { repo } = await started();
    expect(repo.commits).toHaveLength(3);
    const again = await started();
    expect(again.repo.commits).toEqual(repo.commits);
  });

  it('have modes, links, submodules, tags of both kinds and branches', async () => {
    const { repo } = await started();
    expect(await repo.git(['ls-tree', '-r', 'dev'])).toMatch(
      /100755 blob \S+\ta b\/run\.sh\n100644 .*go\.mod\n120000 .*link\n160000 commit a{40}\tsub\n/,
    );
    expect(await repo.git(['cat-file', '-t', 'v1.0.0'])).toBe('commit');
    expect(await repo.git(['cat-file', '-t', 'v1.1.0'])).toBe('tag');
    expect(await repo.git(['rev-parse', 'HEAD'])).toBe(repo.commits[1]);
  });

  it('grow: commits go on, tags move, roots are new', async () => {
    const { repo } = await started();
    const [next, root] = await repo.add(
      { files: { 'x.bin': null, '"q\n': 'odd' }, tags: ['v1.0.0'] },
      { branch: 'other', from: null, files: { a: '1' }, merge: [0] },
    );
    expect(await repo.git(['rev-parse', 'main', 'main^', 'v1.0.0'])).toBe(
      [next, repo.commits[1], next].join('\n'),
    );
    expect(await repo.git(['rev-list', '--parents', '-1', 'other'])).toContain(`${root}`);
    expect(await repo.git(['-c', 'core.quotePath=false', 'ls-tree', '--name-only', 'main'])).toContain(
      '\\"q\\n',
    );
  });
});

describe('the Git server', () => {
  it('is cloned from, with and without .git, and records requests', async () => {
    const { server, git, remote, repo } = await started();
    await git('clone', '-q', '--bare', remote.slice(0, -4), 'one');
    expect((await git('--git-dir', 'one', 'rev-parse', 'v1.1.0^{}')).trim()).toBe(repo.commits[1]);
    expect(server.requests.map(({ kind, status }) => [kind, status])).toEqual([
      ['advertise', 200],
      ['refs', 200],
      ['fetch', 200],
    ]);
  });

  it('filters, or not', async () => {
    const { server, git, remote } = await started();
    await git('clone', '-q', '--bare', '--filter=blob:none', remote, 'one');
    expect(await git('--git-dir', 'one', 'rev-list', '--objects', '--all', '--missing=print')).toMatch(
      /^\?/m,
    );
    server.allowFilter = false;
    await git('clone', '-q', '--bare', '--filter=blob:none', remote, 'two');
    expect(await git('--git-dir', 'two', 'rev-list', '--objects', '--all', '--missing=print')).not.toMatch(
      /^\?/m,
    );
  });

  it('asks for credentials, which may expire', async () => {
    const { server, git, remote } = await started({
      access: { kind: 'basic', username: 'u', password: 'p' },
    });
    const withPassword = remote.replace('//', '//u:p@');
    await expect(git('ls-remote', remote)).rejects.toThrow(/could not read Username/);
    expect(await git('ls-remote', withPassword)).toContain('refs/heads/main');
    expect(server.requests.at(-1)?.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
    server.access = { kind: 'expired' };
    await expect(git('ls-remote', withPassword)).rejects.toThrow(/Authentication failed/);
  });

  it('fails as ordered', async () => {
    const { server, git, remote } = await started();
    const other = await startGitServer({ root: '/nonexistent' });
    onTestFinished(other.close);
    server.fault = { kind: 'status', status: 403 };
    await expect(git('ls-remote', remote)).rejects.toThrow(/403/);
    server.fault = { kind: 'redirect', to: other.url };
    await expect(git('ls-remote', remote)).rejects.toThrow(/not found/);
    expect(other.requests).toHaveLength(1);
    server.fault = { kind: 'cut', when: 'fetch', afterBytes: 300 };
    await expect(git('clone', '-q', '--bare', remote, 'one')).rejects.toThrow(/fatal/);
    server.fault = undefined;
    await git('clone', '-q', '--bare', remote, 'one');
  });

  it('speaks TLS, and answers pages of the test', async () => {
    const dir = await tempDir('git-tls');
    onTestFinished(dir.remove);
    const authority = await testAuthority(dir.path);
    const { git, remote, server } = await started({
      tls: await authority.issue(),
      answer: ({ url }) => (url.endsWith('?go-get=1') ? { status: 200, body: 'hello' } : undefined),
    });
    await expect(git('ls-remote', remote)).rejects.toThrow(/certificate/);
    expect(await git('-c', `http.sslCAInfo=${authority.certFile}`, 'ls-remote', remote)).toContain(
      'refs/tags/v1.0.0',
    );
    expect(server.url).toMatch(/^https:/);
  });
});
