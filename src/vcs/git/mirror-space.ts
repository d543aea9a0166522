/**
 * How much room all mirrors together take. Those that nobody asked for the longest go first, and come back by a fetch
 * when somebody does; onto a disk that is nearly full nothing is fetched.
 */
import { readdir, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { LockFile } from '../../lib/lock-file.ts';
import { VcsError } from '../types.ts';
import { MirrorFolder } from './mirror-folder.ts';

export interface MirrorSpaceOptions {
  /** Absolute paths of the folders that hold mirrors. */
  readonly dirs: readonly string[];
  /** Of all mirrors together. */
  readonly maxBytes: number;
  /** The part of the disk, 0 to 1, at which fetching stops. */
  readonly stopAtRatio: number;
  readonly clock: Clock;
  /** Default: the system's. */
  readonly statfs?: (dir: string) => Promise<{ readonly bavail: number; readonly blocks: number }>;
}

const lookEveryMs = 5 * 60_000;
/** Longer than any reading of a mirror may take: by then whoever opened it, here or in another process, is done. */
const usedForMs = 20 * 60_000;
/** How often its use is written down. */
const markEveryMs = 60_000;
const mirrorName = /^[0-9a-f]{32}\.git$/;

export class MirrorSpace {
  readonly #options: MirrorSpaceOptions;
  /** By folder: when its use was written down last. */
  readonly #marked = new LRUCache<string, number>({ max: 10_000 });
  #lookedAtMs: number | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: MirrorSpaceOptions) {
    this.#options = options;
  }

  /** A mirror was asked for: it stays for now. Looks in the background, now and then, whether all have room. */
  async opened(gitDir: string): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    const markedMs = this.#marked.get(gitDir);
    if (markedMs === undefined || nowMs - markedMs >= markEveryMs) {
      const isThere = await this.#mark(gitDir);
      if (isThere) this.#marked.set(gitDir, nowMs);
    }
    if (this.#isClosed || this.#looking !== undefined) return;
    if (this.#lookedAtMs !== undefined && nowMs - this.#lookedAtMs < lookEveryMs) return;
    this.#lookedAtMs = nowMs;
    this.#looking = this.makeRoom()
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined;
      });
  }

  /** Rejects with VcsError `failed` when nothing may be fetched onto this disk. */
  async requireDisk(): Promise<void> {
    const { dirs, stopAtRatio } = this.#options;
    const [dir] = dirs;
    if (dir === undefined) return;
    const facts = await (this.#options.statfs ?? statfs)(dir).catch(() => undefined);
    if (facts === undefined || (facts.bavail > 0 && facts.bavail >= (1 - stopAtRatio) * facts.blocks)) return;
    throw new VcsError(
      'failed',
      `the disk of ${dir} is fuller than the ${Math.round(stopAtRatio * 100)} % of store.stop_at: nothing is fetched from ` +
        'repositories until there is room',
    );
  }

  /** Removes mirrors until the rest is within bounds. None that was opened lately, or is being fetched. */
  async makeRoom(): Promise<void> {
    const { maxBytes, clock } = this.#options;
    const mirrors = await this.#mirrors();
    let sumBytes = mirrors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const oldestFirst = mirrors.toSorted((one, other) => one.usedAtMs - other.usedAtMs);
    for (const { folder, sizeBytes } of oldestFirst) {
      if (sumBytes <= maxBytes || this.#isClosed) return;
      await new LockFile(`${folder.gitDir}.lock`, clock)
        .runIfFree(async () => {
          // Somebody may have come for it meanwhile.
          const usedAtMs = await this.#usedAtMs(folder.gitDir);
          if (usedAtMs === undefined || clock.now() - usedAtMs < usedForMs) return;
          await folder.remove();
          sumBytes -= sizeBytes;
        })
        .catch(() => {});
    }
  }

  /** Waits for what is being removed. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#looking;
  }

  async #mirrors() {
    const found: { folder: MirrorFolder; sizeBytes: number; usedAtMs: number }[] = [];
    for (const dir of this.#options.dirs) {
      for (const name of await readdir(dir).catch(() => [])) {
        if (!mirrorName.test(name)) continue;
        const gitDir = join(dir, name);
        const folder = new MirrorFolder(gitDir, this.#options.clock);
        const usedAtMs = await this.#usedAtMs(gitDir);
        if (usedAtMs !== undefined) found.push({ folder, sizeBytes: await folder.sizeBytes(), usedAtMs });
      }
    }
    return found;
  }

  /** False: it is not there yet. */
  async #mark(gitDir: string): Promise<boolean> {
    const file = join(gitDir, usedName);
    const now = new Date(this.#options.clock.now());
    try {
      await utimes(file, now, now).catch(async (error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
        await writeFile(file, '');
        await utimes(file, now, now);
      });
      return true;
    } catch {
      return false;
    }
  }

  /** Undefined: it is gone. */
  async #usedAtMs(gitDir: string): Promise<number | undefined> {
    const facts =
      (await stat(join(gitDir, usedName)).catch(() => undefined)) ??
      (await stat(gitDir).catch(() => undefined));
    return facts?.mtimeMs;
  }
}

/** Its modification time tells when the mirror was asked for last. */
const usedName = 'modferry-used';
