/** `direct` with all its real parts: discovery over TLS, the guard, git, mirrors and Go's rules. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeGitRepo } from '../../test/kit/git-repo.ts';
import { startGitServer } from '../../test/kit/git-server.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { testAuthority } from '../../test/kit/tls.ts';
import { systemClock } from '../lib/clock.ts';
import { readBody } from '../upstream/read-body.ts';
import { UpstreamError } from '../upstream/types.ts';
import { createDirectSource } from './direct-source.ts';
import { createRepositoryFinder } from './find/repository-finder.ts';
import type { RepositoryRule } from './find/repository-rule.ts';
import type { SsrfGuardOptions } from './find/ssrf-guard.ts';
import { GitMirrorFolder } from './git/git-mirrors.ts';
import { infoOf, subdirOf } from './module/info-text.ts';
import { createRepositoryModule } from './module/repository-module.ts';
import { probeRepository } from './probe-repository.ts';
import type { GitCredential } from './types.ts';

const path = 'mod.example.test/team/lib';

interface WorldOptions {
  readonly guard?: SsrfGuardOptions;
  readonly rules?: (port: number) => readonly RepositoryRule[];
  readonly credential?: GitCredential;
  /** Content of the go-import tag. Default: the repository, under a name that only the guard's resolver knows. */
  readonly goImport?: (port: number) => string;
}

async function world({ guard, rules, credential, goImport }: WorldOptions = {}) {
  const dir = await tempDir('direct-git');
  onTestFinished(dir.remove);
  const authority = await testAuthority(dir.path);
  const tls = await authority.issue({ names: ['mod.example.test', 'git.example.test'] });
  const repo = await makeGitRepo(join(dir.path, 'repos/team/lib.git'), [
    {
      files: { 'go.mod': `module ${path}\n`, 'lib.go': 'package lib\n', LICENSE: 'free\n' },
      tags: ['v1.0.0'],
    },
    {
      files: { 'sub/go.mod': `module ${path}/sub\n`, 'sub/s.go': 'package sub\n' },
      tags: ['sub/v0.2.0', 'v1.1.0'],
    },
    { branch: 'dev', from: 'main', files: { 'dev.go': 'package lib\n' } },
  ]);
  const server = await startGitServer({
    root: join(dir.path, 'repos'),
    tls,
    answer: ({ url }) =>
      url.includes('go-get=1')
        ? {
            status: url.startsWith('/team/lib') ? 200 : 404,
            body: `<meta name="go-import" content="${(goImport ?? defaultImport)(server.port)}">`,
          }
        : undefined,
  });
  onTestFinished(server.close);
  const git = { url: `https://git.example.test:${server.port}/team/lib.git` };
  const finder = createRepositoryFinder({
    version: 'test',
    clock: systemClock,
    caFile: authority.certFile,
    sitePorts: { https: server.port, http: 1 },
    rules: rules?.(server.port) ?? [],
    probe: (url, module, signal) => probeRepository(mirrors, url, module, signal),
    guard: {
      allowAddresses: ['127.0.0.1'],
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      ...guard,
    },
  });
  onTestFinished(() => finder.close());
  const mirrors = new GitMirrorFolder({
    git: {
      searchPath: process.env['PATH'] ?? '',
      homeDir: join(dir.path, 'home'),
      transport: {
        addressFor: (url) => finder.addressFor(url),
        caFileFor: () => authority.certFile,
      },
    },
    mirrors: { dir: join(dir.path, 'mirrors'), onTagMoved: (moved) => source.tagMoved(moved) },
    credentials: { find: async () => credential },
    clock: systemClock,
  });
  onTestFinished(() => mirrors.close());
  const source = createDirectSource({
    finder,
    mirrors,
    moduleOf: (repository, place, module) =>
      createRepositoryModule(repository, place, module, { freshMs: 0 }),
    infoOf: (revision, place, module) => infoOf(revision, place, subdirOf(place, module)),
    folder: join(dir.path, 'direct'),
    clock: systemClock,
  });
  onTestFinished(() => source.close());
  await source.start();
  const get = async (target: string): Promise<Buffer> => {
    const answerClass = target.endsWith('.zip') ? 'zip' : 'meta';
    const { signal } = new AbortController();
    return await readBody(await source.fetch({ target, answerClass, signal }), 10_000_000);
  };
  return { source, mirrors, server, repo, git, get, dir: dir.path };
}

function defaultImport(port: number): string {
  return `${path} git https://git.example.test:${port}/team/lib.git`;
}

async function codeOf(answer: Promise<unknown>): Promise<string> {
  return await answer.then(
    () => 'ok',
    (error: unknown) =>
      error instanceof UpstreamError ? `${error.code} ${error.status ?? ''} ${error.message}` : String(error),
  );
}

