/**
 * What a mirror wants from its server: the refs, asked by ls-remote; the branches and tags, fetched once somebody wants
 * what is behind them; single objects. One call for many askers each.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { SharedWork } from '../../lib/shared-work.ts';
import { VcsError } from '../types.ts';
import type { GitCaller, RemoteTarget } from './git-caller.ts';
import type { ListingMemory } from './listing-memory.ts';
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
import type { RunningGits } from './running-gits.ts';

/** A repository, or a version of it, that is too large is not fetched again for so long. */
const refusedForMs = 10 * 60_000;
const maxRefusals = 256;
const refsKey = 'refs';
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
  readonly running: RunningGits;
  readonly listings: ListingMemory;
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
  /** By what was fetched; oldest first. */
  readonly #refused = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  #generation = 0;

  constructor(parts: GitMirrorParts) {
    this.#parts = parts;
    this.#folder = new MirrorFolder(parts.gitDir, parts.clock);
    this.#fetch = new MirrorFetch({ ...parts, folder: this.#folder });
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

  /** Its listing no longer counts among those in memory. */
  forgotten(): void {
    this.#parts.listings.drop(this);
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
    if (this.#listing !== undefined && isFresh) {
      this.#parts.listings.used(this);
      return this.#listing;
    }
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
    // One that is under way for an older listing may not bring what this asker wants.
    for (;;) {
      const listing = this.#listing;
      if (listing === undefined) {
        await this.refs(0, signal);
        continue;
      }
      if (this.#fetched === listing && this.isMade) return;
      this.#throwRefusal(refsKey);
      this.#syncing ??= this.#sync(listing, false);
      await this.#syncing.join(signal);
    }
  }

  /** The next who wants the refs asks. Only while nothing is under way. */
  forgetListing(): void {
    this.#listing = undefined;
    this.#fetched = undefined;
    this.#askedAtMs = undefined;
  }

  /** Makes the mirror anew, unless somebody did since this generation. */
  async remake(generation: number, signal: AbortSignal): Promise<void> {
    while (this.#generation === generation) {
      const listing = this.#listing;
      if (listing === undefined) {
        await this.refs(0, signal);
        continue;
      }
      this.#throwRefusal(refsKey);
      const before = this.#syncing;
      this.#syncing ??= this.#sync(listing, true);
      // How another one ends is of no account: the files are bad all the same.
      if (before === undefined) await this.#syncing.join(signal);
      else await before.join(signal).catch(() => signal.throwIfAborted());
    }
  }

  /** Fetches single objects. Those that are too large together are refused for a while, and no others. */
  async fetchObjects(hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const key = createHash('sha256').update(hashes.join('\n')).digest('hex');
    this.#throwRefusal(key);
    let work = this.#filling.get(key);
    if (work === undefined) {
      work = this.#share(
        (inner) => this.#refusable(key, this.#fetch.objects(this.#target, hashes, inner)),
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
    this.#fetched = undefined;
    this.#parts.listings.keep(this, listing);
    if (isSameListing(before, listing)) return;
    // Lost, it costs no more than the news of a tag that moves over the next restart.
    await writeListing(file, listing).catch(() => {});
    for (const moved of movedTags(before, listing)) tell(onTagMoved, { url, ...moved });
  }

  #sync(listing: RefListing, isDamaged: boolean): SharedWork<void> {
    return this.#share(
      async (inner) => {
        await this.#refusable(refsKey, this.#fetch.refs(this.#target, listing, isDamaged, inner));
        if (isDamaged) this.#generation += 1;
        if (this.#listing === listing) this.#fetched = listing;
        this.#tidy();
      },
      () => {
        this.#syncing = undefined;
      },
    );
  }

  /** Remembers when it is refused for its size. */
  async #refusable(key: string, fetch: Promise<void>): Promise<void> {
    try {
      await fetch;
    } catch (error) {
      if (isTooLarge(error)) {
        this.#refused.delete(key);
        this.#refused.set(key, { error, untilMs: this.#parts.clock.monotonic() + refusedForMs });
        const [oldest] = this.#refused.keys();
        if (this.#refused.size > maxRefusals && oldest !== undefined) this.#refused.delete(oldest);
      }
      throw error;
    }
  }

  #throwRefusal(key: string): void {
    const refused = this.#refused.get(key);
    if (refused === undefined) return;
    if (this.#parts.clock.monotonic() < refused.untilMs) throw refused.error;
    this.#refused.delete(key);
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
