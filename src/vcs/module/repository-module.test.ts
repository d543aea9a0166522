import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeCommit, makeGitRepo } from '../../../test/kit/git-repo.ts';
import { tempDir } from '../../../test/kit/temp.ts';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { Version } from '../../gomod/types.ts';
import { parseCanonicalVersion, parseVersionQuery } from '../../gomod/version.ts';
import { type GitRepository, VcsError } from '../types.ts';
import { createRepositoryModule } from './repository-module.ts';
import { LocalGitRepository } from './test-git.ts';

const path = 'example.com/r';
const goMod = { 'go.mod': `module ${path}\n`, 'x.go': 'package x\n' };
const signal = new AbortController().signal;

async function started(commits: readonly FakeCommit[], modulePath = path, root = path) {
  const dir = await tempDir('repository-module');
  onTestFinished(dir.remove);
  const repo = await makeGitRepo(join(dir.path, 'r.git'), commits);
  const git = new LocalGitRepository(repo.dir);
  const module = createRepositoryModule(git, { root, subdir: '' }, parseModulePath(modulePath));
  const revision = async (query: string) => module.revision(parseVersionQuery(query), signal);
  const versionOf = async (query: string) => (await revision(query)).version;
  const whyNot = async (query: string): Promise<string> => {
    const error = await revision(query).catch((cause: unknown) => cause);
    if (!(error instanceof VcsError)) throw new Error(`${query} was no VcsError: ${JSON.stringify(error)}`);
    expect(error.code).toBe('absent');
    return error.message;
  };
  return { dir, repo, git, module, revision, versionOf, whyNot };
}

