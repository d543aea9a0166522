/**
 * A name that has become private was perhaps fetched from a public upstream before: what such a source sent may be
 * anybody's code, and is taken out before the module is answered for the first time (dependency confusion).
 */
import { LRUCache } from 'lru-cache';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Store } from '../store/store.ts';

export interface OwnershipDeps {
  readonly store: Pick<Store, 'versions' | 'purge'>;
  /** False: whatever is stored of this module may be served. */
  isNeeded(path: ModulePath): boolean;
  /** May what this source sent be served now? */
  isSourceOf(path: ModulePath, source: string): boolean;
  onRemoved(path: ModulePath, version: Version, source: string): void;
}

const maxRemembered = 10_000;

export class Ownership {
  readonly #deps: OwnershipDeps;
  readonly #settled = new LRUCache<ModulePath, Promise<void>>({ max: maxRemembered });

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
  }

  /** Undefined: nothing to wait for. Rejects with StoreError: then nothing of the module may be answered. */
  settle(path: ModulePath): Promise<void> | undefined {
    if (!this.#deps.isNeeded(path)) return undefined;
    let work = this.#settled.get(path);
    if (work === undefined) {
      work = this.#remove(path);
      this.#settled.set(path, work);
      work.catch(() => this.#settled.delete(path));
    }
    return work;
  }

  /** After a reload: routes may be others. */
  forget(): void {
    this.#settled.clear();
  }

  async #remove(path: ModulePath): Promise<void> {
    const { store } = this.#deps;
    for await (const entry of store.versions(path)) {
      // The walk goes on below the path; those are modules of their own.
      if (entry.path !== path) continue;
      const sources = Object.values(entry.artifacts).map(({ source }) => source);
      const foreign = sources.find((source) => !this.#deps.isSourceOf(path, source));
      // An upload with the very same files as a mirror's keeps what was there first.
      if (foreign === undefined || sources.includes('published')) continue;
      await store.purge({ path, version: entry.version });
      this.#deps.onRemoved(path, entry.version, foreign);
    }
  }
}
