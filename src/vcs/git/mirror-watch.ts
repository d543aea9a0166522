/** While git writes into a mirror: its size is looked at, and the lock is shown to be alive. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { HeldLock } from '../../lib/lock-file.ts';
import { VcsError } from '../types.ts';
import type { MirrorFolder } from './mirror-folder.ts';

/** A quick line brings some 50 MB in that time. */
const lookEveryMs = 500;

/** Aborts `signal` when the mirror becomes too large or another process took the lock. */
export class MirrorWatch {
  readonly #folder: MirrorFolder;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #lock: HeldLock | undefined;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;
  #isOver = false;

  constructor(folder: MirrorFolder, clock: Clock, maxBytes: number, lock?: HeldLock) {
    this.#folder = folder;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#lock = lock;
  }

  /** Runs `work` under watch. Rejects as it does, or with VcsError `refused` when the mirror is too large at the end. */
  async over<Result>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    this.#plan();
    try {
      const result = await work(AbortSignal.any([signal, this.#controller.signal]));
      await this.#look();
      if (this.#controller.signal.aborted) throw this.#controller.signal.reason;
      return result;
    } finally {
      this.#isOver = true;
      this.#timer?.cancel();
    }
  }

  #plan(): void {
    this.#timer = this.#clock.setTimeout(() => {
      void this.#look().finally(() => {
        if (!this.#isOver) this.#plan();
      });
    }, lookEveryMs);
  }

  async #look(): Promise<void> {
    try {
      await this.#lock?.touch();
      if ((await this.#folder.sizeBytes()) <= this.#maxBytes) return;
      this.#controller.abort(tooLarge(this.#maxBytes));
    } catch (error) {
      this.#controller.abort(error instanceof Error ? error : new Error('the mirror could not be watched'));
    }
  }
}

/** The refusal of `over`, as against others of the same code. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof VcsError && error.fields['reason'] === 'repository_size';
}

function tooLarge(maxBytes: number): VcsError {
  return new VcsError(
    'refused',
    `the repository is larger than the ${maxBytes} bytes that a mirror may have; raise the limit if it is to be served`,
    { fields: { reason: 'repository_size', maxBytes } },
  );
}
