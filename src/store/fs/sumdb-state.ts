/**
 * What the client of a checksum database must not lose: its last known head, the evidence of a fork. One durable
 * file each, replaced whole and only by who has read what it replaces.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { maxSumdbBytes, type SumdbState } from '../store.ts';
import { StoreError } from '../store-error.ts';
import { FileLock } from './file-lock.ts';
import { createFile, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import type { Layout } from './layout.ts';
import { readSmallFile } from './sumdb-folder.ts';

/** Rejects with the system's error. */
export async function readSumdbState(
  layout: Layout,
  name: string,
  state: SumdbState,
): Promise<Buffer | undefined> {
  const path = layout.sumdbState(name, state);
  return path === undefined ? undefined : (await readSmallFile(path))?.body;
}

export interface SumdbStatesOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly folders: FolderSync;
  /** A folder on the same file system. */
  readonly staging: string;
}

export interface StateSwap {
  readonly name: string;
  readonly state: SumdbState;
  /** Undefined: nothing there. */
  readonly expected: Buffer | undefined;
  /** Undefined: removed. */
  readonly next: Buffer | undefined;
}

export class SumdbStates {
  readonly #options: SumdbStatesOptions;
  readonly #lock: FileLock;

  constructor(options: SumdbStatesOptions) {
    this.#options = options;
    this.#lock = new FileLock(options);
  }

  /** False: it is not `expected`. Rejects with StoreError `io` for a bad name or size, or the system's error. */
  async swap({ name, state, expected, next }: StateSwap): Promise<boolean> {
    const path = this.#options.layout.sumdbState(name, state);
    if (path === undefined)
      throw new StoreError('io', `${JSON.stringify(name)} is no checksum database's name`);
    if (next !== undefined && next.length > maxSumdbBytes) {
      throw new StoreError('io', `the ${state} of ${name} is longer than ${maxSumdbBytes} bytes`);
    }
    const { folders, staging } = this.#options;
    await folders.ensure(dirname(path));
    // Written and synced before the lock is taken: what is done under it must take milliseconds.
    const temporary = join(staging, `state-${randomBytes(8).toString('hex')}`);
    if (next !== undefined) await createFile(temporary, next, true);
    try {
      return await this.#lock.run(`${path}.lock`, async (isHeld) => {
        const current = (await readSmallFile(path))?.body;
        if (!isSame(current, expected) || !(await isHeld())) return false;
        if (next === undefined) {
          await unlinkIfAny(path);
          await folders.sync(dirname(path));
        } else await folders.replace(temporary, path);
        return true;
      });
    } finally {
      await unlinkIfAny(temporary);
    }
  }
}

function isSame(one: Buffer | undefined, other: Buffer | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.equals(other);
}
