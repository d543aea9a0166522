/**
 * Places for uploads: so many at once, and only a few of them for one publisher, so that nobody can keep all others from
 * publishing by sending slowly. Whoever gets no place in time is told to come again.
 */
import type { Clock } from '../lib/clock.ts';
import { Semaphore } from '../lib/semaphore.ts';
import { PublishError } from './types.ts';

export interface UploadPlacesOptions {
  /** Uploads at once. */
  readonly maxAtOnce: number;
  /** Of one publisher at once. */
  readonly maxEach: number;
  /** How long an upload waits for a place. Milliseconds. */
  readonly waitMs: number;
}

export class UploadPlaces {
  readonly #clock: Clock;
  readonly #options: UploadPlacesOptions;
  readonly #all: Semaphore;
  /** Publishers that hold a place or wait for one. */
  readonly #each = new Map<string, Semaphore>();

  constructor(clock: Clock, options: UploadPlacesOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#all = new Semaphore(options.maxAtOnce);
  }

  /** Publishers that are remembered. */
  get publishers(): number {
    return this.#each.size;
  }

  /** Resolves to what gives the place back. Rejects with PublishError `busy`, or with the signal's reason. */
  async acquire(who: string, signal: AbortSignal): Promise<() => void> {
    const { maxEach, waitMs } = this.#options;
    const late = new AbortController();
    const timer = this.#clock.setTimeout(() => late.abort(), waitMs);
    const ended = AbortSignal.any([signal, late.signal]);
    const own = this.#each.get(who) ?? new Semaphore(maxEach);
    this.#each.set(who, own);
    let releaseOwn: (() => void) | undefined;
    try {
      releaseOwn = await own.acquire(ended);
      const releaseAll = await this.#all.acquire(ended);
      return () => {
        releaseAll?.();
        releaseOwn?.();
        this.#forget(who, own);
      };
    } catch (error) {
      const isOwn = releaseOwn === undefined;
      releaseOwn?.();
      this.#forget(who, own);
      if (signal.aborted || !late.signal.aborted) throw error;
      throw this.#busy(isOwn);
    } finally {
      timer.cancel();
    }
  }

  #forget(who: string, own: Semaphore): void {
    if (own.active === 0 && own.queued === 0 && this.#each.get(who) === own) this.#each.delete(who);
  }

  #busy(isOwn: boolean): PublishError {
    const { maxAtOnce, maxEach } = this.#options;
    return new PublishError(
      'busy',
      isOwn
        ? `${maxEach} uploads of yours are under way, the most there may be at once; try again when one has ended`
        : `${maxAtOnce} uploads are under way, the most there may be at once; try again later`,
    );
  }
}
