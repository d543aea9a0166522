/** What becomes of a mirror when git dies, its files are in the way, or several processes want it at once. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { gate } from '../../../test/kit/faults.ts';
import { plainGitEnv } from '../../../test/kit/git-repo.ts';
import { failureOf, never, testMirrors, twoCommits } from './test-mirrors.ts';

const run = promisify(execFile);

/** Process ids of the gits that work in this folder. */
async function gitsIn(folder: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const env = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (env.includes(`GIT_DIR=${folder}`)) found.push(Number(pid));
  }
  return found;
}

async function gitDirIn(mirrorsDir: string): Promise<string> {
  const [name = ''] = (await readdir(mirrorsDir)).filter((each) => each.endsWith('.git'));
  return join(mirrorsDir, name);
}

const big = [{ message: randomBytes(300_000).toString('hex'), files: { a: '1' } }, ...twoCommits];

describe('a mirror whose git dies in the middle of a fetch', () => {
  it.each(['first', 'later'])('works at the next one (%s fetch)', async (when) => {
    const { open, repo, server, mirrorsDir } = await testMirrors({
      commits: when === 'first' ? big : twoCommits,
    });
    const repository = await open();
    if (when === 'later') {
      await repository.commit(repo.commits[0] ?? '', never);
      await repo.add(...big.slice(0, 1));
      await repository.refs(0, never);
    }
    const wanted = repo.commits.at(-1) ?? '';
    const stalled = gate();
    server.fault = { kind: 'stall', when: 'fetch', afterBytes: 150_000, gate: stalled };
    const failure = failureOf(repository.commit(wanted, never));
    await stalled.reached;
    const gitDir = await gitDirIn(mirrorsDir);
    const pids = await gitsIn(mirrorsDir);
    expect(pids.length).toBeGreaterThan(1);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    expect(['failed', 'connect']).toContain((await failure).code);
    expect(await gitsIn(mirrorsDir)).toEqual([]);
    expect(await readdir(join(gitDir, 'objects/pack'))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^tmp_/)]),
    );
    server.fault = undefined;
    if (when === 'later')
      expect((await repository.commit(repo.commits[0] ?? '', never)).hash).toBe(repo.commits[0]);
    expect((await repository.commit(wanted, never)).hash).toBe(wanted);
    stalled.open();
  });

  it('is not stopped by the lock files of the dead', async () => {
    const { open, repo, mirrorsDir } = await testMirrors();
    const repository = await open();
    await repository.commit(repo.commits[0] ?? '', never);
    const gitDir = await gitDirIn(mirrorsDir);
    for (const name of ['packed-refs.lock', 'refs/heads/main.lock']) await writeFile(join(gitDir, name), '');
    const [third = ''] = await repo.add({ files: { b: '1' }, tags: ['v1.2.0'] });
    await repository.refs(0, never);
    expect((await repository.commit(third, never)).hash).toBe(third);
    expect(await repository.tagsBefore(third, never)).toContain('v1.2.0');
  });
});

