/**
 * Private modules from Git through modferry, with the real `go` command over TLS, its token in `.netrc`, GOPRIVATE set
 * and GONOPROXY=none. That modferry served them is read from its access log. The tests of one `describe` go on where the
 * one before ended.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeGitRepo, makeGitRepo } from '../kit/git-repo.ts';
import { type GitServer, startGitServer } from '../kit/git-server.ts';
import { goProject } from '../kit/go.ts';
import {
  downloaded,
  moduleFiles,
  type PrivateGround,
  type PrivateModferry,
  privateGround,
  type RecordingGit,
  recordingGit,
  startPrivateModferry,
} from './private-support.ts';
import { eventually } from './support.ts';

const lib = 'git.corp.test/team/lib';
const deep = 'groups.corp.test/a/b/c/deep';
const four = 'four.corp.test/x/y/z';
const one = 'mono.corp.test/all/svc/one';
const tagged = 'git.corp.test/team/tagged';
const secret = 'glpat-of-the-server';

let ground: PrivateGround;
let git: RecordingGit;
let server: GitServer;
let modferry: PrivateModferry;
let repository: FakeGitRepo;

beforeAll(async () => {
  ground = await privateGround('private-git');
  git = await recordingGit(ground.dir.path);
  const at = (name: string): string => join(ground.repositories, name);
  repository = await makeGitRepo(at(`${lib}.git`), [
    {
      files: moduleFiles(lib, { 'tools/go.mod': `module ${lib}/tools\n`, 'tools/t.go': 'package tools\n' }),
      tags: ['v1.0.0', 'tools/v0.3.0'],
    },
    { files: { 'lib.go': 'package lib // 1.1\n' }, annotatedTags: ['v1.1.0'] },
    { files: { 'lib.go': 'package lib // later\n' } },
    { branch: 'dev', from: 'main', files: { 'lib.go': 'package lib // dev\n' } },
    { branch: 'two', from: 'main', files: moduleFiles(`${lib}/v2`), tags: ['v2.0.0'] },
  ]);
  const inner = { 'inner/go.mod': `module ${deep}/inner\n`, 'inner/i.go': 'package inner\n' };
  await makeGitRepo(at(`${deep}.git`), [
    { files: moduleFiles(deep, inner), tags: ['v1.0.0', 'inner/v1.4.0'] },
  ]);
  await makeGitRepo(at(`${four}.git`), [{ files: moduleFiles(four), tags: ['v0.1.0'] }]);
  const service = { 'svc/one/go.mod': `module ${one}\n`, 'svc/one/one.go': 'package one\n' };
  await makeGitRepo(at('elsewhere/mono.git'), [{ files: service, tags: ['svc/one/v1.2.0'] }]);
  await manyTags(await makeGitRepo(at(`${tagged}.git`), [{ files: moduleFiles(tagged) }]), 10_000);
  server = await startGitServer({
    root: ground.repositories,
    tls: await ground.authority.issue(),
    access: { kind: 'basic', username: 'oauth2', password: secret },
  });
  const url = `${server.url}/{root}.git`;
  modferry = await startPrivateModferry(ground, {
    env: { GIT_TOKEN: secret },
    config: {
      routes: [
        {
          match: '*.corp.test',
          private: true,
          read: 'tokens',
          sources: 'direct',
          freshness: { list: '1s', query: '1s' },
        },
      ],
      direct: {
        git: git.command,
        repositories: [
          {
            match: 'mono.corp.test/all',
            root: 'mono.corp.test/all',
            url: `${server.url}/elsewhere/mono.git`,
          },
          { match: 'groups.corp.test', probe: true, url },
          { match: 'four.corp.test', depth: 4, url },
          { match: 'git.corp.test', url },
        ],
        credentials: [{ match: '127.0.0.1', username: 'oauth2', token: 'env:GIT_TOKEN' }],
      },
    },
  });
});

afterAll(async () => {
  await modferry[Symbol.asyncDispose]();
  await server.close();
  await ground[Symbol.asyncDispose]();
});

/** As `git pack-refs` leaves them: one file instead of thousands. */
async function manyTags({ dir, commits: [commit = ''] }: FakeGitRepo, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `v1.${Math.floor(index / 100)}.${index % 100}`);
  const lines = names.toSorted().map((name) => `${commit} refs/tags/${name}\n`);
  const head = '# pack-refs with: peeled fully-peeled sorted \n';
  await writeFile(join(dir, 'packed-refs'), head + lines.join(''));
}

