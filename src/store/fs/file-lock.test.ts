import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { FileLock } from './file-lock.ts';
import { makeTestFolder } from './test-folder.ts';

function makeLocks(count: number, clock = systemClock): { locks: FileLock[]; path: string; folder: string } {
  const folder = makeTestFolder().path;
  const staging = join(folder, 'staging');
  fs.mkdirSync(staging);
  const locks = Array.from({ length: count }, () => new FileLock({ clock, staging }));
  return { locks, path: join(folder, 'below/lock'), folder };
}

function age(path: string, seconds: number): void {
  const then = Date.now() / 1_000 - seconds;
  fs.utimesSync(path, then, then);
}

describe('a lock file', () => {
  it('lets one in at a time, of all who share it', async () => {
    const { locks, path, folder } = makeLocks(4);
    let inside = 0;
    let most = 0;
    const turns = Array.from({ length: 10 }, () =>
      locks.map((lock) =>
        lock.run(path, async (isHeld) => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise(setImmediate);
          inside -= 1;
          return await isHeld();
        }),
      ),
    ).flat();
    expect(new Set(await Promise.all(turns))).toEqual(new Set([true]));
    expect(most).toBe(1);
    expect(fs.readdirSync(join(folder, 'below'))).toEqual([]);
    expect(fs.readdirSync(join(folder, 'staging'))).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    const { locks, path } = makeLocks(2);
    await expect(locks[0]?.run(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await locks[0]?.run(path, async () => 'again')).toBe('again');
    expect(await locks[1]?.run(path, async () => 'and again')).toBe('and again');
  });

  it('of a dead process is taken over by exactly one at a time', async () => {
    const { locks, path } = makeLocks(6);
    fs.mkdirSync(join(path, '..'));
    for (const left of [path, `${path}.breaking`]) {
      fs.writeFileSync(left, '');
      age(left, 6);
    }
    let inside = 0;
    const results = await Promise.all(
      locks.map((lock) =>
        lock.run(path, async (isHeld) => {
          inside += 1;
          await new Promise(setImmediate);
          const alone = inside === 1 && (await isHeld());
          inside -= 1;
          return alone;
        }),
      ),
    );
    expect(results).toEqual(Array.from({ length: 6 }, () => true));
  });

  it('of a process that works is waited for, and an end is put to waiting', async () => {
    const clock = new FakeClock();
    const { locks, path } = makeLocks(1, clock);
    fs.mkdirSync(join(path, '..'));
    fs.writeFileSync(path, '');
    let outcome = '';
    const waiting = locks[0]
      ?.run(path, async () => 'in')
      .then(
        () => {
          outcome = 'in';
        },
        (error: { code?: string }) => {
          outcome = error.code ?? '';
        },
      );
    while (outcome === '') {
      // Held by somebody alive: its file is young by the file system's clock, whatever ours says.
      fs.utimesSync(path, new Date(), new Date());
      await clock.advance(50);
    }
    await waiting;
    expect(outcome).toBe('io');
    expect(clock.monotonic()).toBeGreaterThan(15_000);
    expect(fs.existsSync(path)).toBe(true);
  });

  it('says when it was taken away, and leaves the new holder its own', async () => {
    const { locks, path } = makeLocks(2);
    const taken = await locks[0]?.run(path, async (isHeld) => {
      age(path, 6);
      return await locks[1]?.run(path, async (isTheirs) => [await isHeld(), await isTheirs()]);
    });
    expect(taken).toEqual([false, true]);
  });
});
