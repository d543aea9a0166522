/**
 * Takes out what its route keeps for a time only (`routes[].keep`). It can be fetched again; what was uploaded here
 * cannot, and stays.
 */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Store, VersionEntry } from '../store/store.ts';

/** Sources in records: an upload, and what was rebuilt after its record was lost. */
const mayBeUpload: ReadonlySet<string> = new Set(['published', 'unknown']);

export interface RetentionDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'versions' | 'purge'>;
  /** False: no route keeps anything for a time only, and nothing is walked. */
  isNeeded(): boolean;
  /** Milliseconds; undefined: for good. */
  keepMs(path: ModulePath): number | undefined;
  /** After each version that was taken out. */
  onRemoved(path: ModulePath, version: Version, bytes: number): void;
  onFailed(error: unknown): void;
}

const everyMs = 3_600_000;

export class Retention {
  readonly #deps: RetentionDeps;
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;
  #isStopped = false;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer ??= this.#deps.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.pass().finally(() => {
        if (!this.#isStopped) this.start();
      });
    }, everyMs);
  }

  /** One walk over the store; joins one that is under way. Never rejects. */
  pass(): Promise<void> {
    this.#pass ??= this.#walk()
      .catch((error: unknown) => this.#deps.onFailed(error))
      .finally(() => {
        this.#pass = undefined;
      });
    return this.#pass;
  }

  /** Ends after the version it is at. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#pass;
  }

  async #walk(): Promise<void> {
    const { store, clock } = this.#deps;
    if (!this.#deps.isNeeded()) return;
    for await (const entry of store.versions()) {
      if (this.#isStopped) return;
      const limitMs = this.#deps.keepMs(entry.path);
      const { path, version } = entry;
      if (limitMs === undefined || !isOlderThan(entry, clock.now() - limitMs)) continue;
      const { removedBytes } = await store.purge({ path, version });
      this.#deps.onRemoved(path, version, removedBytes);
    }
  }
}

/** All that is known of it was stored before `atMs`, and none of it was uploaded, or may have been. */
function isOlderThan({ artifacts, unreadable }: VersionEntry, atMs: number): boolean {
  const records = Object.values(artifacts);
  const isSure = records.length > 0 && Object.keys(unreadable ?? {}).length === 0;
  return isSure && records.every(({ source, storedAtMs }) => !mayBeUpload.has(source) && storedAtMs < atMs);
}
