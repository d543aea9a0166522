/** What is fetched of a large repository, and what becomes of the mirror when that is too much. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

const run = promisify(execFile);

const files = {
  'go.mod': 'module example.com/lib\n',
  '.gitattributes': '*.win text eol=crlf\nassets/* -text\n',
  'assets/big': randomBytes(400_000),
  'a/.gitattributes': '*.dos text eol=crlf\n',
  'a/b/.gitattributes': 'plain.win -text\n',
  'a/b/go.mod': 'module example.com/lib/a/b\n',
  'a/b/x.win': '1\n2\n',
  'a/b/x.dos': '1\n2\n',
  'a/b/plain.win': '1\n2\n',
  'other/go.mod': 'module example.com/lib/other\n',
};

async function started() {
  const clock = new FakeClock();
  const set = await testMirrors({
    commits: [{ files, tags: ['v1.0.0'] }],
    mirrors: { maxRepositoryBytes: 300_000 },
    clock,
  });
  const repository = await set.open();
  const [commit = ''] = set.repo.commits;
  const archive = (directory: string, of = commit) =>
    repository.archive(of, directory, join(set.dir, `${directory.replaceAll('/', '-')}.zip`), {
      maxBytes: 1e7,
      signal: never,
    });
  return { ...set, clock, repository, archive };
}

describe('a small module in a large repository', () => {
  it('costs its own files alone, under the attributes of the directories above it', async () => {
    const { archive, dir } = await started();
    await archive('a/b');
    const text = async (name: string): Promise<string> =>
      (await run('unzip', ['-p', join(dir, 'a-b.zip'), `a/b/${name}`])).stdout;
    expect(await text('x.win')).toBe('1\r\n2\r\n');
    expect(await text('x.dos')).toBe('1\r\n2\r\n');
    expect(await text('plain.win')).toBe('1\n2\n');
  });

  it('goes on beside one that is too large, which is refused for a while without being asked for', async () => {
    const { archive, server, clock, mirrorsDir } = await started();
    await archive('a/b');
    server.requests.length = 0;
    expect(await failureOf(archive(''))).toMatchObject({ code: 'refused' });
    expect(server.count('fetch')).toBe(1);
    expect(await failureOf(archive(''))).toMatchObject({ code: 'refused' });
    await archive('a/b');
    expect(server.count('fetch')).toBe(1);
    await archive('other');
    expect(server.count('fetch')).toBe(2);
    await clock.advance(10 * 60_000);
    expect(await failureOf(archive(''))).toMatchObject({ code: 'refused' });
    expect(server.count('fetch')).toBe(3);
    const [gitDir = ''] = (await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'));
    expect((await readdir(join(mirrorsDir, gitDir))).filter((name) => name.startsWith('incoming'))).toEqual(
      [],
    );
  });
});

describe('a mirror that grew by the files of old versions', () => {
  it('is made anew for one that has room beside the history, and for no other', async () => {
    const { repo, repository, archive, server } = await started();
    const [second = '', third = ''] = await repo.add(
      { files: { assets: null, 'c/d': randomBytes(200_000) } },
      { files: { 'c/d': randomBytes(120_000) } },
    );
    await repository.refs(0, never);
    await archive('c', second);
    server.requests.length = 0;
    await archive('c', third);
    // Too much beside the other, the history, and it alone.
    expect(server.count('fetch')).toBe(3);
    expect(await failureOf(archive('c', second))).toMatchObject({ code: 'refused' });
    await archive('c', third);
    expect(server.count('fetch')).toBe(4);
  });

  it('is made anew without them rather than refused', async () => {
    const { repo, repository, archive, server } = await started();
    const message = (): string => randomBytes(30_000).toString('base64');
    const [second = ''] = await repo.add({ files: { assets: null, 'c/d': randomBytes(230_000) } });
    await repository.refs(0, never);
    await archive('c', second);
    const [third = ''] = await repo.add({ files: { e: '1' }, message: message() + message() + message() });
    await repository.refs(0, never);
    server.requests.length = 0;
    expect((await repository.commit(third, never)).hash).toBe(third);
    // Too much, then from the beginning.
    expect(server.count('fetch')).toBe(2);
    await archive('c', second).catch(() => {});
    expect((await repository.commit(third, never)).hash).toBe(third);
  });
});
