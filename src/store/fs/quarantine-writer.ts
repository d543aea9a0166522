/**
 * Writes the quarantine, one at a time among all processes. Evidence is durable before the bytes are moved, and goes
 * after them, so that a kill in between leaves evidence without bytes and never bytes that nobody can explain.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Evidence, QuarantineEntry, SuspectBytes } from '../quarantine.ts';
import { StoreError, storeError } from '../store-error.ts';
import { FileLock } from './file-lock.ts';
import { createFile, isErrno, rename, statIfAny, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import { idOf, isQuarantineId, nextEntry, renderEntry } from './quarantine-entry.ts';
import type { QuarantineFolder } from './quarantine-folder.ts';
import type { Space } from './space.ts';
import { StagedFile } from './staged-file.ts';

/** Nobody but the owner reads what may be malicious. */
const bytesMode = 0o600;

export interface QuarantineWriterOptions {
  readonly folder: QuarantineFolder;
  readonly clock: Clock;
  readonly folders: FolderSync;
  readonly space: Space;
  /** A folder on the same file system. */
  readonly staging: string;
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export class QuarantineWriter {
  readonly #options: QuarantineWriterOptions;
  readonly #lock: FileLock;

  constructor(options: QuarantineWriterOptions) {
    this.#options = options;
    this.#lock = new FileLock(options);
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
    return await this.locked(() => this.#remove(id));
  }

  /** Runs `work` while no other changes the quarantine. */
  async locked<Result>(work: () => Promise<Result>): Promise<Result> {
    const { folder, folders } = this.#options;
    await folders.ensure(folder.path);
    return await this.#lock.run(join(folder.path, 'lock'), work);
  }

  /** Writes the evidence durably; to be called under the lock. Resolves to its id. */
  async note(evidence: Evidence): Promise<string> {
    const { folder, folders } = this.#options;
    const id = idOf(evidence);
    const temporary = this.#temporary();
    await createFile(temporary, renderEntry(nextEntry(evidence, await folder.stored(id))), true);
    await folders.replace(temporary, folder.evidenceFile(id));
    return id;
  }

  /** Makes the entry's moved bytes durable and keeps the bounds; to be called under the lock. */
  async settle(id: string): Promise<void> {
    const { folder, folders } = this.#options;
    await folders.sync(folder.path);
    await this.#trim(id);
  }

  async #add(evidence: Evidence, place: (target: string) => Promise<void>): Promise<QuarantineEntry> {
    const { folder, maxBytes } = this.#options;
    return await this.locked(async () => {
      const id = await this.note(evidence);
      if (evidence.sizeBytes <= maxBytes && (await this.#hasRoom())) {
        try {
          await place(folder.bytesFile(id));
        } catch (error) {
          // The disk is full: what is known of the suspect is kept all the same.
          if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
        }
      }
      await this.settle(id);
      const entry = await folder.get(id);
      if (entry === undefined)
        throw storeError('io', `the evidence ${id} of ${evidence.source} was not kept`);
      return entry;
    });
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

  async #remove(id: string): Promise<boolean> {
    const { folder } = this.#options;
    await unlinkIfAny(folder.bytesFile(id));
    return await unlinkIfAny(folder.evidenceFile(id));
  }

  /** The oldest bytes go first, then the oldest entries; `newest` goes last, whatever its evidence says of the time. */
  async #trim(newest: string): Promise<void> {
    const { folder, maxBytes, maxEntries } = this.#options;
    const { evidence, bytes } = await folder.ids();
    const explained = new Set(evidence);
    const sizes = new Map<string, number>();
    for (const id of bytes) {
      if (explained.has(id)) sizes.set(id, (await statIfAny(folder.bytesFile(id)))?.sizeBytes ?? 0);
      else await unlinkIfAny(folder.bytesFile(id));
    }
    let totalBytes = sizes.values().reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    let excess = evidence.length - maxEntries;
    if (totalBytes <= maxBytes && excess <= 0) return;
    for (const id of await this.#oldestFirst(evidence, newest)) {
      const sizeBytes = sizes.get(id) ?? 0;
      if (excess > 0) {
        await this.#remove(id);
        excess -= 1;
        totalBytes -= sizeBytes;
      } else if (totalBytes > maxBytes && sizes.has(id)) {
        await unlinkIfAny(folder.bytesFile(id));
        totalBytes -= sizeBytes;
      } else if (totalBytes <= maxBytes) return;
    }
  }

  /** What nobody can read counts as older than everything. */
  async #oldestFirst(ids: readonly string[], newest: string): Promise<string[]> {
    const { folder } = this.#options;
    const aged: { id: string; atMs: number }[] = [];
    for (const id of ids) {
      const atMs = id === newest ? Number.POSITIVE_INFINITY : ((await folder.stored(id))?.atMs ?? -1);
      aged.push({ id, atMs });
    }
    return aged.sort((one, other) => one.atMs - other.atMs).map(({ id }) => id);
  }

  #temporary(): string {
    return join(this.#options.staging, `suspect-${randomBytes(8).toString('hex')}`);
  }
}
