/**
 * Keeps `@v/list` on disk equal to the complete stored versions (ruling 14), for file:// and nginx. Changes of one
 * module gather for a moment. A marker in this process's folder stands from before a change until its list is
 * written, so that a kill in between is repaired at the next start without walking the store.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { escapePath, unescapePath } from '../../gomod/module-path.ts';
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { createFile, isErrno, namesIn, readTextIfAny, replaceFile, unlinkIfAny } from './files.ts';
import { type Layout, shortHash } from './layout.ts';
import { Rerun } from './rerun.ts';
import { readCompleteVersions, renderList } from './versions-folder.ts';

/** Another process on the folder may change it between our reading and writing; after this many rounds it will end it. */
const maxRounds = 20;
/** A list that could not be written (full disk) is tried again after this time. */
const retryMs = 2_000;

interface ModuleState {
  /** Changes announced by `expect` and not yet told done. */
  expected: number;
  /** Changes told since the last writing began. */
  changed: boolean;
  marker: Promise<void> | undefined;
  timer: Timer | undefined;
  readonly writing: Rerun;
}

export interface ListsOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  /** This process's marker and staging folders. */
  readonly dirty: string;
  readonly staging: string;
  readonly delayMs: number;
}

export class Lists {
  readonly #options: ListsOptions;
  readonly #modules = new Map<ModulePath, ModuleState>();
  #stopped = false;

  constructor(options: ListsOptions) {
    this.#options = options;
  }

  /** To be awaited before anything under the module's `@v` changes; then `changed` must be called exactly once. */
  async expect(path: ModulePath): Promise<void> {
    const state = this.#stateOf(path);
    state.expected += 1;
    state.marker ??= this.#mark(path);
    try {
      await state.marker;
    } catch (error) {
      state.expected -= 1;
      state.marker = undefined;
      this.#forgetIfQuiet(path, state);
      throw error;
    }
  }

  /** The announced change happened, or did not: the list is written soon. */
  changed(path: ModulePath): void {
    const state = this.#stateOf(path);
    state.expected -= 1;
    state.changed = true;
    this.#schedule(path, state, this.#options.delayMs);
  }

  /** Writes the module's list now if it may be out of date. Rejects with the system's error. */
  async flush(path: ModulePath): Promise<void> {
    const state = this.#modules.get(path);
    if (state === undefined) return;
    state.timer?.cancel();
    state.timer = undefined;
    await state.writing.request();
  }

  /** Writes every list that is due. Resolves to false when the disk refused one. */
  async idle(): Promise<boolean> {
    for (let round = 0; round < maxRounds; round++) {
      const pending = [...this.#modules].filter(([, state]) => state.changed || !state.writing.isIdle);
      if (pending.length === 0) return true;
      const results = await Promise.allSettled(pending.map(([path]) => this.flush(path)));
      if (results.some((result) => result.status === 'rejected')) return false;
    }
    return false;
  }

  /** Takes over the markers of a dead process. Rejects when they could not all be made ours. */
  async adopt(dirtyFolder: string): Promise<void> {
    for (const name of await namesIn(dirtyFolder)) {
      const path = await readMarker(join(dirtyFolder, name));
      if (path === undefined) continue;
      await this.expect(path);
      this.changed(path);
    }
  }

  /** No list is written any more; the markers tell the next start. */
  stop(): void {
    for (const state of this.#modules.values()) state.timer?.cancel();
    this.#modules.clear();
    this.#stopped = true;
  }

  #stateOf(path: ModulePath): ModuleState {
    let state = this.#modules.get(path);
    if (state === undefined) {
      const fresh: ModuleState = {
        expected: 0,
        changed: false,
        marker: undefined,
        timer: undefined,
        writing: new Rerun(() => this.#write(path, fresh)),
      };
      state = fresh;
      this.#modules.set(path, state);
    }
    return state;
  }

  #schedule(path: ModulePath, state: ModuleState, delayMs: number): void {
    if (this.#stopped) return;
    state.timer ??= this.#options.clock.setTimeout(() => {
      state.timer = undefined;
      // The marker stays: the next change, the retry or the next start writes it.
      state.writing.request().catch(() => this.#schedule(path, state, retryMs));
    }, delayMs);
  }

  async #write(path: ModulePath, state: ModuleState): Promise<void> {
    state.changed = false;
    try {
      await this.#converge(path);
    } catch (error) {
      state.changed = true;
      throw error;
    }
    if (state.expected > 0 || state.changed || state.marker === undefined) return;
    // A change announced meanwhile waits for this promise, and gets its own marker before it goes on.
    const { marker } = this.#markerOf(path);
    const removed = unlinkIfAny(marker).then(() => {
      if (state.expected > 0) return this.#mark(path);
      state.marker = undefined;
      return undefined;
    });
    state.marker = removed;
    await removed;
    this.#forgetIfQuiet(path, state);
  }

  /** Lists and writes until what was written is what is there: with two processes at it the last one is right. */
  async #converge(path: ModulePath): Promise<void> {
    const { layout, staging } = this.#options;
    const folder = layout.versionsFolder(path);
    const file = layout.list(path);
    let written = await readTextIfAny(file);
    for (let round = 0; round < maxRounds; round++) {
      const wanted = renderList(await readCompleteVersions(folder));
      if (wanted === (written ?? '')) return;
      if (wanted === '') await unlinkIfAny(file);
      else await replaceFile(file, wanted, join(staging, `list-${randomBytes(8).toString('hex')}`));
      written = wanted;
    }
  }

  #markerOf(path: ModulePath): { marker: string; escaped: string } {
    const escaped = escapePath(path);
    return { marker: join(this.#options.dirty, shortHash(path)), escaped };
  }

  /** A symbolic link: name and content appear in one call, and a journalling file system keeps both together. */
  async #mark(path: ModulePath): Promise<void> {
    const { marker, escaped } = this.#markerOf(path);
    try {
      await fs.promises.symlink(escaped, marker);
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return;
      if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENAMETOOLONG')) throw error;
      await createFile(marker, escaped);
    }
  }

  #forgetIfQuiet(path: ModulePath, state: ModuleState): void {
    if (state.expected === 0 && !state.changed && state.marker === undefined) this.#modules.delete(path);
  }
}

async function readMarker(marker: string): Promise<ModulePath | undefined> {
  try {
    return unescapePath(await fs.promises.readlink(marker));
  } catch (error) {
    if (!isErrno(error, 'EINVAL')) return undefined;
  }
  try {
    return unescapePath((await readTextIfAny(marker)) ?? '');
  } catch {
    return undefined;
  }
}
