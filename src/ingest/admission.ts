/** What a fill needs before it may ask a source: a place among the fetches, and the claim between processes. */
import type { ArtifactKey, ModulePath } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { HostPlaces } from '../lib/host-places.ts';
import { Semaphore } from '../lib/semaphore.ts';
import type { Store } from '../store/store.ts';
import { type IngestOptions, SourcesFailure } from './types.ts';

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly isPrivate: (path: ModulePath) => boolean;
  options(): IngestOptions;
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #slots: Semaphore;
  /** Repositories may be silent for minutes: their modules must not take the places of all others. */
  readonly #private: HostPlaces;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    const { concurrency } = deps.options();
    this.#slots = new Semaphore(concurrency, concurrency * 4);
    this.#private = new HostPlaces({
      inAll: Math.max(1, Math.floor(concurrency / 2)),
      perHost: Math.max(1, Math.floor(concurrency / 4)),
      // A quarter for one host: as many as may wait for a public one.
      maxQueued: concurrency * 16,
    });
  }

  /** Fills that wait for a place. */
  get waiting(): number {
    return this.#slots.queued + this.#private.queued;
  }

  /**
   * Resolves to the place's release. Rejects with SourcesFailure `overload` when too many wait, or the signal's
   * reason. Private modules have half of the places, those of one host a quarter. `isBackground`: look-ahead bounds itself; in this queue a client that joins its fill would wait behind
   * all other clients.
   */
  async slot(path: ModulePath, signal: AbortSignal, isBackground: boolean): Promise<() => void> {
    if (isBackground) return () => {};
    const patience = new AbortController();
    const timer = this.#deps.clock.setTimeout(() => patience.abort(), this.#deps.options().lastHopeMs);
    let release: (() => void) | undefined;
    try {
      const either = AbortSignal.any([signal, patience.signal]);
      release = await (this.#deps.isPrivate(path)
        ? this.#privateSlot(path, either)
        : this.#slots.acquire(either));
    } catch (error) {
      if (!patience.signal.aborted || signal.aborted) throw error;
    } finally {
      timer.cancel();
    }
    if (release === undefined) {
      throw new SourcesFailure('overload', 'too many fetches are waiting; ask again in a few seconds');
    }
    return release;
  }

  async #privateSlot(path: ModulePath, signal: AbortSignal): Promise<(() => void) | undefined> {
    const releaseOwn = await this.#private.acquire(path.split('/', 1)[0] ?? '', signal);
    if (releaseOwn === undefined) return undefined;
    let release: (() => void) | undefined;
    try {
      release = await this.#slots.acquire(signal);
    } finally {
      if (release === undefined) releaseOwn();
    }
    if (release === undefined) return undefined;
    const releaseCommon = release;
    return () => {
      releaseCommon();
      releaseOwn();
    };
  }

  /** Resolves to the claim's release, or `stored` when another process finished the fill. */
  async claim(key: ArtifactKey, signal: AbortSignal): Promise<(() => Promise<void>) | 'stored'> {
    for (;;) {
      let claim: Awaited<ReturnType<Store['claim']>>;
      try {
        claim = await this.#deps.store.claim(key);
      } catch {
        // The claim only saves work: without it (full disk, read-only folder) we may fetch twice.
        return async () => {};
      }
      if (claim.holder === 'us') {
        // The holder before us may have published between our look in the store and our claim.
        if (!(await this.#isStored(key))) return claim.release.bind(claim);
        await claim.release();
        return 'stored';
      }
      if ((await claim.wait(signal)) === 'published') return 'stored';
    }
  }

  /** Whole, not just there: a rotten file is what this fill may heal. */
  async #isStored(key: ArtifactKey): Promise<boolean> {
    const file = await this.#deps.store.open(key).catch(() => undefined);
    await file?.close();
    return file !== undefined;
  }
}
