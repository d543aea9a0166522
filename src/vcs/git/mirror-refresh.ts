/**
 * What a mirror wants from its server: the refs, asked by ls-remote; the branches and tags, fetched once somebody wants
 * what is behind them; single objects. One call for many askers each.
 */
import { existsSync } from 'node:fs';
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { SharedWork } from '../../lib/shared-work.ts';
import { VcsError } from '../types.ts';
import type { GitCaller, RemoteTarget } from './git-caller.ts';
import { MirrorFetch } from './mirror-fetch.ts';
import { MirrorFolder } from './mirror-folder.ts';
import type { MirrorLimits, MovedTag } from './mirror-options.ts';
import { isTooLarge } from './mirror-watch.ts';
import {
  isSameListing,
  movedTags,
  type RefListing,
  RefParser,
  readListing,
  writeListing,
} from './ref-listing.ts';

/** A repository that is too large is not fetched again for so long. */
const refusedForMs = 10 * 60_000;
/** Output of ls-remote: other refs (pull requests) count, though nothing of them is kept. */
const maxListingBytes = 256 * 2 ** 20;

export interface GitMirrorParts {
  /** Checked. */
  readonly url: string;
  /** `…/HASH.git`; its lock and its listing lie beside it. */
  readonly gitDir: string;
  readonly caller: GitCaller;
  readonly clock: Clock;
  readonly limits: MirrorLimits;
  readonly onTagMoved: ((moved: MovedTag) => void) | undefined;
}

export class MirrorRefresh {
  readonly #parts: GitMirrorParts;
  readonly #folder: MirrorFolder;
  readonly #fetch: MirrorFetch;
  readonly #works = new Set<SharedWork<unknown>>();
  readonly #filling = new Map<string, SharedWork<void>>();
  #path: ModulePath | undefined;
  #listing: RefListing | undefined;
  /** Monotonic; undefined: the next `refs` asks. */
  #askedAtMs: number | undefined;
  #asking: SharedWork<RefListing> | undefined;
  #asks = 0;
  /** Answers to earlier questions count for those who asked them, and no further. */
  #firstValidAsk = 0;
  /** The listing that the mirror is known to be at. */
  #fetched: RefListing | undefined;
  #syncing: SharedWork<void> | undefined;
  #refused: { readonly error: unknown; readonly untilMs: number } | undefined;
  #generation = 0;

  constructor(parts: GitMirrorParts) {
    this.#parts = parts;
    const { caller, clock, limits, gitDir } = parts;
    this.#folder = new MirrorFolder(gitDir, clock);
    this.#fetch = new MirrorFetch({ caller, clock, limits, folder: this.#folder });
  }

  get isIdle(): boolean {
    return this.#works.size === 0;
  }

