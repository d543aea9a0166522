/**
 * One at a time among the processes on a folder: a lock file that is made exclusively and names its holder. Whoever
 * holds it for long shows that it lives by changing it; one that does not change any more is of a dead process and gives
 * way. No clock of another machine is asked: what counts is how long this process has seen no change.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import { errnoOf, ModferryError } from './errors.ts';
import { sleep } from './sleep.ts';

/** A lock that did not change for so long is of a dead process. */
const staleMs = 5_000;
/** Several may find one dead lock at once; whose is there after so long has it. */
const settleMs = 1_000;
const defaultPatienceMs = 15_000;
const firstPauseMs = 5;
const lastPauseMs = 50;

export interface LockFileOptions {
  /** How long somebody alive is waited for. Default 15,000. */
  readonly patienceMs?: number | undefined;
}

/** What the work under a lock is given. */
export interface HeldLock {
  /** Shows that the holder lives; work that takes seconds calls it more often than every 5 s. Rejects as `check`. */
  touch(): Promise<void>;
  /** Rejects with ModferryError `lock_lost` when another process took the lock: change nothing then. */
  check(): Promise<void>;
}

export class LockFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  /** Somebody else's lock as it was seen last, and since when; monotonic. */
  #seen: { readonly state: string; readonly sinceMs: number } | undefined;

  /** Its folder must be there. */
  constructor(file: string, clock: Clock, { patienceMs = defaultPatienceMs }: LockFileOptions = {}) {
    this.#file = file;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /**
   * Runs `work` while the lock is ours. Rejects as `work` does, with ModferryError `locked` when somebody alive held it
   * for too long, or with the system's error.
   */
  async run<Result>(work: (lock: HeldLock) => Promise<Result>): Promise<Result> {
    const startedAtMs = this.#clock.monotonic();
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, lastPauseMs)) {
      const held = await this.#tryTake();
      if (held !== undefined) return await this.#under(held, work);
      if (this.#clock.monotonic() - startedAtMs >= this.#patienceMs) {
        throw new ModferryError(
          'locked',
          `${this.#file} is held by another process; try again, or remove it if no modferry is running`,
        );
      }
      await sleep(this.#clock, pauseMs);
    }
  }

  /**
   * As `run`, but waits for nobody alive. False: somebody else holds it, and `work` did not run. A dead holder is found
   * out over calls of this object that are 5 s apart.
   */
  async runIfFree(work: (lock: HeldLock) => Promise<void>): Promise<boolean> {
    const held = await this.#tryTake();
    if (held === undefined) return false;
    await this.#under(held, work);
    return true;
  }

  async #tryTake(): Promise<Held | undefined> {
    const held = await Held.make(this.#file);
    if (held !== undefined) return held;
    const state = await stateOf(this.#file);
    // Given back meanwhile.
    if (state === undefined) return await Held.make(this.#file);
    const nowMs = this.#clock.monotonic();
    if (state !== this.#seen?.state) this.#seen = { state, sinceMs: nowMs };
    return nowMs - this.#seen.sinceMs < staleMs ? undefined : await this.#takeOver(state);
  }

  /** Undefined when another was the last to put its own lock in the place of the dead one. */
  async #takeOver(dead: string): Promise<Held | undefined> {
    const held = await Held.inPlaceOf(dead, this.#file);
    if (held === undefined) return undefined;
    await sleep(this.#clock, settleMs);
    if (await held.isOurs().catch(() => false)) return held;
    await held.release();
    return undefined;
  }

  async #under<Result>(held: Held, work: (lock: HeldLock) => Promise<Result>): Promise<Result> {
    try {
      return await work(held);
    } finally {
      await held.release();
    }
  }
}

/** A lock that was made by us, and may have been taken away since. */
class Held implements HeldLock {
  readonly #file: string;
  readonly #token: string;
  readonly #handle: FileHandle;
  #touches = 0;

  private constructor(file: string, token: string, handle: FileHandle) {
    this.#file = file;
    this.#token = token;
    this.#handle = handle;
  }

  /** Undefined when there is one already. Rejects with the system's error. */
  static async make(file: string): Promise<Held | undefined> {
    try {
      return await Held.#create(file, file);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return undefined;
      throw error;
    }
  }

  /** Undefined when that one has changed or gone. Rejects with the system's error. */
  static async inPlaceOf(dead: string, file: string): Promise<Held | undefined> {
    const temporary = `${file}.${randomBytes(6).toString('hex')}`;
    const held = await Held.#create(temporary, file);
    let isPlaced = false;
    try {
      if ((await stateOf(file)) !== dead) return undefined;
      await rename(temporary, file);
      isPlaced = true;
      return held;
    } finally {
      if (!isPlaced) {
        await rm(temporary, { force: true });
        await held.release();
      }
    }
  }

  /** `path` is where it is made, `file` where it is going to be. Leaves nothing behind when it fails. */
  static async #create(path: string, file: string): Promise<Held> {
    const handle = await open(path, 'wx');
    const held = new Held(file, randomBytes(16).toString('hex'), handle);
    try {
      await held.#write();
      return held;
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
  }

  async touch(): Promise<void> {
    await this.check();
    this.#touches += 1;
    await this.#write();
  }

  async check(): Promise<void> {
    if (await this.isOurs()) return;
    throw new ModferryError('lock_lost', `another process took over ${this.#file}; try again`);
  }

  /** A lock that is left behind costs the next one 5 s, and is no failure of what was done under it. */
  async release(): Promise<void> {
    await this.#handle.close().catch(() => {});
    if (await this.isOurs().catch(() => false)) await rm(this.#file, { force: true }).catch(() => {});
  }

  async isOurs(): Promise<boolean> {
    return (await stateOf(this.#file))?.startsWith(this.#token) === true;
  }

  /** Through the handle it was made with: another process's lock under the same name is never written to. */
  async #write(): Promise<void> {
    await this.#handle.write(`${this.#token} ${this.#touches}`, 0);
  }
}

/** What is in a lock and when it was written: the same as long as nobody touches it. Undefined: there is none. */
async function stateOf(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { mtimeMs } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxStateBytes), 0, maxStateBytes, 0);
    return `${buffer.toString('latin1', 0, bytesRead)} ${mtimeMs}`;
  } finally {
    await handle.close();
  }
}

/** A token and its count take less; what is longer is nobody's lock and not read to its end. */
const maxStateBytes = 128;
