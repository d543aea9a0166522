import { existsSync } from 'node:fs';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../../test/kit/temp.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { LockFile } from '../../lib/lock-file.ts';
import { MirrorSpace, type MirrorSpaceOptions } from './mirror-space.ts';
import { failureOf, never, testMirrors } from './test-mirrors.ts';

const hourMs = 3_600_000;

/** Mirrors of 1,000 bytes each, by the hours since they were asked for last. */
async function world(hoursAgo: readonly number[], more: Partial<MirrorSpaceOptions> = {}) {
  const dir = await tempDir('mirror-space');
  onTestFinished(dir.remove);
  const clock = new FakeClock(Date.now());
  const mirrors: string[] = [];
  for (const [at, hours] of hoursAgo.entries()) {
    const folder = join(dir.path, at % 2 === 0 ? 'git' : 'git-anonymous', `${String(at).repeat(32)}.git`);
    await mkdir(join(folder, 'objects/pack'), { recursive: true });
    await writeFile(join(folder, 'objects/pack/pack-1.pack'), Buffer.alloc(1000));
    await writeFile(join(folder, 'modferry-used'), '');
    const used = new Date(clock.now() - hours * hourMs);
    await utimes(join(folder, 'modferry-used'), used, used);
    mirrors.push(folder);
  }
  const dirs = [join(dir.path, 'git'), join(dir.path, 'git-anonymous')];
  const space = new MirrorSpace({ dirs, maxBytes: 2_000, stopAtRatio: 0.95, clock, ...more });
  onTestFinished(() => space.close());
  return {
    space,
    clock,
    mirrors,
    left: () => mirrors.flatMap((one, at) => (existsSync(one) ? [at] : [])),
    dirs,
  };
}

describe('MirrorSpace', () => {
  it('removes those not asked for the longest, of all folders, until the rest is within bounds', async () => {
    const { space, left, dirs } = await world([5, 1, 9, 3]);
    await space.makeRoom();
    expect(left()).toEqual([1, 3]);
    expect(await readdir(dirs[0] ?? '')).toEqual([]);
  });

  it('leaves alone what fits, what was used lately, and what another process is at', async () => {
    const fitting = await world([5, 6]);
    await fitting.space.makeRoom();
    expect(fitting.left()).toEqual([0, 1]);
    const used = await world([0.1, 0.2, 0.3, 0.1]);
    await used.space.makeRoom();
    expect(used.left()).toEqual([0, 1, 2, 3]);
    const locked = await world([5, 4, 3, 2]);
    await new LockFile(`${locked.mirrors[0]}.lock`, locked.clock).run(() => locked.space.makeRoom());
    expect(locked.left()).toEqual([0, 3]);
  });

  it('looks by itself when mirrors are opened, and keeps the one that is', async () => {
    const { space, clock, mirrors, left } = await world([9, 5, 4]);
    await space.opened(mirrors[0] ?? '');
    await expect.poll(left).toEqual([0, 2]);
    await mkdir(join(mirrors[1] ?? '', 'objects/pack'), { recursive: true });
    await space.opened(mirrors[0] ?? '');
    await space.close();
    expect(left()).toEqual([0, 1, 2]);
    expect(clock.now()).toBeGreaterThan(0);
  });

  it('fetches nothing onto a full disk, and says which', async () => {
    let bavail = 51;
    const statfs = async () => ({ bavail, blocks: 1_000 });
    const { space, dirs } = await world([], { statfs });
    await space.requireDisk();
    bavail = 49;
    const refused = await failureOf(space.requireDisk());
    expect(refused).toMatchObject({ code: 'failed' });
    expect(refused.message).toContain(dirs[0]);

    const { open, server, mirrors } = await testMirrors({ mirrors: { space } });
    const repository = await open(mirrors);
    const refs = await repository.refs(0, never);
    const commit = refs.find(({ name }) => name === 'refs/tags/v1.0.0')?.commit ?? '';
    expect(await failureOf(repository.readFile(commit, 'go.mod', 1000, never))).toMatchObject({
      code: 'failed',
      message: refused.message,
    });
    bavail = 51;
    expect(String(await repository.readFile(commit, 'go.mod', 1000, never))).toContain('module');
    // What is here is read whatever the disk is like.
    bavail = 0;
    expect(String(await repository.readFile(commit, 'go.mod', 1000, never))).toContain('module');
    expect(server.requests.length).toBeGreaterThan(0);
  });

  it('is asked by the mirrors, which come back by a fetch', async () => {
    const clock = new FakeClock(Date.now());
    const { open, mirrorsDir } = await testMirrors({ clock });
    const repository = await open();
    const refs = await repository.refs(0, never);
    const commit = refs.find(({ name }) => name === 'refs/tags/v1.0.0')?.commit ?? '';
    const read = async () => String(await repository.readFile(commit, 'go.mod', 1000, never));
    expect(await read()).toContain('module');
    const space = new MirrorSpace({ dirs: [mirrorsDir], maxBytes: 1, stopAtRatio: 1, clock });
    await clock.advance(hourMs);
    await space.makeRoom();
    expect((await readdir(mirrorsDir)).filter((name) => name.endsWith('.git'))).toEqual([]);
    expect(await read()).toContain('module');
  });
});
