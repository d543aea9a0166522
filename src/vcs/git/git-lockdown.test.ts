/** Nothing of the machine takes part, and nothing of a repository is run. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import type { GitCredential } from '../types.ts';
import { gitEnvironment } from './git-environment.ts';
import type { GitRunnerOptions } from './git-options.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

const run = promisify(execFile);

/** A machine that is configured to run a canary wherever git lets it. */
async function trappedMachine(): Promise<{
  readonly env: NodeJS.ProcessEnv;
  readonly sung: () => Promise<readonly string[]>;
}> {
  const dir = await tempDir('git-canary');
  onTestFinished(dir.remove);
  const songs = join(dir.path, 'songs');
  const hooks = join(dir.path, 'hooks');
  const home = join(dir.path, 'home');
  const template = join(dir.path, 'template');
  for (const folder of [
    songs,
    hooks,
    join(home, '.config/git'),
    join(home, '.ssh'),
    join(template, 'hooks'),
  ]) {
    await mkdir(folder, { recursive: true });
  }
  const canary = async (file: string, name: string): Promise<string> => {
    await writeFile(file, `#!/bin/sh\ntouch '${songs}/${name}'\nexit 1\n`);
    await chmod(file, 0o755);
    return file;
  };
  const ssh = await canary(join(dir.path, 'ssh'), 'ssh');
  const helper = await canary(join(dir.path, 'helper'), 'helper');
  const askpass = await canary(join(dir.path, 'askpass'), 'askpass');
  const monitor = await canary(join(dir.path, 'fsmonitor'), 'fsmonitor');
  for (const hook of ['reference-transaction', 'post-checkout', 'pre-auto-gc', 'post-update']) {
    await canary(join(hooks, hook), `hook-${hook}`);
    await canary(join(template, 'hooks', hook), `template-${hook}`);
  }
  const included = join(dir.path, 'included');
  await writeFile(included, `[core]\n\thooksPath = ${hooks}\n`);
  const config = `[include]
\tpath = ${included}
[core]
\tfsmonitor = ${monitor}
\tsshCommand = ${ssh}
\taskPass = ${askpass}
[credential]
\thelper = ${helper}
[init]
\ttemplateDir = ${template}
[url "https://127.0.0.1:1/"]
\tinsteadOf = http://
[alias]
\tls-remote = !touch ${songs}/alias
`;
  await writeFile(join(home, '.gitconfig'), config);
  await writeFile(join(home, '.config/git/config'), config);
  await writeFile(join(home, '.netrc'), 'default login machine password netrc\n');
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    GIT_ASKPASS: askpass,
    SSH_ASKPASS: askpass,
    GIT_SSH_COMMAND: ssh,
    GIT_SSH: ssh,
    GIT_TEMPLATE_DIR: template,
    GIT_CONFIG_PARAMETERS: `'core.hooksPath=${hooks}'`,
    GIT_DIR: join(dir.path, 'nowhere'),
    GIT_PROXY_COMMAND: ssh,
    GIT_EXTERNAL_DIFF: ssh,
    GIT_TRACE: join(songs, 'trace'),
    http_proxy: 'http://127.0.0.1:1',
    https_proxy: 'http://127.0.0.1:1',
    all_proxy: 'http://127.0.0.1:1',
  };
  return { env, sung: () => readdir(songs) };
}

