/**
 * Writes the quarantine, one at a time among all processes. Evidence is durable before the bytes are moved, and goes
 * after them, so that a kill in between leaves evidence without bytes and never bytes that nobody can explain. Whoever
 * adds a suspect waits for that only: the bounds are kept behind it.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Evidence, QuarantineEntry, SuspectBytes } from '../quarantine.ts';
import { StoreError, storeError } from '../store-error.ts';
import { FileLock, type IsHeld } from './file-lock.ts';
import { createFile, isErrno, rename, statIfAny, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import { keyText } from './layout.ts';
import { idOf, isQuarantineId, nextEntry, renderEntry, type StoredEntry } from './quarantine-entry.ts';
import type { QuarantineFolder } from './quarantine-folder.ts';
import { Rerun } from './rerun.ts';
import type { Space } from './space.ts';
import { StagedFile } from './staged-file.ts';

/** Nobody but the owner reads what may be malicious. */
const bytesMode = 0o600;
/** Others wait for the lock meanwhile. */
const removedAtOnce = 100;
/** Each takes two fsyncs. */
const settledAtOnce = 20;
/** Publications gather for so long before it is looked whether they settle a suspect. */
const settleTogetherMs = 1_000;
/** More than these are not remembered: the next purge or publication settles them. */
const maxToSettle = 10_000;

/** Tells that an entry is changed. */
export type Touch = (id: string) => void;

export interface QuarantineWriterOptions {
  readonly folder: QuarantineFolder;
  /** Where the lock file is: not in the folder, whose time tells what came and went. */
  readonly lock: string;
  readonly clock: Clock;
  readonly folders: FolderSync;
  readonly space: Space;
  /** A folder on the same file system. */
  readonly staging: string;
  readonly maxBytes: number;
  readonly maxEntries: number;
  /** A published artifact of this key can be seen. */
  isPublished(key: ArtifactKey): Promise<boolean>;
}

export class QuarantineWriter {
  readonly #options: QuarantineWriterOptions;
  readonly #lock: FileLock;
  readonly #trimming = new Rerun(() => this.#trim());
  readonly #settling = new Rerun(() => this.#settlePublished());
  #trimmed: Promise<void> = Promise.resolve();
  #settled: Promise<void> = Promise.resolve();
  #newest: string | undefined;
  /** By `keyText`: published, and not yet looked whether that settles a suspect. */
  readonly #published = new Map<string, ArtifactKey>();
  #settleTimer: Timer | undefined;

  constructor(options: QuarantineWriterOptions) {
    this.#options = options;
    this.#lock = new FileLock(options);
  }

