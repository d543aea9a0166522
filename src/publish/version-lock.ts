/** One at a time per version, among all processes on a data folder: a lock file that is touched while it is held. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { LockFile } from '../lib/lock-file.ts';

/** Well below the time after which a lock counts as left behind. */
const touchMs = 1_000;
/** A large zip may take that long to reach a slow disk. */
const patienceMs = 120_000;

export class VersionLocks {
  readonly #folder: string;
  readonly #clock: Clock;

  /** `folder` is made when it is needed. */
  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /**
   * Runs `work` while this version is ours. `check` rejects with ModferryError `lock_lost` when another process took
   * over. Rejects as `work` does, with ModferryError `locked`, or with the system's error.
   */
  async run<Result>(
    path: ModulePath,
    version: Version,
    work: (check: () => Promise<void>) => Promise<Result>,
  ): Promise<Result> {
    await mkdir(this.#folder, { recursive: true });
    const name = createHash('sha256').update(`${path}@${version}`).digest('hex').slice(0, 32);
    const lock = new LockFile(join(this.#folder, `${name}.lock`), this.#clock, { patienceMs });
    return await lock.run(async (held) => {
      let timer: Timer | undefined;
      let isOver = false;
      const touchAgain = (): void => {
        timer = this.#clock.setTimeout(() => {
          // A lock that is lost shows at the next check.
          void held
            .touch()
            .catch(() => {})
            .then(() => {
              if (!isOver) touchAgain();
            });
        }, touchMs);
      };
      touchAgain();
      try {
        return await work(() => held.check());
      } finally {
        isOver = true;
        timer?.cancel();
      }
    });
  }
}