describe('direct over a Git server', { timeout: 60_000 }, () => {
  it('gives list, latest, info, mod and zip, by discovery and pinned addresses', async () => {
    const { get, git, repo, dir, source, server } = await world();
    expect(String(await get(`/${path}/@v/list`))).toBe('v1.0.0\nv1.1.0\n');
    expect(JSON.parse(String(await get(`/${path}/@latest`)))).toEqual({
      Version: 'v1.1.0',
      Time: '2023-11-14T22:14:20Z',
      Origin: { VCS: 'git', URL: git.url, Hash: repo.commits[1], Ref: 'refs/tags/v1.1.0' },
    });
    expect(JSON.parse(String(await get(`/${path}/@v/dev.info`)))).toMatchObject({
      Version: `v1.1.1-0.20231114221520-${repo.commits[2]?.slice(0, 12)}`,
    });
    expect(String(await get(`/${path}/@v/v1.0.0.mod`))).toBe(`module ${path}\n`);
    const zipFile = join(dir, 'a.zip');
    await writeFile(zipFile, await get(`/${path}/@v/v1.1.0.zip`));
    const { stdout } = await promisify(execFile)('unzip', ['-Z1', zipFile]);
    const names = ['LICENSE', 'go.mod', 'lib.go'].map((name) => `${path}@v1.1.0/${name}`);
    expect(stdout.trim().split('\n').sort()).toEqual(names);
    expect(String(await get(`/${path}/sub/@v/list`))).toBe('v0.2.0\n');
    expect(source.modulesOf(git.url)).toEqual([path, `${path}/sub`]);
    // The name is in no DNS: git went where the guard had looked.
    expect(server.count('fetch')).toBeGreaterThan(0);
  });

  it('tells absences, credentials and hosts that are down apart', async () => {
    const one = await world();
    expect(await codeOf(one.get(`/${path}/@v/v9.9.9.info`))).toMatch(/^absent /);
    expect(await codeOf(one.get('/mod.example.test/other/@v/list'))).toMatch(/^absent /);
    one.server.access = { kind: 'expired' };
    expect(await codeOf(one.get(`/${path}/@latest`))).toMatch(/^status 401 .*git\.example\.test/);
    one.server.access = { kind: 'open' };
    one.server.fault = { kind: 'status', status: 403 };
    expect(await codeOf(one.get(`/${path}/@latest`))).toMatch(/^status 403 /);
    one.server.fault = undefined;
    await one.server.close();
    expect(await codeOf(one.get(`/${path}/@latest`))).toMatch(/^connect /);
    expect(await codeOf(one.get('/mod.example.test/new/@v/list'))).toMatch(/^connect /);
    const missing = Object.assign(new Error('x'), { code: 'ENOTFOUND' });
    const dns = await world({ guard: { resolve: () => Promise.reject(missing) } });
    expect(await codeOf(dns.get(`/${path}/@v/list`))).toMatch(/^dns /);
  });

  it('reaches nothing inside, whatever a page says', async () => {
    const inner = await world({
      guard: {
        resolve: async (host) => [
          { address: host === 'git.example.test' ? '10.0.0.5' : '127.0.0.1', family: 4 },
        ],
      },
    });
    expect(await codeOf(inner.get(`/${path}/@v/list`))).toMatch(/^refused /);
    for (const url of ['file:///etc', 'ext::sh', 'git://git.example.test/x', 'ssh://-oProxyCommand=id/x']) {
      const evil = await world({ goImport: () => `${path} git ${url}` });
      expect(await codeOf(evil.get(`/${path}/@v/list`)), url).toMatch(/^refused /);
      expect(
        evil.server.requests.filter(({ url: asked }) => !asked.includes('go-get')),
        url,
      ).toEqual([]);
    }
  });

  it('finds a project in sub-groups by a rule that probes, with the credentials of its host', async () => {
    const { get, server } = await world({
      credential: { kind: 'basic', username: 'ci', password: 'secret-token' },
      rules: (port) => [
        {
          patterns: ['git.example.test'],
          url: `https://{host}:${port}/{path}.git`,
          root: { kind: 'probe', order: 'longest' },
        },
      ],
    });
    server.access = { kind: 'basic', username: 'ci', password: 'secret-token' };
    expect(String(await get('/git.example.test/team/lib/pkg/@v/list'))).toBe('');
    expect(await codeOf(get('/git.example.test/team/other/@v/list'))).toMatch(/^absent /);
    const asked = new Set(server.requests.map(({ path: one }) => one.replace(/\.git\/.*/, '')));
    expect([...asked]).toEqual(['/team/lib/pkg', '/team/lib', '/team/other', '/team']);
    server.access = { kind: 'expired' };
    const refused = await codeOf(get('/git.example.test/team/new/@v/list'));
    expect(refused).toMatch(/^status 401 /);
    expect(refused).not.toContain('secret-token');
  });

  it('tells of a moved tag and serves what it is told to', async () => {
    const { get, repo, source, git } = await world();
    await get(`/${path}/@v/list`);
    await get(`/${path}/@v/v1.0.0.info`);
    const told: unknown[] = [];
    source.events.on('moved_tag', (event) => told.push(event));
    await repo.setRef('refs/tags/v1.0.0', repo.commits[1] ?? '');
    await get(`/${path}/@v/list`);
    expect(told).toEqual([
      { url: git.url, tag: 'v1.0.0', from: repo.commits[0], to: repo.commits[1], paths: [path] },
    ]);
  });
});