  /** Larger bytes are not kept. */
  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  /** Rejects with StoreError or the system's error; a staged file is given up in any case. */
  async add(evidence: Evidence, bytes: SuspectBytes): Promise<QuarantineEntry> {
    if (bytes === undefined) return await this.#add(evidence, async () => {});
    if ('body' in bytes) {
      const { body } = bytes;
      const sized = { ...evidence, sizeBytes: body.length };
      return await this.#add(sized, (target) => this.#write(body, target));
    }
    const { staged } = bytes;
    if (!(staged instanceof StagedFile))
      throw storeError('io', `${staged.file} was not staged in this store`);
    const sized = { ...evidence, sizeBytes: staged.sizeBytes };
    return await staged.give(async (file) => {
      let isMoved = false;
      const result = await this.#add(sized, async (target) => {
        await fs.promises.chmod(file, bytesMode);
        await rename(file, target);
        isMoved = true;
      });
      return { isMoved, result };
    });
  }

  /** False: there was none. */
  async drop(id: string): Promise<boolean> {
    const { folder } = this.#options;
    if (!isQuarantineId(id) || (await statIfAny(folder.evidenceFile(id))) === undefined) return false;
    return await this.locked((touch) => this.#remove(id, touch));
  }

  /**
   * Runs `work` while no other changes the quarantine; it calls `touch` with each entry that it changes. What goes
   * beyond the bounds then is removed in the background.
   */
  async locked<Result>(work: (touch: Touch) => Promise<Result>): Promise<Result> {
    const { folder, folders, lock } = this.#options;
    await folders.ensure(folder.path);
    const { result, index } = await this.#lock.run(lock, (isHeld) => folder.change(work, isHeld));
    // What another process did is read in the background as well.
    if (index === undefined || index.isBeyond(this.#options)) {
      // Tried again after the next suspect.
      this.#trimmed = this.#trimming.request().catch(() => {});
    }
    return result;
  }

  /** Writes the evidence durably; to be called in `locked`. Resolves to its id. */
  async note(evidence: Evidence, touch: Touch): Promise<string> {
    const { folder } = this.#options;
    const id = idOf(evidence);
    this.#newest = id;
    await this.#keep(nextEntry(evidence, await folder.stored(id)), touch);
    return id;
  }

  /** Makes the entry's moved bytes durable; to be called in `locked`. */
  async sync(): Promise<void> {
    const { folder, folders } = this.#options;
    await folders.sync(folder.path);
  }

  /** An artifact was published, so what is kept of an earlier copy of ours is settled. Marked in the background. */
  published(key: ArtifactKey): void {
    if (this.#published.size >= maxToSettle) return;
    this.#published.set(keyText(key), key);
    this.#settleTimer ??= this.#options.clock.setTimeout(() => {
      this.#settleTimer = undefined;
      this.#settled = this.#settling.request().catch(() => {});
    }, settleTogetherMs);
  }

  /**
   * Marks the suspects that were stored here as settled, where `concerns` says so of the artifact's `keyText` and
   * `isDue` does when it is about to be done. Rejects with StoreError or the system's error.
   */
  async settle(
    concerns: (artifact: string) => boolean,
    isDue: (key: ArtifactKey) => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<void> {
    const { folder } = this.#options;
    const ids = (await folder.current()).unsettled(concerns);
    for (let start = 0; start < ids.length; start += settledAtOnce) {
      await this.locked(async (touch) => {
        for (const id of ids.slice(start, start + settledAtOnce)) {
          const entry = await folder.stored(id);
          if (entry === undefined || entry.settled === true || !(await isDue(entry.key))) continue;
          await this.#keep({ ...entry, settled: true }, touch);
        }
      });
    }
  }

  /** Resolves when what is done in the background is done, or cannot be done now. */
  async idle(): Promise<void> {
    this.#settleTimer?.cancel();
    this.#settleTimer = undefined;
    await this.#settled;
    if (this.#published.size > 0) await this.#settling.request().catch(() => {});
    await this.#trimmed;
  }

  async #add(evidence: Evidence, place: (target: string) => Promise<void>): Promise<QuarantineEntry> {
    const { folder, maxBytes } = this.#options;
    return await this.locked(async (touch) => {
      const id = await this.note(evidence, touch);
      if (evidence.sizeBytes <= maxBytes && (await this.#hasRoom())) {
        try {
          await place(folder.bytesFile(id));
        } catch (error) {
          // The disk is full: what is known of the suspect is kept all the same.
          if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
        }
        await this.sync();
      }
      const entry = await folder.get(id);
      if (entry === undefined)
        throw storeError('io', `the evidence ${id} of ${evidence.source} was not kept`);
      return entry;
    });
  }

  async #keep(entry: StoredEntry, touch: Touch): Promise<void> {
    const { folder, folders } = this.#options;
    const temporary = this.#temporary();
    touch(entry.id);
    await createFile(temporary, renderEntry(entry), true);
    await folders.replace(temporary, folder.evidenceFile(entry.id));
  }

  async #write(body: Buffer, target: string): Promise<void> {
    const temporary = this.#temporary();
    try {
      await createFile(temporary, body);
      await fs.promises.chmod(temporary, bytesMode);
      await rename(temporary, target);
    } catch (error) {
      await unlinkIfAny(temporary).catch(() => false);
      throw error;
    }
  }

  async #hasRoom(): Promise<boolean> {
    try {
      await this.#options.space.check();
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'disk_full') return false;
      throw error;
    }
  }

  async #remove(id: string, touch: Touch): Promise<boolean> {
    const { folder } = this.#options;
    touch(id);
    await unlinkIfAny(folder.bytesFile(id));
    return await unlinkIfAny(folder.evidenceFile(id));
  }

  async #settlePublished(): Promise<void> {
    const artifacts = new Set(this.#published.keys());
    this.#published.clear();
    // Withdrawn or purged again meanwhile: what is in quarantine may be of the later copy.
    await this.settle(
      (artifact) => artifacts.has(artifact),
      (key) => this.#options.isPublished(key),
    );
  }

  /** A batch at a time, so that whoever adds a suspect never waits long for the lock. */
  async #trim(): Promise<void> {
    const { folder, lock } = this.#options;
    for (;;) {
      // Most of the reading is done before the lock is taken.
      await folder.current();
      const isDone = await this.#lock.run(lock, async (isHeld) => {
        await folder.learn();
        const { result } = await folder.change((touch) => this.#trimOnce(touch, isHeld), isHeld);
        return result;
      });
      if (isDone) return;
    }
  }

  /** True when nothing is left to do, or it is no longer ours to do. */
  async #trimOnce(touch: Touch, isHeld: IsHeld): Promise<boolean> {
    const { folder } = this.#options;
    const index = await folder.current();
    const { entries, bytes } = index.excess(this.#options, this.#newest);
    let left = removedAtOnce;
    for (const id of folder.takeOrphans(left)) {
      if (!(await isHeld())) return true;
      left -= 1;
      if ((await statIfAny(folder.evidenceFile(id))) === undefined) await unlinkIfAny(folder.bytesFile(id));
    }
    for (const id of entries) {
      if (left === 0 || !(await isHeld())) return left > 0;
      await this.#remove(id, touch);
      left -= 1;
    }
    for (const id of bytes) {
      if (left === 0 || !(await isHeld())) return left > 0;
      touch(id);
      await unlinkIfAny(folder.bytesFile(id));
      left -= 1;
    }
    return true;
  }

  #temporary(): string {
    return join(this.#options.staging, `suspect-${randomBytes(8).toString('hex')}`);
  }
}
