/**
 * Zips that are built to be sent once: one building for many askers, a file without a name while it is read, gone when
 * the last one has it. A process that is killed leaves at most what it was building.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { removeLeftovers } from '../lib/leftovers.ts';
import { SharedWork } from '../lib/shared-work.ts';

/** An open zip, for one reader. */
export interface TemporaryZip {
  readonly sizeBytes: number;
  /** Reads all of it once, then lets go of it. */
  read(): AsyncGenerator<Buffer, void, void>;
  /** Lets go of it: to be called when it is not read to its end. Idempotent. */
  release(): void;
}

interface Built {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

/** One zip from its building to its last reader. */
interface Entry {
  readonly work: SharedWork<Built>;
  /** Those who wait for it or read it. */
  holders: number;
  built: Built | undefined;
}

const chunkBytes = 256 * 1024;
const baseName = 'zip';

export class TemporaryZips {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  #ready: Promise<void> | undefined;

  /** `folder` is made when it is needed; nothing else should be in it. */
  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Removes what processes that were killed left behind. Never rejects. */
  async removeLeftovers(): Promise<void> {
    await removeLeftovers(join(this.#folder, baseName), this.#clock);
  }

  /**
   * The zip of this key: the one that is being built or read, else what `build` writes to the file it is given. Rejects
   * as `build` does, with the system's error, or with the signal's reason; a building that nobody waits for is ended.
   */
  async get(
    key: string,
    build: (file: string, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<TemporaryZip> {
    const entry = this.#entry(key, build);
    entry.holders += 1;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      entry.holders -= 1;
      this.#letGo(key, entry);
    };
    try {
      const built = entry.built ?? (await entry.work.join(signal));
      return { sizeBytes: built.sizeBytes, read: () => readAll(built, () => isHeld, release), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Built and not yet let go, and being built. */
  get count(): number {
    return this.#entries.size;
  }

  #entry(key: string, build: (file: string, signal: AbortSignal) => Promise<void>): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined && !known.work.cancelled) return known;
    const work = new SharedWork((signal) => this.#build(build, signal));
    const entry: Entry = { work, holders: 0, built: undefined };
    this.#entries.set(key, entry);
    work.promise.then(
      (built) => {
        entry.built = built;
        this.#letGo(key, entry);
      },
      () => this.#forget(key, entry),
    );
    return entry;
  }

  /** Closes it when it is built and nobody holds it. */
  #letGo(key: string, entry: Entry): void {
    if (entry.holders > 0) return;
    if (entry.built === undefined && !entry.work.cancelled) return;
    this.#forget(key, entry);
    entry.built?.handle.close().catch(() => {});
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  /** Once; a failure is the next one's to try again. */
  async #makeFolder(): Promise<void> {
    this.#ready ??= mkdir(this.#folder, { recursive: true, mode: 0o700 }).then(() => {});
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  async #build(
    build: (file: string, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Built> {
    await this.#makeFolder();
    const file = join(this.#folder, `${baseName}.${randomBytes(6).toString('hex')}`);
    let handle: FileHandle | undefined;
    try {
      await build(file, signal);
      handle = await open(file, 'r');
      const { size } = await handle.stat();
      return { handle, sizeBytes: size };
    } catch (error) {
      await handle?.close();
      throw error;
    } finally {
      // Open files live on without a name: nothing is left behind, however this process ends.
      await rm(file, { force: true });
    }
  }
}

async function* readAll(
  { handle, sizeBytes }: Built,
  isHeld: () => boolean,
  release: () => void,
): AsyncGenerator<Buffer, void, void> {
  try {
    for (let at = 0; at < sizeBytes; ) {
      if (!isHeld()) throw new Error('the zip was let go');
      const target = Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes - at));
      const { bytesRead } = await handle.read(target, 0, target.length, at);
      if (bytesRead === 0) throw new Error('the zip is shorter than it was');
      at += bytesRead;
      yield target.subarray(0, bytesRead);
    }
  } finally {
    release();
  }
}
