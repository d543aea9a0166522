import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeTestFolder, mount } from '../store/fs/test-folder.ts';
import { type Clock, systemClock } from './clock.ts';
import { errnoOf } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { LockFile } from './lock-file.ts';
import { lockerScript } from './test-locker.ts';

function lockIn(clock: Clock = systemClock): { file: string; lock: LockFile; folder: string } {
  const { path: folder } = makeTestFolder();
  const file = join(folder, 'lock');
  return { file, lock: new LockFile(file, clock), folder };
}

interface Locker {
  readonly child: ChildProcess;
  /** Resolves when it has told this. */
  readonly told: (word: string) => Promise<void>;
}

function locker(file: string, ...args: string[]): Locker {
  const child = spawn(process.execPath, [lockerScript, file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  let waiting: (() => void) | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.trim().split('\n'));
    waiting?.();
  });
  return {
    child,
    async told(word) {
      while (!lines.includes(word)) {
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
    },
  };
}

/** Moves the clock on until the work is done, no faster than the disk answers. */
async function driven<Result>(clock: FakeClock, work: Promise<Result>): Promise<Result> {
  let isDone = false;
  const over = (): void => {
    isDone = true;
  };
  work.then(over, over);
  while (!isDone) {
    await clock.advance(50);
    await fs.promises.stat('.');
  }
  return await work;
}

describe('a lock file', () => {
  it('lets one in at a time, of those in one process', async () => {
    const { file, folder } = lockIn();
    let inside = 0;
    let most = 0;
    const turns = Array.from({ length: 20 }, () =>
      new LockFile(file, systemClock).run(async (held) => {
        inside += 1;
        most = Math.max(most, inside);
        await held.check();
        inside -= 1;
      }),
    );
    await Promise.all(turns);
    expect(most).toBe(1);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('lets one in at a time, of two processes', async () => {
    const { file, folder } = lockIn();
    const counter = join(folder, 'counter');
    fs.writeFileSync(counter, '0');
    const two = [locker(file, 'count', counter), locker(file, 'count', counter)];
    await Promise.all(two.map((each) => each.told('done')));
    expect(fs.readFileSync(counter, 'utf8')).toBe('100');
    expect(fs.readdirSync(folder)).toEqual(['counter']);
  });

  it('is given back when the work fails', async () => {
    const { lock, folder } = lockIn();
    await expect(lock.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(fs.readdirSync(folder)).toEqual([]);
    expect(await lock.run(() => Promise.resolve('again'))).toBe('again');
  });

  it('of a process that was killed is taken over after five seconds without a change', async () => {
    const { file, folder } = lockIn();
    const { child, told } = locker(file, 'hold');
    await told('held');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(fs.readdirSync(folder)).toEqual(['lock']);

    const clock = new FakeClock();
    const taken = new LockFile(file, clock).run(() => Promise.resolve(clock.monotonic()));

    const atMs = await driven(clock, taken);
    expect(atMs).toBeGreaterThanOrEqual(5_000);
    expect(atMs).toBeLessThan(10_000);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('of a dead process is taken over by exactly one of many at a time', async () => {
    const { file, folder } = lockIn();
    fs.writeFileSync(file, '');
    const clock = new FakeClock();
    let inside = 0;
    let most = 0;
    const turns = Array.from({ length: 6 }, () =>
      new LockFile(file, clock, { patienceMs: 600_000 }).run(async (held) => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        await held.check();
        inside -= 1;
      }),
    );
    await driven(clock, Promise.all(turns));
    expect(most).toBe(1);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('that a slow process has lost is left to who took it', async () => {
    const { file, folder } = lockIn();
    const slow = locker(file, 'hold');
    await slow.told('held');
    const clock = new FakeClock();
    const [taken, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const taking = new LockFile(file, clock).run(async (held) => {
      taken.resolve();
      await finish.promise;
      await held.check();
    });
    await driven(clock, taken.promise);

    slow.child.stdin?.end();
    await slow.told('lock_lost');

    finish.resolve();
    await taking;
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('that was lost is neither touched nor taken back', async () => {
    const { file, lock } = lockIn();
    const lost = lock.run(async (held) => {
      fs.renameSync(file, `${file}.aside`);
      fs.writeFileSync(file, 'another 0');
      await held.touch();
    });
    await expect(lost).rejects.toMatchObject({ code: 'lock_lost' });
    expect(fs.readFileSync(file, 'utf8')).toBe('another 0');
  });

  it('of a process that shows life is waited for, and an end is put to waiting', async () => {
    const clock = new FakeClock();
    const { file } = lockIn();
    const waiting = new LockFile(file, systemClock).run(async (held) => {
      let outcome: string | undefined;
      new LockFile(file, clock, { patienceMs: 30_000 })
        .run(() => Promise.resolve())
        .then(
          () => (outcome = 'in'),
          (error: unknown) => (outcome = errnoOf(error)),
        );
      while (outcome === undefined) {
        await clock.advance(50);
        await held.touch();
      }
      return outcome;
    });
    expect(await waiting).toBe('locked');
    expect(clock.monotonic()).toBeGreaterThanOrEqual(30_000);
  });

  it('is passed by where nobody waits, until its dead holder is found out', async () => {
    const clock = new FakeClock();
    const { file, lock, folder } = lockIn(clock);
    fs.writeFileSync(file, 'dead 0');
    let runs = 0;
    const tryIt = (): Promise<boolean> =>
      lock.runIfFree(async () => {
        runs += 1;
        await Promise.resolve();
      });
    expect(await tryIt()).toBe(false);
    await clock.advance(4_999);
    expect(await tryIt()).toBe(false);
    // Another one's by now: its time begins anew.
    fs.writeFileSync(file, 'dead 1');
    await clock.advance(1);
    expect(await tryIt()).toBe(false);
    expect(runs).toBe(0);
    await clock.advance(5_000);
    expect(await driven(clock, tryIt())).toBe(true);
    expect(await tryIt()).toBe(true);
    expect(runs).toBe(2);
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});

describe.runIf(process.getuid?.() === 0)('a lock file on a file system of its own', () => {
  it('is refused at once where the folder is read-only', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=1m' }).path;
    mount(['-o', 'remount,ro', folder]);
    let runs = 0;
    const work = (): Promise<void> => Promise.resolve(void (runs += 1));
    const lock = new LockFile(join(folder, 'lock'), new FakeClock());
    await expect(lock.run(work)).rejects.toMatchObject({ code: 'EROFS' });
    await expect(lock.runIfFree(work)).rejects.toMatchObject({ code: 'EROFS' });
    expect(runs).toBe(0);
  });

  it('is not left behind half made by a full disk', async () => {
    const folder = makeTestFolder({ tmpfs: 'size=64k' }).path;
    expect(() => fs.writeFileSync(join(folder, 'filler'), Buffer.alloc(128 * 1024))).toThrow('ENOSPC');
    const lock = new LockFile(join(folder, 'lock'), new FakeClock());
    await expect(lock.run(() => Promise.resolve())).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(fs.readdirSync(folder)).toEqual(['filler']);
  });
});