const served = { by: 'token:developer', status: 200 };
const made = { ...served, source: 'upstream:direct' };
const kept = { ...served, source: 'store' };

async function listed(path: string): Promise<string[]> {
  const { status, text } = await modferry.get(`/${path}/@v/list`);
  expect(status, text).toBe(200);
  return text.split('\n').filter((line) => line !== '');
}

describe('a private module from Git, over TLS with a token in .netrc', () => {
  it('go get finds it among the prefixes of its path', async () => {
    await using project = await goProject({}, { imports: [lib] });
    const home = await modferry.newHome();
    const got = await modferry.go(['get', lib], { cwd: project.path, home });
    expect(got.code, got.stderr).toBe(0);
    const { stdout } = await modferry.go(['list', '-f', '{{.Imports}}', './...'], {
      cwd: project.path,
      home,
    });
    expect(stdout).toBe(`[${lib}]\n`);
    expect(await readFile(join(project.path, 'go.sum'), 'utf8')).toContain(`${lib} v1.1.0 h1:`);
    await modferry.served(
      ...['info', 'mod', 'zip'].map((artifact) => ({ ...made, module: lib, version: 'v1.1.0', artifact })),
    );
  });

  it('is nobody’s without a token', async () => {
    const { code, stderr } = await modferry.go(['mod', 'download', `${lib}@v1.0.0`], {
      env: { HOME: '/nonexistent' },
    });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/401 Unauthorized/);
  });

  it('go mod download: sub-directory, /v2, branch, commit, sub-groups by each kind of rule', async () => {
    const [, , later = '', dev = ''] = repository.commits;
    const wanted: Readonly<Record<string, string>> = {
      [`${lib}/tools@v0.3.0`]: 'v0.3.0',
      [`${lib}/v2@v2.0.0`]: 'v2.0.0',
      [`${lib}@dev`]: `v1.1.1-0.20231114221620-${dev.slice(0, 12)}`,
      [`${lib}@${later.slice(0, 12)}`]: `v1.1.1-0.20231114221520-${later.slice(0, 12)}`,
      [`${deep}@v1.0.0`]: 'v1.0.0',
      [`${deep}/inner@latest`]: 'v1.4.0',
      [`${four}@v0.1.0`]: 'v0.1.0',
      [`${one}@v1.2.0`]: 'v1.2.0',
    };
    const result = await modferry.go(['mod', 'download', '-json', ...Object.keys(wanted)]);
    const got = downloaded(result);
    expect(got.map(({ Path: path, Version: version, Error: error }) => ({ path, version, error }))).toEqual(
      Object.entries(wanted).map(([query, version]) => ({
        path: query.split('@')[0],
        version,
        error: undefined,
      })),
    );
    await modferry.served(
      ...got.map(({ Path: module, Version: version = '' }) => ({
        ...made,
        module,
        version,
        artifact: 'zip',
      })),
    );
  });

  it('go list -m -versions', async () => {
    const { stdout } = await modferry.go(['list', '-m', '-versions', lib, `${lib}/v2`, `${deep}/inner`]);
    expect(stdout.split('\n')).toEqual([
      `${lib} v1.0.0 v1.1.0`,
      `${lib}/v2 v2.0.0`,
      `${deep}/inner v1.4.0`,
      '',
    ]);
    await modferry.served({ ...served, module: `${lib}/v2`, artifact: 'list' });
  });

  it('comes from the store when it is asked again: the Git server is asked nothing', async () => {
    server.requests.length = 0;
    await git.forget();
    const result = await modferry.go(['mod', 'download', '-json', `${lib}@v1.1.0`, `${deep}@v1.0.0`]);
    expect(downloaded(result).map(({ Error: error }) => error)).toEqual([undefined, undefined]);
    expect(server.requests).toEqual([]);
    expect(await git.runs()).toEqual([]);
    await modferry.served({ ...kept, module: deep, version: 'v1.0.0', artifact: 'zip' });
  });

  it('a new tag is listed within the freshness of private modules, by fetching what is new', async () => {
    expect(await listed(lib)).toEqual(['v1.0.0', 'v1.1.0']);
    server.requests.length = 0;
    await repository.add({ branch: 'main', files: { 'lib.go': 'package lib // 1.2\n' }, tags: ['v1.2.0'] });
    await eventually(
      () => listed(lib),
      (versions) => versions.includes('v1.2.0'),
      10_000,
    );
    const { code, stdout, stderr } = await modferry.go(['list', '-m', `${lib}@latest`]);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: `${lib} v1.2.0\n` });
    const { code: got } = await modferry.go(['mod', 'download', `${lib}@v1.2.0`]);
    expect(got).toBe(0);
    // What the mirror has is told to the server: never a second clone.
    const told = server.requests.map(({ kind, body }) => kind === 'fetch' && /want [^]*have /.test(body));
    expect(told).toContain(true);
  });

  it('a tag that is moved changes no version, and is told in the log', async () => {
    const sumOf = async () =>
      downloaded(await modferry.go(['mod', 'download', '-json', `${lib}@v1.1.0`]))[0]?.Sum;
    const before = await sumOf();
    await repository.setRef('refs/tags/v1.1.0', repository.commits[2] ?? '');
    await eventually(
      async () => {
        await listed(lib);
        return modferry.process.stderr();
      },
      (text) => /"tag":"v1\.1\.0".*a tag was moved to another commit/.test(text),
    );
    expect(before).toMatch(/^h1:/);
    expect(await sumOf()).toBe(before);
  });

  it('that is not there is 404 for it and each prefix, and go get says so', async () => {
    await using project = await goProject();
    const { code, stderr } = await modferry.go(['get', 'git.corp.test/team/nothing'], { cwd: project.path });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('404 Not Found') });
    await modferry.served(
      ...['git.corp.test', 'git.corp.test/team', 'git.corp.test/team/nothing'].map((module) => ({
        module,
        artifact: 'list',
        status: 404,
      })),
    );
  });

  it('tells the name of no private module to anybody, and its secret in no argument of git', async () => {
    expect(modferry.publicUpstream.requests.map(({ path }) => path)).toEqual([]);
    expect((await git.runs()).join('\n')).not.toContain(secret);
    expect(modferry.process.stdout() + modferry.process.stderr()).not.toContain(secret);
  });
});

