/** How full the disk is, looked at once a second at most: staging asks before every file (ruling 25). */
import fs from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { StoreSpace } from '../store.ts';
import { storeError } from '../store-error.ts';

const validMs = 1_000;

export class Space {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #stopAt: number;
  #latest: { readonly atMs: number; readonly space: Promise<StoreSpace> } | undefined;

  /** `stopAt`: the part of the disk, 0 to 1, at which storing stops. */
  constructor(folder: string, clock: Clock, stopAt: number) {
    this.#folder = folder;
    this.#clock = clock;
    this.#stopAt = stopAt;
  }

  /** Rejects with the system's error. */
  read(): Promise<StoreSpace> {
    const nowMs = this.#clock.monotonic();
    if (this.#latest === undefined || nowMs - this.#latest.atMs >= validMs) {
      const space = readSpace(this.#folder);
      this.#latest = { atMs: nowMs, space };
      space.catch(() => {
        this.#latest = undefined;
      });
    }
    return this.#latest.space;
  }

  /** Rejects with StoreError `disk_full` at or above the mark. */
  async check(): Promise<void> {
    const { freeBytes, totalBytes } = await this.read();
    if (freeBytes > 0 && freeBytes >= (1 - this.#stopAt) * totalBytes) return;
    const percent = totalBytes === 0 ? 100 : Math.floor(100 * (1 - freeBytes / totalBytes));
    throw storeError(
      'disk_full',
      `the disk of ${this.#folder} is ${percent} % full and storing stops at ${Math.round(this.#stopAt * 100)} %`,
      { freeBytes, totalBytes },
    );
  }
}

async function readSpace(folder: string): Promise<StoreSpace> {
  const facts = await fs.promises.statfs(folder);
  return { freeBytes: facts.bavail * facts.bsize, totalBytes: facts.blocks * facts.bsize };
}
