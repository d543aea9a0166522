import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { FakeCommit } from '../../../test/kit/git-repo.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

describe('refs of a mirror', () => {
  it('are HEAD, branches and tags, tag objects peeled, and cost no fetch', async () => {
    const { open, repo, server } = await testMirrors();
    await repo.setRef('refs/pull/1/head', repo.commits[0] ?? '');
    const refs = await (await open()).refs(0, never);
    expect(new Map(refs.map(({ name, commit }) => [name, commit]))).toEqual(
      new Map([
        ['HEAD', repo.commits[1]],
        ['refs/heads/main', repo.commits[1]],
        ['refs/tags/v1.0.0', repo.commits[0]],
        ['refs/tags/v1.1.0', repo.commits[1]],
      ]),
    );
    expect(server.count('fetch')).toBe(0);
  });

  it('are asked for when they are too old, and by one for many', async () => {
    const clock = new FakeClock();
    const { open, server } = await testMirrors({ clock });
    const repository = await open();
    await Promise.all(Array.from({ length: 20 }, () => repository.refs(0, never)));
    expect(server.count('refs')).toBe(1);
    await clock.advance(9_999);
    await repository.refs(10_000, never);
    expect(server.count('refs')).toBe(1);
    await clock.advance(1);
    await repository.refs(10_000, never);
    expect(server.count('refs')).toBe(2);
  });

  it('are asked for after a push, also when a question was under way', async () => {
    const { open, server, repo, mirrors, url } = await testMirrors();
    const repository = await open();
    const early = repository.refs(60_000, never);
    expect(mirrors.expire(url.replace(/\.git$/, '/'))).toBe(true);
    await repo.add({ files: { b: '1' }, tags: ['v1.2.0'] });
    await Promise.all([early, repository.refs(60_000, never)]);
    const names = (await repository.refs(60_000, never)).map(({ name }) => name);
    expect(names).toContain('refs/tags/v1.2.0');
    expect(server.count('refs')).toBe(2);
    expect(mirrors.expire('https://git.example/other')).toBe(false);
  });

  it('are not passed off as new when the server cannot be reached', async () => {
    const { open, server } = await testMirrors();
    const repository = await open();
    await repository.refs(0, never);
    await server.close();
    expect((await repository.refs(60_000, never)).length).toBe(4);
    expect((await failureOf(repository.refs(0, never))).code).toBe('connect');
  });

  it('of a repository without commits are none', async () => {
    const { open } = await testMirrors({ commits: [] });
    const repository = await open();
    expect(await repository.refs(0, never)).toEqual([]);
    expect(await repository.resolveHash('a'.repeat(40), never)).toBeUndefined();
  });

  it('tells of tags that moved, over a restart as well', async () => {
    const onTagMoved = vi.fn();
    const { open, again, repo, url } = await testMirrors({ mirrors: { onTagMoved } });
    await (await open()).refs(0, never);
    await repo.setRef('refs/tags/v1.0.0', repo.commits[1] ?? '');
    const [first, second] = repo.commits;
    const repository = await open(again());
    await repository.refs(0, never);
    expect(onTagMoved.mock.calls).toEqual([[{ url, tag: 'v1.0.0', from: first, to: second }]]);
    expect(await repository.tagsBefore(first ?? '', never)).toEqual([]);
  });

  it('of ten thousand tags cost one ls-remote, one fetch, and one process for what came before a commit', async () => {
    const tags = Array.from({ length: 10_000 }, (_, index) => `v1.${index}.0`);
    const { open, repo, server, again, mirrorsDir } = await testMirrors({
      commits: [{ files: { a: '1' }, tags }, { files: { a: '2' } }],
    });
    const repository = await open();
    expect(await repository.refs(0, never)).toHaveLength(10_002);
    expect(await repository.tagsBefore(repo.commits[1] ?? '', never)).toHaveLength(10_000);
    expect(server.requests.map(({ kind }) => kind).filter((kind) => kind === 'fetch')).toHaveLength(1);
    const [gitDir = ''] = (await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'));
    expect(await readdir(join(mirrorsDir, gitDir, 'refs/tags'))).toEqual([]);
    // A later process takes what is there.
    server.requests.length = 0;
    expect(await (await open(again())).refs(0, never)).toHaveLength(10_002);
    expect(server.count('fetch')).toBe(0);
  }, 120_000);
});

describe('commits of a mirror', () => {
  it('are fetched once for many, with all their history, and only again when there is something new', async () => {
    const { open, repo, server } = await testMirrors();
    const repository = await open();
    const [first = '', second = ''] = repo.commits;
    await Promise.all([first, second, first].map((hash) => repository.commit(hash, never)));
    expect(await repository.commit(first, never)).toEqual({ hash: first, committedAtS: 1_700_000_000 });
    expect(await repository.tagsBefore(second, never)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(await repository.tagsBefore(first, never)).toEqual(['v1.0.0']);
    expect(server.count('fetch')).toBe(1);
    await repository.refs(0, never);
    await repository.tagsBefore(second, never);
    expect(server.count('fetch')).toBe(1);
    const [third = ''] = await repo.add({ files: { b: '1' } });
    await repository.refs(0, never);
    expect((await repository.commit(third, never)).hash).toBe(third);
    expect(server.count('fetch')).toBe(2);
  });

  it('are found by their first digits; what is pushed since is fetched', async () => {
    const { open, repo } = await testMirrors();
    const repository = await open();
    const [first = ''] = repo.commits;
    expect((await repository.resolveHash(first.slice(0, 12), never))?.hash).toBe(first);
    expect((await repository.resolveHash(first, never))?.hash).toBe(first);
    const [third = ''] = await repo.add({ files: { b: '1' } });
    expect((await repository.resolveHash(third.slice(0, 7), never))?.hash).toBe(third);
    for (const none of ['0000000', first.slice(0, 6), 'main', '', `${first}0`, '-'.repeat(12)]) {
      expect(await repository.resolveHash(none, never)).toBeUndefined();
    }
    expect((await failureOf(repository.commit('0'.repeat(40), never))).code).toBe('absent');
    expect((await failureOf(repository.commit('--all', never))).code).toBe('absent');
  });

  it('are not guessed from digits that several have', async () => {
    // Two times of all that make hashes which begin alike.
    const commits = [1_600_008_089, 1_600_013_739].map(
      (timeS, index): FakeCommit => ({ branch: `b${index}`, from: null, message: 'x', timeS }),
    );
    const { open, repo } = await testMirrors({ commits, repo: { head: 'b0' } });
    const [first = '', second = ''] = repo.commits;
    const repository = await open();
    const prefix = first.slice(0, 7);
    expect(second.slice(0, 7)).toBe(prefix);
    const failure = await failureOf(repository.resolveHash(prefix, never));
    expect(failure).toMatchObject({ code: 'absent', message: expect.stringContaining('give more digits') });
    expect((await repository.resolveHash(second.slice(0, 9), never))?.hash).toBe(second);
  });

  it('that no branch and no tag leads to are no versions, as for Go, unless it is allowed', async () => {
    const loose = async (fetchUnlistedCommits: boolean) => {
      const set = await testMirrors({ server: { allowAnyHash: true }, mirrors: { fetchUnlistedCommits } });
      const [fork = ''] = await set.repo.add({ branch: 'fork', files: { evil: '1' } });
      await set.repo.setRef('refs/pull/1/head', fork);
      await set.repo.deleteRef('refs/heads/fork');
      return (await (await set.open()).resolveHash(fork, never))?.hash === fork;
    };
    expect(await loose(false)).toBe(false);
    expect(await loose(true)).toBe(true);
  });

  it('may be those of a HEAD that no branch leads to', async () => {
    const { open, repo } = await testMirrors();
    const [third = ''] = await repo.add({ branch: 'gone', files: { b: '1' } });
    await repo.git(['update-ref', '--no-deref', 'HEAD', third]);
    await repo.deleteRef('refs/heads/gone');
    const repository = await open();
    expect((await repository.refs(0, never)).find(({ name }) => name === 'HEAD')?.commit).toBe(third);
    expect((await repository.commit(third, never)).hash).toBe(third);
  });

  it('follow branches that are deleted, made below their names, and forced', async () => {
    const { open, repo } = await testMirrors();
    const repository = await open();
    const [first = '', second = ''] = repo.commits;
    await repo.setRef('refs/heads/a', first);
    await repository.refs(0, never);
    await repository.tagsBefore(first, never);
    await repo.deleteRef('refs/heads/a');
    await repo.setRef('refs/heads/a/b', second);
    await repo.add({ branch: 'main', from: null, files: { new: '1' } });
    await repository.refs(0, never);
    const third = repo.commits[2] ?? '';
    expect(await repository.tagsBefore(third, never)).toEqual([]);
  });

  it('have SHA-256 hashes where the repository has them', async () => {
    const { open, repo } = await testMirrors({ repo: { objectFormat: 'sha256' } });
    const [first = ''] = repo.commits;
    expect(first).toHaveLength(64);
    const repository = await open();
    expect((await repository.resolveHash(first.slice(0, 12), never))?.hash).toBe(first);
    expect((await repository.readFile(first, 'go.mod', 1000, never))?.toString()).toContain('module');
  });

  it('survive a restart without the server', async () => {
    const { open, repo, again, server } = await testMirrors();
    const [first = ''] = repo.commits;
    await (await open()).readFile(first, 'go.mod', 1000, never);
    await server.close();
    const repository = await open(again());
    expect((await repository.commit(first, never)).hash).toBe(first);
    expect((await repository.readFile(first, 'go.mod', 1000, never))?.toString()).toContain('module');
    // What was not fetched before is a failure, no absence.
    expect((await failureOf(repository.readFile(first, 'sub/a.go', 1000, never))).code).toBe('connect');
    expect((await failureOf(repository.resolveHash('0'.repeat(40), never))).code).toBe('connect');
  });
});

describe('a mirror of a folder', () => {
  it('is made where a rule allows that', async () => {
    const { open, repo, server } = await testMirrors({ git: { transport: { protocols: ['file'] } } });
    const repository = await open(undefined, `file://${repo.dir}`);
    const [first = ''] = repo.commits;
    expect((await repository.readFile(first, 'go.mod', 1000, never))?.toString()).toContain('module');
    expect((await failureOf(open(undefined, `${server.url}/team/lib.git`))).code).toBe('refused');
  });
});

describe('a damaged mirror', () => {
  it('is made anew, once for all who find it so', async () => {
    const { open, repo, server, again, mirrorsDir } = await testMirrors();
    const [first = '', second = ''] = repo.commits;
    await (await open()).commit(first, never);
    const [gitDir = ''] = (await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'));
    const packs = join(mirrorsDir, gitDir, 'objects/pack');
    for (const name of await readdir(packs)) {
      if (!name.endsWith('.pack')) continue;
      const bytes = await readFile(join(packs, name));
      await chmod(join(packs, name), 0o600);
      await writeFile(join(packs, name), bytes.fill(0xff, 12, bytes.length - 20));
    }
    server.requests.length = 0;
    const repository = await open(again());
    const found = await Promise.all([first, second].map((hash) => repository.commit(hash, never)));
    expect(found.map(({ hash }) => hash)).toEqual([first, second]);
    expect((await repository.readFile(first, 'go.mod', 1000, never))?.toString()).toContain('module');
    // The history once more, and the blob.
    expect(server.count('fetch')).toBe(2);
  });

  it('without its packs or its folder is made anew', async () => {
    const { open, repo, again, mirrorsDir } = await testMirrors();
    const [first = ''] = repo.commits;
    await (await open()).commit(first, never);
    const [gitDir = ''] = (await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'));
    await rm(join(mirrorsDir, gitDir, 'objects/pack'), { recursive: true });
    expect((await (await open(again())).commit(first, never)).hash).toBe(first);
    await rm(join(mirrorsDir, gitDir), { recursive: true });
    expect((await (await open(again())).commit(first, never)).hash).toBe(first);
    await writeFile(join(mirrorsDir, gitDir, 'HEAD'), 'nonsense');
    expect((await (await open(again())).commit(first, never)).hash).toBe(first);
  });
});