describe('a repository with 10,000 tags', () => {
  it('is listed by one look at its refs, once mirrored', async () => {
    expect(await listed(tagged)).toHaveLength(10_000);
    await git.forget();
    server.requests.length = 0;
    // Its list is fresh for a second: what comes first after that has been asked for.
    await eventually(
      () => listed(tagged),
      () => server.count('refs') > 0,
    );
    expect(await listed(tagged)).toHaveLength(10_000);
    expect(await git.runs()).toEqual([expect.stringMatching(/^ls-remote /)]);
    expect(server.count('fetch')).toBe(0);
  });
});

describe('when the Git server is gone', () => {
  beforeAll(async () => {
    await server.close();
  });

  it('stored versions, list and @latest are served', async () => {
    modferry.forgetLog();
    const result = await modferry.go(['mod', 'download', '-json', `${lib}@v1.1.0`, `${four}@v0.1.0`]);
    expect(downloaded(result).map(({ Error: error }) => error)).toEqual([undefined, undefined]);
    const { stdout, stderr } = await modferry.go(['list', '-m', '-versions', `${lib}@latest`]);
    expect(stdout, stderr).toBe(`${lib} v1.0.0 v1.1.0 v1.2.0\n`);
    await modferry.served(
      { ...kept, module: four, version: 'v0.1.0', artifact: 'zip' },
      { ...served, module: lib, artifact: 'list' },
    );
  });

  it('what is not stored is 502 with the cause, never 404', async () => {
    for (const path of [
      `${four}/@v/v0.9.0.info`,
      `${four}/@v/other.info`,
      'git.corp.test/team/new/@v/list',
    ]) {
      const { status, text } = await modferry.get(`/${path}`);
      expect({ path, status, text }).toMatchObject({
        status: 502,
        text: expect.stringContaining('127.0.0.1'),
      });
    }
  });
});