function version(text: string, of = path): Version {
  const parsed = parseCanonicalVersion(of, text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function short(hash: string | undefined): string {
  return (hash ?? '').slice(0, 12);
}

describe('revision', () => {
  it('is a tag, with its commit, time in UTC and ref', async () => {
    const { repo, revision } = await started([{ files: goMod, annotatedTags: ['v1.0.0'], zone: '+0800' }]);
    expect(await revision('v1.0.0')).toEqual({
      version: 'v1.0.0',
      commit: repo.commits[0],
      time: '2023-11-14T22:13:20Z',
      ref: 'refs/tags/v1.0.0',
    });
  });

  it('is the highest tag of the commit that a branch, a tag or a hash means', async () => {
    const { repo, versionOf } = await started([
      { files: goMod, tags: ['v1.0.0', 'v1.2.0', 'v1.10.0-rc.1', 'good'] },
      { files: { y: 'y' }, tags: ['v1.3.0+meta'] },
    ]);
    for (const query of ['good', repo.commits[0] ?? '', short(repo.commits[0]), 'v1.2.0']) {
      expect(await versionOf(query)).toBe(query === 'v1.2.0' ? 'v1.2.0' : 'v1.10.0-rc.1');
    }
    expect(await versionOf('v1.3.0+meta')).toBe(`v1.3.1-0.20231114221420-${short(repo.commits[1])}`);
  });

  it('prefers a tag to a branch of the same name', async () => {
    const { repo, revision } = await started([
      { files: goMod, tags: ['stable'] },
      { branch: 'stable', from: 'main', files: { y: 'y' } },
    ]);
    expect(await revision('stable')).toMatchObject({ commit: repo.commits[0], ref: 'refs/tags/stable' });
  });

  it('is a pseudo-version after the highest tag before it, retracted ones passed over', async () => {
    const { repo, versionOf } = await started([
      { files: goMod, tags: ['v1.0.0'] },
      { files: { 'go.mod': `module ${path}\n\nretract v1.1.0\n` }, tags: ['v1.1.0'] },
      { files: { y: 'y' } },
    ]);
    expect(await versionOf('main')).toBe(`v1.0.1-0.20231114221520-${short(repo.commits[2])}`);
    expect(await versionOf(short(repo.commits[1]))).toBe(`v1.0.1-0.20231114221420-${short(repo.commits[1])}`);
    expect(await versionOf('v1.1.0')).toBe('v1.1.0');
  });

  it('takes no branch for a version (CVE-2022-23773)', async () => {
    const { whyNot, module } = await started([
      { files: goMod },
      { branch: 'v1.9.9', from: 'main', files: { y: 'y' } },
    ]);
    expect(await whyNot('v1.9.9')).toMatch(/v1\.9\.9 is not a tag/);
    await expect(module.goMod(version('v1.9.9'), signal)).rejects.toMatchObject({ code: 'absent' });
  });

  it.each(['-x', '--upload-pack=x', '$(id)', 'HEAD^', 'HEAD@{0}', '@', 'FETCH_HEAD'])(
    'of %j is absent and is not given to git',
    async (query) => {
      const { git, whyNot } = await started([{ files: goMod }]);
      expect(await whyNot(query)).toContain('there is no tag, branch or commit of that name');
      expect(git.calls.filter((call) => !call.startsWith('refs'))).toEqual([]);
    },
  );

  it('tells what is wrong with a pseudo-version', async () => {
    const { repo, whyNot, versionOf } = await started([
      { files: goMod, tags: ['v1.0.0'] },
      { files: { y: 'y' } },
      { branch: 'side', from: 0, files: { z: 'z' }, tags: ['v1.5.0'] },
    ]);
    const hash = repo.commits[1] ?? '';
    const time = '20231114221420';
    expect(await versionOf(`v1.0.1-0.${time}-${short(hash)}`)).toBe(`v1.0.1-0.${time}-${short(hash)}`);
    expect(await versionOf(`v0.0.0-${time}-${short(hash)}`)).toBe(`v0.0.0-${time}-${short(hash)}`);
    const wrong: [string, RegExp][] = [
      [`v1.0.1-0.20231114221421-${short(hash)}`, /time is not that of the commit, 20231114221420/],
      [`v1.0.1-0.${time}-${hash.slice(0, 11)}`, /shorter than the canonical one/],
      [`v1.0.1-0.${time}-${hash.slice(0, 13)}`, /longer than the canonical one/],
      [`v1.0.1-0.${time}-main`, /not the short name of the commit/],
      [`v1.5.1-0.${time}-${short(hash)}`, /does not come after the tag v1\.5\.0/],
      [`v1.0.2-0.${time}-${short(hash)}`, /v1\.0\.1, does not exist/],
      [
        `v1.0.1-0.20231114221320-${short(repo.commits[0])}`,
        /has the tag v1\.0\.0, which is a version already/,
      ],
      [`v1.0.0-${time}-${short(hash)}`, /must be v0, not v1/],
      [`v1.0.0-0.${time}-${short(hash)}`, /negative/],
      [`v1.0.1-0.${time}-000000000000`, /no tag, branch or commit/],
    ];
    for (const [asked, why] of wrong) expect(await whyNot(asked)).toMatch(why);
  });

  it('adds +incompatible only where no go.mod forbids it', async () => {
    const { versionOf, whyNot } = await started([
      { files: { 'x.go': 'package x\n' }, tags: ['v2.0.0'] },
      { files: goMod, tags: ['v3.0.0'] },
    ]);
    expect(await versionOf('v2.0.0')).toBe('v2.0.0+incompatible');
    expect(await versionOf('v2.0.0+incompatible')).toBe('v2.0.0+incompatible');
    expect(await whyNot('v3.0.0')).toMatch(/has a go\.mod, so .*example\.com\/r\/v3/);
    expect(await whyNot('v3.0.0+incompatible')).toMatch(/has a go\.mod/);
  });

  it('asks the server once more before it says that a tag is absent, and not for one that is known', async () => {
    const { repo, git, versionOf, whyNot } = await started([{ files: goMod, tags: ['v1.0.0'] }]);
    await versionOf('v1.0.0');
    expect(git.calls.filter((call) => call.startsWith('refs'))).toEqual(['refs Infinity']);
    git.calls.length = 0;
    await whyNot('v1.1.0');
    expect(git.calls.filter((call) => call.startsWith('refs'))).toEqual(['refs Infinity', 'refs 1000']);
    await repo.add({ files: { y: 'y' }, tags: ['v1.1.0'] });
    expect(await versionOf('v1.1.0')).toBe('v1.1.0');
  });

  it('passes failures of the repository on as what they are', async () => {
    const { git } = await started([{ files: goMod, tags: ['v1.0.0'] }]);
    const down = new VcsError('connect', 'the server is down');
    const broken: GitRepository = Object.assign(Object.create(git) as GitRepository, {
      refs: () => git.refs(0),
      commit: (hash: string) => git.commit(hash, signal),
      readFile: () => Promise.reject(down),
    });
    const module = createRepositoryModule(broken, { root: path, subdir: '' }, parseModulePath(path));
    await expect(module.revision(version('v1.0.0'), signal)).rejects.toBe(down);
    await expect(module.latest(signal)).rejects.toBe(down);
    const left = AbortSignal.abort(new Error('left'));
    await expect(module.versions(left)).rejects.toThrow('left');
  });
});

describe('gopkg.in', () => {
  const gopkg = 'gopkg.in/team/y.v2';

  it('has its major version in the path, and needs no go.mod', async () => {
    const commits = [
      { files: { 'x.go': 'package x\n' }, tags: ['v1.0.0', 'v2.0.0', 'v2.1.0'] },
      { files: { y: 'y' } },
    ];
    const { module, versionOf, repo } = await started(commits, gopkg, gopkg);
    expect(await module.versions(signal)).toEqual(['v2.0.0', 'v2.1.0']);
    expect(await versionOf('main')).toBe(`v2.1.1-0.20231114221420-${short(repo.commits[1])}`);
    expect((await module.goMod(version('v2.1.0', gopkg), signal)).toString()).toBe(`module ${gopkg}\n`);
  });

  it('has no tags where it is unstable', async () => {
    const unstable = `${gopkg}-unstable`;
    const { module, versionOf, repo } = await started(
      [{ files: { a: 'a' } }, { files: { b: 'b' } }],
      unstable,
      unstable,
    );
    await repo.add({ files: { c: 'c' }, tags: ['v2.0.0'] });
    expect(await module.versions(signal)).toEqual([]);
    expect(await versionOf(short(repo.commits[1]))).toBe(`v2.0.0-20231114221420-${short(repo.commits[1])}`);
  });

  it('refuses a go.mod of another major version', async () => {
    const { whyNot } = await started(
      [{ files: { 'go.mod': 'module gopkg.in/team/y.v3\n' }, tags: ['v2.0.0'] }],
      gopkg,
      gopkg,
    );
    expect(await whyNot('v2.0.0')).toMatch(/does not end in \.v2/);
  });
});

describe('latest', () => {
  it('is the highest release, else pre-release, else the tip of the default branch', async () => {
    const { repo, module } = await started([{ files: goMod }]);
    const latest = async () => (await module.latest(signal)).version;
    expect(await latest()).toBe(`v0.0.0-20231114221320-${short(repo.commits[0])}`);
    await repo.add({ files: { y: 'y' }, tags: ['v1.0.0-rc.1'] });
    expect(await latest()).toBe('v1.0.0-rc.1');
    await repo.add({ files: { z: 'z' }, tags: ['v0.9.0'] });
    expect(await latest()).toBe('v0.9.0');
    await repo.add({ files: { 'go.mod': `module ${path}\n\nretract v1.0.0\n` }, tags: ['v1.0.0'] });
    expect(await latest()).toBe('v0.9.0');
  });

  it('is absent in a repository without commits', async () => {
    const { module } = await started([]);
    await expect(module.latest(signal)).rejects.toMatchObject({ code: 'absent', message: /no commits/ });
    expect(await module.versions(signal)).toEqual([]);
  });
});

describe('a version whose commit is known', () => {
  it('is read from that commit, wherever its tag is by now', async () => {
    const next = { 'go.mod': `module ${path}\n\ngo 1.30\n` };
    const { dir, repo, module, revision } = await started([
      { files: { ...goMod, 'first.go': 'package x\n' }, tags: ['v1.0.0'] },
    ]);
    const { commit } = await revision('v1.0.0');
    await repo.add({ files: { ...next, 'first.go': null }, tags: ['v1.0.0'] });
    const of = version('v1.0.0');
    expect((await module.goMod(of, signal)).toString()).toBe(next['go.mod']);
    expect((await module.goMod(of, signal, commit)).toString()).toBe(goMod['go.mod']);
    await module.zip(of, join(dir.path, 'a.zip'), signal, commit);
    await module.zip(of, join(dir.path, 'b.zip'), signal);
    const [first, second] = await Promise.all(
      ['a', 'b'].map((one) => readFile(join(dir.path, `${one}.zip`))),
    );
    expect(first?.includes(`${path}@v1.0.0/first.go`)).toBe(true);
    expect(second?.includes(`${path}@v1.0.0/first.go`)).toBe(false);
    await repo.deleteRef('refs/tags/v1.0.0');
    expect((await module.goMod(of, signal, commit)).toString()).toBe(goMod['go.mod']);
  });

  it('may be a pseudo-version of that commit and of no other; a commit that is gone is absent', async () => {
    const { repo, module, revision } = await started([
      { files: goMod, tags: ['v1.0.0'] },
      { files: { y: 'y' } },
    ]);
    const found = await revision('main');
    const [first = ''] = repo.commits;
    expect((await module.goMod(found.version, signal, found.commit)).toString()).toBe(goMod['go.mod']);
    for (const other of [first, '0'.repeat(40)]) {
      await expect(module.goMod(found.version, signal, other)).rejects.toMatchObject({ code: 'absent' });
    }
  });
});

describe('goMod', () => {
  it('is the file as it is, or made up', async () => {
    const { module } = await started([
      { files: { 'x.go': 'x' }, tags: ['v1.0.0'] },
      { files: { 'go.mod': `module ${path}\r\n` }, tags: ['v1.1.0'] },
    ]);
    expect((await module.goMod(version('v1.0.0'), signal)).toString()).toBe(`module ${path}\n`);
    expect((await module.goMod(version('v1.1.0'), signal)).toString()).toBe(`module ${path}\r\n`);
  });

  it('of more than 16 MiB is refused, and does not spoil the list', async () => {
    const huge = Buffer.alloc(17 << 20, '\n');
    const { module } = await started([{ files: { 'go.mod': huge }, tags: ['v1.0.0', 'v2.0.0'] }]);
    await expect(module.goMod(version('v1.0.0'), signal)).rejects.toMatchObject({ code: 'too_large' });
    expect(await module.versions(signal)).toEqual(['v1.0.0']);
  });
});

describe('many tags', () => {
  it('are listed with a handful of questions', async () => {
    const { git, repo } = await started([{ files: goMod, tags: ['v1.0.0'] }]);
    const commit = repo.commits[0] ?? '';
    const tags = Array.from({ length: 9_999 }, (_, index) => `v1.${index}.0`);
    const refs = [...tags, 'v2.0.0', 'v3.0.0'].map((tag) => ({ name: `refs/tags/${tag}`, commit }));
    const many: GitRepository = Object.assign(Object.create(git) as GitRepository, {
      refs: async () => refs,
      readFile: git.readFile.bind(git),
    });
    const module = createRepositoryModule(many, { root: path, subdir: '' }, parseModulePath(path));
    const list = await module.versions(signal);
    expect(list).toHaveLength(9_999);
    expect(list.at(-1)).toBe('v1.9998.0');
    expect(git.calls).toEqual(['readFile go.mod']);
  });
});
