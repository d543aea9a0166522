/**
 * Makes directory entries durable. Publishes into one directory at the same time share an fsync, and new
 * directories are made once a process with their parents synced.
 */
import { dirname } from 'node:path';
import { LRUCache } from 'lru-cache';
import { isErrno, makeFolders, OpenFile, rename, unlinkIfAny } from './files.ts';
import { Rerun } from './rerun.ts';

/** Folders remembered as made and durable; a forgotten one costs a mkdir again. */
const maxKnownFolders = 10_000;

export class FolderSync {
  readonly #runs = new Map<string, Rerun>();
  readonly #made = new LRUCache<string, Promise<void>>({ max: maxKnownFolders });

  /** Resolves after an fsync of `folder` that began after this call. */
  async sync(folder: string): Promise<void> {
    let run = this.#runs.get(folder);
    if (run === undefined) {
      run = new Rerun(() => fsyncFolder(folder));
      this.#runs.set(folder, run);
    }
    try {
      await run.request();
    } finally {
      if (run.isIdle && this.#runs.get(folder) === run) this.#runs.delete(folder);
    }
  }

  /** mkdir -p, with the parents of what had to be made synced. Rejects with the system's error. */
  ensure(folder: string): Promise<void> {
    let made = this.#made.get(folder);
    if (made === undefined) {
      made = this.#make(folder);
      this.#made.set(folder, made);
      made.catch(() => this.#made.delete(folder));
    }
    return made;
  }

  /** To be called when a folder was or may have been removed. */
  forget(folder: string): void {
    this.#made.delete(folder);
  }

  /**
   * Puts a durable file in place of another: readers and a power cut meet the old one or the new one. `temporary` is
   * gone in any case. Rejects with the system's error.
   */
  async replace(temporary: string, path: string): Promise<void> {
    const folder = dirname(path);
    try {
      await this.ensure(folder);
      try {
        await rename(temporary, path);
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error;
        // Somebody removed the folder that we remember as made.
        this.forget(folder);
        await this.ensure(folder);
        await rename(temporary, path);
      }
    } catch (error) {
      await unlinkIfAny(temporary).catch(() => false);
      throw error;
    }
    await this.sync(folder);
  }

  async #make(folder: string): Promise<void> {
    const first = await makeFolders(folder);
    if (first === undefined) return;
    const parents: string[] = [];
    for (let at = folder; at.length >= first.length; at = dirname(at)) parents.push(dirname(at));
    await Promise.all(parents.map((parent) => this.sync(parent)));
  }
}

async function fsyncFolder(folder: string): Promise<void> {
  const file = await OpenFile.open(folder, 'r');
  try {
    await file.sync();
  } catch (error) {
    // Some network file systems have no fsync for directories and make entries durable by themselves.
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF')) throw error;
  } finally {
    await file.close();
  }
}
