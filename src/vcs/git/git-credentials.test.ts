/** Credentials: where they go, and where they never do. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gate } from '../../../test/kit/faults.ts';
import { makeGitRepo } from '../../../test/kit/git-repo.ts';
import { startGitServer } from '../../../test/kit/git-server.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import type { GitCredential } from '../types.ts';
import { gitEnvironment } from './git-environment.ts';
import type { GitRunnerOptions } from './git-options.ts';
import { movedTo } from './redirect.ts';
import { failureOf, never, testMirrors, twoCommits } from './test-mirrors.ts';

const run = promisify(execFile);

describe('credentials', () => {
  const basic: GitCredential = { kind: 'basic', username: 'robot', password: 's3cret-pass' };

  it('stand in no argument of any process, in no file and in no text', async () => {
    const { open, server, mirrorsDir, repo } = await testMirrors({
      server: { access: { kind: 'basic', username: 'robot', password: 's3cret-pass' } },
      credentials: [basic],
    });
    const seen: string[] = [];
    const asked = gate();
    server.fault = { kind: 'stall', when: 'refs', afterBytes: 0, gate: asked };
    const repository = await open();
    const cut = failureOf(repository.refs(0, never));
    // While the server has a request of git, git and its git-remote-http are there.
    await asked.reached;
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(server.url)) seen.push(line);
    }
    expect(seen.join('\n')).toContain('remote-http');
    asked.open();
    expect((await cut).code).toBe('connect');
    server.fault = undefined;
    await repository.commit(repo.commits[0] ?? '', never);
    const hidden = [basic.password, Buffer.from('robot:s3cret-pass').toString('base64'), 'robot'];
    for (const secret of hidden) {
      expect(seen.join('\n')).not.toContain(secret);
      await expect(run('grep', ['-r', '-l', secret, mirrorsDir])).rejects.toMatchObject({ code: 1 });
    }
    server.fault = { kind: 'status', status: 500, body: 's3cret-pass' };
    const failure = await failureOf(repository.refs(0, never));
    expect(JSON.stringify([failure.message, failure.fields, String(failure.cause)])).not.toContain('s3cret');
  });

  it('are sent with every request, also those for missing blobs; a token as bearer', async () => {
    const { open, server, repo, dir } = await testMirrors({
      server: { access: { kind: 'bearer', token: 'tok.en-1' } },
      credentials: [{ kind: 'bearer', token: 'tok.en-1' }],
    });
    const repository = await open();
    const [first = ''] = repo.commits;
    await repository.readFile(first, 'go.mod', 1000, never);
    await repository.archive(first, 'sub', join(dir, 'a.zip'), { maxBytes: 1e6, signal: never });
    expect(server.count('fetch')).toBe(3);
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer tok.en-1']),
    );
  });

  it('never go to another server, whatever the one they are for says', async () => {
    const elsewhere = await tempDir('git-elsewhere');
    onTestFinished(elsewhere.remove);
    await makeGitRepo(join(elsewhere.path, 'team/lib.git'), twoCommits);
    const other = await startGitServer({ root: elsewhere.path });
    onTestFinished(other.close);
    const { open, server } = await testMirrors({ credentials: [basic] });
    for (const when of ['advertise', 'refs'] as const) {
      server.fault = { kind: 'redirect', to: other.url, when };
      const failure = await failureOf((await open()).refs(0, never));
      expect(failure).toMatchObject({ code: 'failed', message: expect.stringContaining('redirects') });
    }
    expect(server.requests.every(({ authorization }) => authorization !== undefined)).toBe(true);
    expect(other.requests).toEqual([]);
  });

  it('go along with redirects that stay on the same server', async () => {
    const { open, server, repo } = await testMirrors({
      server: { access: { kind: 'basic', username: 'robot', password: 's3cret-pass' } },
      credentials: [basic],
    });
    const answered = vi.fn();
    Object.defineProperty(server, 'fault', {
      get: () => {
        const { path } = server.requests.at(-1) ?? { path: '' };
        if (path.startsWith('/team/')) return undefined;
        answered(path);
        const to = path.startsWith('/oldest/') ? ['/oldest/', '/old/'] : ['/old/lib', '/team/lib.git'];
        return { kind: 'redirect', to: (url: string) => url.replace(to[0] ?? '', to[1] ?? ''), status: 301 };
      },
    });
    const repository = await open(undefined, `${server.url}/oldest/lib`);
    const [first = ''] = repo.commits;
    expect((await repository.readFile(first, 'go.mod', 100, never))?.toString()).toContain('module');
    // Twice each: git's own question, and the one that looks at the headers. Later calls know the way.
    expect(answered).toHaveBeenCalledTimes(4);
    expect(server.count('fetch')).toBe(2);
  });

  it('are not what redirects hang on: where the address is held to, those on the same server are followed too', async () => {
    const elsewhere = await startGitServer({ root: '/nonexistent' });
    onTestFinished(elsewhere.close);
    const { open, server, repo } = await testMirrors({
      git: { transport: { addressFor: () => '127.0.0.1' } },
    });
    Object.defineProperty(server, 'fault', {
      get: () => {
        const { path } = server.requests.at(-1) ?? { path: '' };
        if (path.startsWith('/team/')) return undefined;
        if (path.startsWith('/away/')) return { kind: 'redirect', to: elsewhere.url };
        return { kind: 'redirect', to: (url: string) => url.replace('/old/lib', '/team/lib.git') };
      },
    });
    const repository = await open(undefined, `${server.url}/old/lib`);
    expect((await repository.refs(0, never)).find(({ name }) => name === 'HEAD')?.commit).toBe(
      repo.commits[1],
    );
    const away = await open(undefined, `${server.url}/away/lib`);
    expect(await failureOf(away.refs(0, never))).toMatchObject({ code: 'failed' });
    expect(elsewhere.requests).toEqual([]);
  });

  it.each([
    ['http://127.0.0.1:2/team/lib.git', undefined],
    ['https://127.0.0.1:1/team/lib.git', undefined],
    ['//evil.example/team/lib.git', undefined],
    ['/team/lib.git', 'http://127.0.0.1:1/team/lib.git'],
    ['http://127.0.0.1:1/team/lib.git', 'http://127.0.0.1:1/team/lib.git'],
    ['http://u:p@127.0.0.1:1/team/lib.git', undefined],
    ['/-oProxyCommand=x', undefined],
    ['/a', undefined],
  ])('follow no other: %s', (to, expected) => {
    const header = `12:00 http.c:1: <= Recv header: Location: ${to}/info/refs?service=git-upload-pack`;
    expect(movedTo('http://127.0.0.1:1/a', header)).toBe(expected);
    expect(movedTo('http://127.0.0.1:1/a', `Recv header: location: ${to}/login`)).toBeUndefined();
  });

  it('are not there for those who have none, who may follow the first redirect', async () => {
    const { open, server, repo } = await testMirrors();
    server.fault = {
      kind: 'redirect',
      when: 'advertise',
      to: (path) => (path.startsWith('/old') ? path.replace('/old', '/team') : path),
    };
    const repository = await open(undefined, `${server.url}/old/lib.git`);
    server.fault = undefined;
    await expect(repository.refs(0, never)).rejects.toMatchObject({ code: 'absent' });
    server.fault = { kind: 'redirect', when: 'advertise', to: (path) => path.replace('/old', '/team') };
    const other = await startGitServer({ root: join(server.url, 'nowhere'), answer: () => undefined });
    onTestFinished(other.close);
    other.fault = { kind: 'redirect', to: server.url };
    server.fault = undefined;
    const followed = await open(undefined, `${other.url}/team/lib.git`);
    expect((await followed.refs(0, never)).find(({ name }) => name === 'HEAD')?.commit).toBe(repo.commits[1]);
  });

  it('that are refused are asked for anew, once', async () => {
    const old: GitCredential = { kind: 'bearer', token: 'old' };
    const { open, server, finderCalls, url } = await testMirrors({
      server: { access: { kind: 'bearer', token: 'new' } },
      credentials: [old, { kind: 'bearer', token: 'new' }],
    });
    const repository = await open();
    expect(await repository.refs(0, never)).toHaveLength(4);
    expect(finderCalls).toEqual([
      { url, path: 'example.com/lib', isRetry: false },
      { url, path: 'example.com/lib', isRetry: true },
    ]);
    server.access = { kind: 'expired' };
    const failure = await failureOf(repository.refs(0, never));
    expect(failure).toMatchObject({ code: 'auth', message: expect.stringContaining('does not accept') });
    expect(finderCalls).toHaveLength(4);
  });

  it('that could break the request are refused', () => {
    const options: GitRunnerOptions = { searchPath: '/bin', homeDir: '/h' };
    const url = 'https://git.example/a';
    for (const credential of [
      { kind: 'bearer', token: 'a\r\nHost: evil' },
      { kind: 'bearer', token: '' },
      { kind: 'basic', username: 'a:b', password: 'p' },
      { kind: 'ssh', keyFile: '/k', knownHostsFile: undefined },
    ] as const) {
      expect(() => gitEnvironment(options, { url, credential }, undefined)).toThrow(
        expect.objectContaining({ code: 'refused' }),
      );
    }
  });
});
