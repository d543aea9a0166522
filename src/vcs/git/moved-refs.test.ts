/** Refs that move, go or change their kind of hash between the moment they are listed and the one they are fetched. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { failureOf, never, testMirrors, twoCommits } from './test-mirrors.ts';

describe('a tag that was listed', () => {
  const withLooseTag = [
    ...twoCommits,
    { branch: 'gone', from: 'main', files: { c: '1' }, tags: ['v1.2.0'] },
  ] as const;

  it.each(['moves', 'is deleted'])('and %s before it is fetched is no damage of the mirror', async (what) => {
    const { open, repo, server } = await testMirrors({ commits: withLooseTag });
    const old = repo.commits[2] ?? '';
    await repo.deleteRef('refs/heads/gone');
    const repository = await open();
    await repository.refs(0, never);
    if (what === 'moves') await repo.add({ files: { c: '2' }, tags: ['v1.2.0'] });
    else await repo.deleteRef('refs/tags/v1.2.0');
    expect(await failureOf(repository.commit(old, never))).toMatchObject({ code: 'absent' });
    expect(await repository.resolveHash(old, never)).toBeUndefined();
    const now = (await repository.refs(60_000, never)).find(({ name }) => name === 'refs/tags/v1.2.0');
    expect(now?.commit).toBe(what === 'moves' ? repo.commits[3] : undefined);
    if (now !== undefined) expect((await repository.commit(now.commit, never)).hash).toBe(now.commit);
    // What the first listing led to, and what the second did; the mirror was never made anew.
    expect(server.count('fetch')).toBeLessThanOrEqual(2);
  });
});

describe('a mirror of an empty repository', () => {
  it.each(['sha1', 'sha256'] as const)('takes a first push with hashes of %s', async (objectFormat) => {
    const { open, repo } = await testMirrors({ commits: [], repo: { objectFormat } });
    const repository = await open();
    expect(await repository.resolveHash('abcdef1', never)).toBeUndefined();
    const [first = ''] = await repo.add(...twoCommits);
    await repository.refs(0, never);
    expect((await repository.commit(first, never)).hash).toHaveLength(objectFormat === 'sha1' ? 40 : 64);
    expect((await repository.readFile(first, 'go.mod', 1_000, never))?.toString()).toContain('module');
  });
});

describe('versions that differ in one file', () => {
  it('are fetched apart when they are asked for at once', async () => {
    const shared = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`f${index}`, `${index}\n`]));
    /** One whose blob is neither the first nor the last of all, in whatever order by hash. */
    const middle = Array.from({ length: 100 }, (_, index) => `v${index}\n`)
      .filter((text) => /^[4-b]/.test(blobHash(text)))
      .slice(0, 6);
    const { open, repo, dir } = await testMirrors({
      commits: middle.map((text) => ({ files: { ...shared, own: text } })),
    });
    const repository = await open();
    await repository.commit(repo.commits[0] ?? '', never);
    const archived = repo.commits.map((commit, index) =>
      repository.archive(commit, '', `${dir}/${index}.zip`, { maxBytes: 1e6, signal: never }),
    );
    expect((await Promise.allSettled(archived)).filter(({ status }) => status === 'rejected')).toEqual([]);
  });
});

function blobHash(text: string): string {
  return createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex');
}