describe('the configuration of the machine', () => {
  it('takes no part: no hook, alias, include, helper, prompt, template, netrc, proxy or rewritten URL', async () => {
    const { env, sung } = await trappedMachine();
    // The trap works: plain git runs into it.
    const { GIT_DIR: _, ...rest } = env;
    const plain = { ...process.env, ...rest };
    const scratch = await tempDir('git-plain');
    onTestFinished(scratch.remove);
    await run('git', ['init', '-q', '--bare', scratch.path], { env: plain });
    await run('git', ['ls-remote', 'ssh://git@127.0.0.1:1/a'], { env: plain }).catch(() => {});
    await run('git', ['ls-remote', 'http://127.0.0.1:1/a'], { env: plain }).catch(() => {});
    expect(await sung()).toEqual(expect.arrayContaining(['ssh', 'trace']));
    expect(await readdir(join(scratch.path, 'hooks'))).toContain('post-update');

    const trapped = await trappedMachine();
    for (const [key, value] of Object.entries(trapped.env)) vi.stubEnv(key, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { open, repo, dir, server } = await testMirrors();
    const [first = '', second = ''] = repo.commits;
    const repository = await open();
    await repository.tagsBefore(second, never);
    await repository.readFile(first, 'go.mod', 1000, never);
    await repository.archive(second, '', join(dir, 'a.zip'), { maxBytes: 1e6, signal: never });
    server.access = { kind: 'expired' };
    expect(await failureOf(repository.refs(0, never))).toMatchObject({ code: 'auth' });
    expect(server.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    // The fake repository is made by the kit, whose own git keeps off all of that too.
    expect(await trapped.sung()).toEqual([]);
    expect(await readdir(join(dir, 'home'))).toEqual([]);
  });

  it('is not in the environment of git, whatever the process has', () => {
    const options: GitRunnerOptions = { searchPath: '/bin', homeDir: '/home/of/ours' };
    vi.stubEnv('GIT_SSL_NO_VERIFY', '1');
    onTestFinished(() => void vi.unstubAllEnvs());
    const env = gitEnvironment(options, 'local', '/repo.git');
    expect(env).toMatchObject({
      PATH: '/bin',
      HOME: '/home/of/ours',
      GIT_DIR: '/repo.git',
      GIT_ALLOW_PROTOCOL: 'none',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
    });
    expect(Object.keys(env)).not.toContain('GIT_SSL_NO_VERIFY');
    const remote = gitEnvironment(
      options,
      { url: 'https://git.example/a', credential: undefined },
      undefined,
    );
    expect(remote['GIT_ALLOW_PROTOCOL']).toBe('https');
  });
});

describe('URLs that would run something', () => {
  it.each([
    'ext::sh -c "touch canary"',
    'ssh://-oProxyCommand=touch%20canary/a',
    '--upload-pack=touch canary',
    'file:///etc',
    'git://127.0.0.1/a',
    'fd::0',
  ])('are refused before anything is started: %s', async (url) => {
    const { mirrors, dir, mirrorsDir } = await testMirrors({ git: { command: '/nonexistent/git' } });
    const place = { vcs: 'git' as const, url, root: 'example.com/lib', subdir: '' };
    const path = 'example.com/lib' as Parameters<typeof mirrors.open>[1];
    expect(await failureOf(mirrors.open(place, path, never))).toMatchObject({ code: 'refused' });
    expect(await readdir(dir)).not.toContain('canary');
    await expect(readdir(mirrorsDir)).rejects.toThrow();
  });

  it('of another VCS are not for git', async () => {
    const { mirrors, url } = await testMirrors();
    const place = { vcs: 'hg' as const, url, root: 'example.com/lib', subdir: '' };
    expect(await failureOf(mirrors.open(place, 'example.com/lib' as never, never))).toMatchObject({
      code: 'refused',
    });
  });
});

describe('ssh', () => {
  /** Runs against an ssh that writes down its arguments. */
  async function sshArguments(credential: GitCredential | undefined): Promise<readonly string[]> {
    const dir = await tempDir('git-ssh');
    onTestFinished(dir.remove);
    const ssh = join(dir.path, "s'sh");
    await writeFile(
      ssh,
      `#!/bin/sh\nprintf '%s\\n' "$@" > "${dir.path}/args"\nenv > "${dir.path}/env"\necho 'git@x: Permission denied (publickey).' >&2\nexit 255\n`,
    );
    await chmod(ssh, 0o755);
    const { mirrors } = await testMirrors({
      git: { transport: { protocols: ['ssh'], sshCommand: ssh, connectTimeoutMs: 5_000 } },
      credentials: [credential],
    });
    const place = { vcs: 'git' as const, url: 'ssh://git@git.example:2222/a.git', root: 'a', subdir: '' };
    const repository = await mirrors.open(place, 'example.com/lib' as never, never);
    expect(await failureOf(repository.refs(0, never))).toMatchObject({ code: 'auth' });
    expect(await readFile(join(dir.path, 'env'), 'utf8')).not.toMatch(/SSH_AUTH_SOCK/);
    return (await readFile(join(dir.path, 'args'), 'utf8')).trim().split('\n');
  }

  it('gets the key and the known hosts, no configuration, and asks nobody', async () => {
    vi.stubEnv('SSH_AUTH_SOCK', '/tmp/agent');
    onTestFinished(() => void vi.unstubAllEnvs());
    const args = await sshArguments({ kind: 'ssh', keyFile: '/keys/a b', knownHostsFile: '/keys/known' });
    expect(args.slice(0, 2)).toEqual(['-F', '/dev/null']);
    expect(args).toEqual(
      expect.arrayContaining([
        'BatchMode=yes',
        'StrictHostKeyChecking=yes',
        'IdentitiesOnly=yes',
        'IdentityAgent=none',
        'ConnectTimeout=5',
        'IdentityFile="/keys/a b"',
        'UserKnownHostsFile="/keys/known"',
      ]),
    );
    expect(args.at(-1)).toBe("git-upload-pack '/a.git'");
  });

  it('gets no key of the account where none is configured', async () => {
    expect(await sshArguments(undefined)).toContain('IdentityFile=none');
  });

  it('is not run with a file name that it would read as something else, or with a password', () => {
    const options: GitRunnerOptions = { searchPath: '/bin', homeDir: '/h' };
    const url = 'ssh://git@git.example/a';
    const bad: GitCredential[] = [
      ...['key', '/k"; touch canary; "', '/k\n', '/k%h', '/k${HOME}', "/k'"].map(
        (keyFile): GitCredential => ({ kind: 'ssh', keyFile, knownHostsFile: undefined }),
      ),
      { kind: 'ssh', keyFile: '/k', knownHostsFile: 'known' },
      { kind: 'basic', username: 'u', password: 'p' },
      { kind: 'bearer', token: 't' },
    ];
    for (const credential of bad) {
      expect(() => gitEnvironment(options, { url, credential }, undefined)).toThrow(
        expect.objectContaining({ code: 'refused' }),
      );
    }
  });
});

describe('a hostile repository', () => {
  it('runs nothing and reaches nothing: submodules, filters, textconv, links, hooks, odd names', async () => {
    const dir = await tempDir('git-hostile');
    onTestFinished(dir.remove);
    const canary = join(dir.path, 'canary');
    const {
      open,
      repo,
      server,
      dir: own,
      mirrorsDir,
    } = await testMirrors({
      commits: [
        {
          files: {
            '.gitmodules': `[submodule "a"]\n\tpath = a\n\turl = ext::sh -c touch% ${canary}\n[submodule "-b"]\n\tpath = b\n\turl = -u./x\n\tupdate = !touch ${canary}\n`,
            '.gitattributes':
              '* filter=evil diff=evil textconv=evil merge=evil\n*.sub export-subst\nhidden export-ignore\n',
            '.lfsconfig': `[lfs]\n\turl = http://127.0.0.1:1/\n`,
            a: { submodule: '1'.repeat(40) },
            'v.sub': '$Format:%H$\n',
            hidden: 'seen\n',
            'hooks/post-checkout': { content: `#!/bin/sh\ntouch ${canary}\n`, executable: true },
            'etc-link': { symlink: '/etc/passwd' },
            'up-link': { symlink: '../../../../../../etc/passwd' },
            'big.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n',
          },
          tags: ['v1.0.0', '-oops', '--upload-pack=touch'],
        },
      ],
    });
    const [first = ''] = repo.commits;
    const repository = await open();
    expect((await repository.refs(0, never)).map(({ name }) => name)).toContain('refs/tags/v1.0.0');
    const file = join(own, 'a.zip');
    await repository.archive(first, '', file, { maxBytes: 1e6, signal: never });
    const listed = (await run('unzip', ['-p', file, 'v.sub', 'hidden'])).stdout;
    expect(listed.split('\n').toSorted()).toEqual(['', '$Format:%H$', 'seen']);
    expect((await run('unzip', ['-p', file, 'big.bin'])).stdout).toContain('git-lfs');
    // A link's target and never what it points to.
    expect((await repository.readFile(first, 'etc-link', 1000, never))?.toString()).toBe('/etc/passwd');
    expect(await repository.readFile(first, 'a', 1000, never)).toBeUndefined();
    expect(await repository.readFile(first, 'up-link/x', 1000, never)).toBeUndefined();
    expect(await repository.isDirectory(first, 'a', never)).toBe(false);
    await expect(readFile(canary)).rejects.toThrow();
    expect(server.requests.every(({ path }) => path.startsWith('/team/lib.git/'))).toBe(true);
    const [gitDir = ''] = (await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'));
    expect(await readdir(join(mirrorsDir, gitDir))).not.toContain('hooks');
    expect(await readdir(join(mirrorsDir, gitDir))).not.toContain('modules');
  });

  it('cannot lead out of its paths', async () => {
    const { open, repo } = await testMirrors();
    const [first = ''] = repo.commits;
    const repository = await open();
    for (const path of [
      '../HEAD',
      '/etc/passwd',
      'sub/../go.mod',
      '-x',
      '--output=/tmp/x',
      'a\u0000b',
      'sub',
      ':(glob)**',
    ]) {
      expect(await repository.readFile(first, path, 1000, never)).toBeUndefined();
    }
    for (const path of ['..', '-x', '--output=canary', '/']) {
      const archived = repository.archive(first, path, '/nonexistent/x', { maxBytes: 1, signal: never });
      expect(await failureOf(archived)).toMatchObject({ code: 'absent' });
      expect(await repository.isDirectory(first, path, never)).toBe(false);
    }
  });
});
