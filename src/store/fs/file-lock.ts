/**
 * A step that only one at a time may do among all processes on the folder, by a lock file made exclusively. Whoever
 * died with it is found by the file's age, measured by the file system's own clock. The holder keeps the file open,
 * so that its inode is nobody else's while it looks whether the lock is still its own.
 *
 * Not `lib/lock-file.ts`: that one writes its holder's name, which a full disk refuses, and a suspect must be dropped
 * on just such a disk. What is done here takes milliseconds, so that a file's age is enough to find a dead holder, and
 * nobody waits five seconds for the lock of a process that died long ago.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/sleep.ts';
import { storeError } from '../store-error.ts';
import { createFile, isErrno, makeFolders, OpenFile, statIfAny, unlinkIfAny } from './files.ts';

/** What is done under a lock takes milliseconds: whoever holds it longer has died with it. */
const staleMs = 5_000;
const waitAtMostMs = 15_000;
const firstPauseMs = 5;
const lastPauseMs = 50;

export interface FileLockOptions {
  readonly clock: Clock;
  /** A folder on the same file system. */
  readonly staging: string;
}

/** Looks whether the lock was taken from us: false when we were so slow that others count us as dead. */
export type IsHeld = () => Promise<boolean>;

export class FileLock {
  readonly #options: FileLockOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: FileLockOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` while `path` is ours; calls of this object run one after another. Rejects as `work` does, with
   * StoreError `io` when the lock cannot be had, or with the system's error.
   */
  run<Result>(path: string, work: (isHeld: IsHeld) => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => this.#run(path, work));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #run<Result>(path: string, work: (isHeld: IsHeld) => Promise<Result>): Promise<Result> {
    const file = await this.#take(path);
    try {
      const { inode } = await file.stat();
      const isHeld = async () => (await statIfAny(path))?.inode === inode;
      try {
        return await work(isHeld);
      } finally {
        if (await isHeld()) await unlinkIfAny(path);
      }
    } finally {
      await file.close();
    }
  }

  async #take(path: string): Promise<OpenFile> {
    const { clock } = this.#options;
    const startedAtMs = clock.monotonic();
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, lastPauseMs)) {
      try {
        return await OpenFile.open(path, 'wx');
      } catch (error) {
        if (isErrno(error, 'ENOENT')) await makeFolders(dirname(path));
        else if (!isErrno(error, 'EEXIST')) throw error;
      }
      if (await this.#removeIfStale(path)) continue;
      if (clock.monotonic() - startedAtMs > waitAtMostMs) {
        throw storeError('io', `${path} is held by another process`);
      }
      await sleep(clock, pauseMs);
    }
  }

  /**
   * True when it is worth trying again at once. Stale locks are removed by one at a time, who looks again first: two
   * that saw the same one must not remove the lock that the quicker of them took next.
   */
  async #removeIfStale(path: string): Promise<boolean> {
    if (!(await this.#isStale(path))) return (await statIfAny(path)) === undefined;
    const breaking = `${path}.breaking`;
    try {
      await (await OpenFile.open(breaking, 'wx')).close();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      // Who died in this very moment left both.
      if (await this.#isStale(breaking)) await unlinkIfAny(breaking);
      return false;
    }
    try {
      if (await this.#isStale(path)) await unlinkIfAny(path);
      return true;
    } finally {
      await unlinkIfAny(breaking);
    }
  }

  async #isStale(path: string): Promise<boolean> {
    const facts = await statIfAny(path);
    return facts !== undefined && (await this.#fileTimeMs()) - facts.modifiedAtMs > staleMs;
  }

  /** Now, as the file system counts it: another host may have made the lock. */
  async #fileTimeMs(): Promise<number> {
    const probe = this.#temporary();
    await createFile(probe, '');
    try {
      return (await statIfAny(probe))?.modifiedAtMs ?? 0;
    } finally {
      await unlinkIfAny(probe);
    }
  }

  #temporary(): string {
    return join(this.#options.staging, `lock-${randomBytes(8).toString('hex')}`);
  }
}