  /** False before the first fetch, and when the mirror was removed. */
  get isMade(): boolean {
    return existsSync(this.#folder.fetchedFile);
  }

  /** Goes up with each mirror that was made in place of a damaged one. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether the server named this commit when it was asked last. */
  isListed(commit: string): boolean {
    return this.#listing?.some((ref) => ref.commit === commit) === true;
  }

  /** Credentials may depend on the module; the last one who opened the mirror counts. */
  openedFor(path: ModulePath): void {
    this.#path = path;
  }

  expire(): void {
    this.#askedAtMs = undefined;
    this.#asking = undefined;
    this.#firstValidAsk = this.#asks;
  }

  async close(): Promise<void> {
    const works = [...this.#works];
    for (const work of works) work.cancel(new VcsError('aborted', 'modferry is stopping'));
    await Promise.allSettled(works.map((work) => work.promise));
  }

  async refs(maxAgeMs: number, signal: AbortSignal): Promise<RefListing> {
    signal.throwIfAborted();
    const nowMs = this.#parts.clock.monotonic();
    const isFresh = this.#askedAtMs !== undefined && nowMs - this.#askedAtMs < maxAgeMs;
    if (this.#listing !== undefined && isFresh) return this.#listing;
    this.#asking ??= this.#share(
      (inner) => this.#ask(inner),
      (work) => {
        if (this.#asking === work) this.#asking = undefined;
      },
    );
    return await this.#asking.join(signal);
  }

  /** Brings the mirror to what the server listed last; asks when it never was. */
  async catchUp(signal: AbortSignal): Promise<void> {
    if (this.#listing === undefined) await this.refs(0, signal);
    // One that is under way for an older listing may not bring what this asker wants.
    while (this.#fetched !== this.#listing || !this.isMade) {
      this.#throwRefusal();
      this.#syncing ??= this.#sync(false);
      await this.#syncing.join(signal);
    }
  }

  /** Makes the mirror anew, unless somebody did since this generation. */
  async remake(generation: number, signal: AbortSignal): Promise<void> {
    if (this.#listing === undefined) await this.refs(0, signal);
    while (this.#generation === generation) {
      this.#throwRefusal();
      const before = this.#syncing;
      this.#syncing ??= this.#sync(true);
      // How another one ends is of no account: the files are bad all the same.
      if (before === undefined) await this.#syncing.join(signal);
      else await before.join(signal).catch(() => signal.throwIfAborted());
    }
  }

  /** Fetches single objects. */
  async fetchObjects(hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const key = `${hashes.length} ${hashes[0]} ${hashes.at(-1)}`;
    let work = this.#filling.get(key);
    if (work === undefined) {
      work = this.#share(
        (inner) => this.#fetch.objects(this.#target, hashes, inner),
        () => this.#filling.delete(key),
      );
      this.#filling.set(key, work);
    }
    await work.join(signal);
    this.#tidy();
  }

  async #ask(signal: AbortSignal): Promise<RefListing> {
    this.#asks += 1;
    const ask = this.#asks;
    const parser = new RefParser();
    const { caller, clock, limits, url } = this.#parts;
    const askedAtMs = clock.monotonic();
    const result = await caller.remote(this.#target, ['ls-remote', '--quiet', '--end-of-options', url], {
      signal,
      onData: parser.push,
      maxBytes: maxListingBytes,
      timeoutMs: limits.listTimeoutMs,
    });
    if (result.error !== undefined) throw result.error;
    const listing = parser.refs();
    if (ask <= this.#firstValidAsk) return listing;
    await this.#take(listing);
    this.#askedAtMs = askedAtMs;
    return listing;
  }

  async #take(listing: RefListing): Promise<void> {
    const { gitDir, onTagMoved, url } = this.#parts;
    const file = `${gitDir}.refs`;
    const before = this.#listing ?? (await readListing(file)) ?? [];
    if (this.#listing !== undefined && isSameListing(before, listing)) return;
    this.#listing = listing;
    if (isSameListing(before, listing)) return;
    // Lost, it costs no more than the news of a tag that moves over the next restart.
    await writeListing(file, listing).catch(() => {});
    for (const moved of movedTags(before, listing)) tell(onTagMoved, { url, ...moved });
  }

  #sync(isDamaged: boolean): SharedWork<void> {
    const listing = this.#listing ?? [];
    return this.#share(
      async (inner) => {
        try {
          await this.#fetch.refs(this.#target, listing, isDamaged, inner);
        } catch (error) {
          if (isTooLarge(error)) {
            this.#refused = { error, untilMs: this.#parts.clock.monotonic() + refusedForMs };
          }
          throw error;
        }
        if (isDamaged) this.#generation += 1;
        this.#fetched = listing;
        this.#tidy();
      },
      () => {
        this.#syncing = undefined;
      },
    );
  }

  #throwRefusal(): void {
    if (this.#refused === undefined) return;
    if (this.#parts.clock.monotonic() < this.#refused.untilMs) throw this.#refused.error;
    this.#refused = undefined;
  }

  #tidy(): void {
    this.#share(
      (inner) => this.#fetch.tidy(inner),
      () => {},
    );
  }

  #share<Result>(
    run: (signal: AbortSignal) => Promise<Result>,
    over: (work: SharedWork<Result>) => void,
  ): SharedWork<Result> {
    // It has a deadline of its own, and what was begun serves the next asker, who is often the same one again.
    const work: SharedWork<Result> = new SharedWork<Result>(
      async (signal) => {
        try {
          return await run(signal);
        } finally {
          // Before anybody who waits goes on: they may look at what is under way.
          this.#works.delete(work);
          over(work);
        }
      },
      () => true,
    );
    this.#works.add(work);
    return work;
  }

  get #target(): RemoteTarget {
    return { url: this.#parts.url, path: this.#path };
  }
}

function tell(listener: ((moved: MovedTag) => void) | undefined, moved: MovedTag): void {
  try {
    listener?.(moved);
  } catch {
    // A listener's fault is no fault of the repository.
  }
}