describe('a fetch', () => {
  it('is one for several processes', async () => {
    const { open, again, repo, server } = await testMirrors();
    const repositories = await Promise.all([open(), open(again()), open(again())]);
    const [first = ''] = repo.commits;
    const found = await Promise.all(repositories.map((repository) => repository.commit(first, never)));
    expect(found.map(({ hash }) => hash)).toEqual([first, first, first]);
    expect(server.count('fetch')).toBe(1);
  });

  it('goes on when its asker leaves, for the next one', async () => {
    const { open, repo, server } = await testMirrors({ commits: big });
    const repository = await open();
    const [first = ''] = repo.commits;
    await repository.refs(0, never);
    const asker = new AbortController();
    server.fault = { kind: 'drip', when: 'fetch', bytes: 100_000, pauseMs: 20 };
    const left = failureOf(repository.commit(first, asker.signal));
    await expect.poll(() => server.count('fetch'), { timeout: 10_000 }).toBe(1);
    asker.abort(new Error('left'));
    expect((await left).message).toBe('left');
    expect((await repository.commit(first, never)).hash).toBe(first);
    expect(server.count('fetch')).toBe(1);
  });

  it('ends when modferry stops, and leaves no process', async () => {
    const { open, mirrors, repo, server, mirrorsDir } = await testMirrors();
    const repository = await open();
    const stalled = gate();
    server.fault = { kind: 'stall', when: 'fetch', afterBytes: 0, gate: stalled };
    const failure = failureOf(repository.commit(repo.commits[0] ?? '', never));
    await stalled.reached;
    expect(await gitsIn(mirrorsDir)).not.toEqual([]);
    await mirrors.close();
    expect(await failure).toMatchObject({ code: 'aborted' });
    expect(await gitsIn(mirrorsDir)).toEqual([]);
    expect(await failureOf(open())).toMatchObject({ code: 'aborted' });
  });

  it('falls back to everything where the server breaks off at a filter', async () => {
    const { open, repo, server } = await testMirrors();
    const repository = await open();
    const original = server.fault;
    expect(original).toBeUndefined();
    Object.defineProperty(server, 'fault', {
      // Whatever is asked for with a filter is an error of the server.
      get: () =>
        server.requests.at(-1)?.body.includes('filter blob:none') === true
          ? { kind: 'status', status: 500 }
          : undefined,
    });
    const [first = ''] = repo.commits;
    expect((await repository.readFile(first, 'go.mod', 100, never))?.toString()).toContain('module');
    expect(server.count('fetch')).toBe(2);
  });
});

describe('mirrors', () => {
  it('with many packs are packed anew, and keep everything', async () => {
    const { open, repo, mirrorsDir } = await testMirrors();
    const repository = await open();
    const [first = ''] = repo.commits;
    await repository.readFile(first, 'go.mod', 100, never);
    const gitDir = await gitDirIn(mirrorsDir);
    const blobs: string[] = [];
    const git = async (line: string): Promise<string> =>
      (await run('sh', ['-c', line], { env: { ...plainGitEnv(), GIT_DIR: gitDir } })).stdout.trim();
    const script =
      'for i in $(seq 70); do h=$(echo $i | git hash-object -w --stdin); echo $h; echo $h | git pack-objects -q objects/pack/pack >/dev/null; done; git prune-packed';
    blobs.push(...(await git(`cd ${gitDir}; ${script}`)).split('\n'));
    const packs = async (): Promise<number> =>
      (await readdir(join(gitDir, 'objects/pack'))).filter((name) => name.endsWith('.pack')).length;
    expect(await packs()).toBeGreaterThan(70);
    const [third = ''] = await repo.add({ files: { b: '1' } });
    await repository.refs(0, never);
    await repository.commit(third, never);
    await expect.poll(packs, { timeout: 15_000 }).toBeLessThan(10);
    expect(await git(`git cat-file blob ${blobs[0]}`)).toBe('1');
    expect((await repository.readFile(first, 'go.mod', 100, never))?.toString()).toContain('module');
  });

  it('that are open are bounded; one that was forgotten is taken from the disk', async () => {
    const { open, again, repo, server, url } = await testMirrors({ mirrors: { maxOpen: 2 } });
    const mirrors = again();
    const [first = ''] = repo.commits;
    const one = await open(mirrors);
    await one.commit(first, never);
    const others = ['a', 'b', 'c'].map((name) => `${server.url}/team/${name}.git`);
    for (const other of others) await open(mirrors, other);
    const later = await open(mirrors, url);
    expect(later).not.toBe(one);
    server.requests.length = 0;
    expect((await later.commit(first, never)).hash).toBe(first);
    expect(server.requests).toEqual([]);
    expect(await open(mirrors, url)).toBe(later);
  });
});
