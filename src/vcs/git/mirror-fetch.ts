/**
 * Writes into a mirror: the one who fetches branches and tags (one among processes), and the fetch of single objects
 * that a partial mirror lacks. Whatever killed a git before, or broke its files, is mended here: by taking away what it
 * left, or by making the mirror anew, once.
 */
import { rm } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { type HeldLock, LockFile } from '../../lib/lock-file.ts';
import { VcsError } from '../types.ts';
import type { GitCaller, RemoteResult, RemoteTarget } from './git-caller.ts';
import type { GitCall } from './git-command.ts';
import { isLockedByLeftover, looksCorrupt } from './git-error.ts';
import { type MirrorFolder, type ObjectFormat, packsBytes } from './mirror-folder.ts';
import { CorruptMirror } from './mirror-objects.ts';
import type { MirrorLimits } from './mirror-options.ts';
import { isTooLarge, MirrorWatch } from './mirror-watch.ts';
import { isSameListing, type RefListing, readListing, writeListing } from './ref-listing.ts';
import type { RunningGits } from './running-gits.ts';

/** So many packs make every look-up slow; then they become one. */
const maxPacks = 64;
const emptiedAtMostEveryMs = 10 * 60_000;
/** Where a HEAD is kept that no branch leads to. */
const headRef = 'refs/modferry/head';

export interface MirrorFetchParts {
  readonly caller: GitCaller;
  readonly folder: MirrorFolder;
  readonly clock: Clock;
  readonly limits: MirrorLimits;
  readonly running: RunningGits;
}

export class MirrorFetch {
  readonly #caller: GitCaller;
  readonly #folder: MirrorFolder;
  readonly #clock: Clock;
  readonly #limits: MirrorLimits;
  readonly #running: RunningGits;
  /** Monotonic. */
  #emptiedAtMs: number | undefined;
  readonly #lock: LockFile;

  constructor({ caller, folder, clock, limits, running }: MirrorFetchParts) {
    this.#running = running;
    this.#caller = caller;
    this.#folder = folder;
    this.#clock = clock;
    this.#limits = limits;
    // Whoever fetches elsewhere is waited for: what it brings is what is wanted here.
    this.#lock = new LockFile(`${folder.gitDir}.lock`, clock, { patienceMs: limits.fetchTimeoutMs + 60_000 });
  }

  /**
   * Brings the mirror to this listing, which was asked just now. Does nothing when another process did it meanwhile.
   * `isDamaged`: makes it anew whatever is there.
   */
  async refs(
    target: RemoteTarget,
    listing: RefListing,
    isDamaged: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    if (!isDamaged && (await this.isAt(listing))) return;
    await this.#locked(target, signal, async (lock) => {
      if (!isDamaged && (await this.isAt(listing))) return;
      await this.#running.endOrphans();
      const fetch = async (isAnew: boolean): Promise<void> => {
        const watch = new MirrorWatch(this.#folder, this.#clock, this.#limits.maxRepositoryBytes, lock);
        await watch.over(signal, async (inner) => {
          await this.#fetchMended(target, listing, isAnew, inner);
          await this.#quietly(['pack-refs', '--all'], inner);
        });
      };
      const isThere = !isDamaged && (await this.#folder.marker()) !== undefined;
      try {
        await fetch(isDamaged);
      } catch (error) {
        if (!isThere || !isTooLarge(error)) throw error;
        // It may have been the blobs of versions that nobody asks for any more.
        await fetch(true);
      }
      await lock.check();
      await writeListing(this.#folder.fetchedFile, listing);
    });
  }

  /** True when the mirror is whole and was fetched at this very listing. */
  async isAt(listing: RefListing): Promise<boolean> {
    if ((await this.#folder.marker()) === undefined) return false;
    const fetched = await readListing(this.#folder.fetchedFile);
    return fetched !== undefined && isSameListing(fetched, listing);
  }

  /**
   * Objects by their hashes: blobs that are missing, or a commit that no ref leads to. Rejects with CorruptMirror when
   * the mirror is to be made anew, to have room for them.
   */
  async objects(target: RemoteTarget, hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const watch = new MirrorWatch(this.#folder, this.#clock, this.#limits.maxRepositoryBytes);
    let incoming: string | undefined;
    try {
      // Apart, so that what is refused leaves nothing in a mirror that other modules use.
      const objectsDir = await this.#folder.makeIncoming();
      incoming = objectsDir;
      const result = await watch.over(signal, (inner) => {
        // What is missing has no history to be talked about with the server.
        const how = [
          '-c',
          'fetch.negotiationAlgorithm=noop',
          'fetch',
          ...quietFetch,
          '--filter=blob:none',
          '--stdin',
        ];
        const input = hashes.map((hash) => `${hash}\n`).join('');
        return this.#fetch(target, [...how, '--end-of-options', 'origin'], inner, { input, objectsDir });
      });
      if (result.error !== undefined) throw result.error;
      await this.#folder.take(objectsDir);
    } catch (error) {
      if (isTooLarge(error) && incoming !== undefined && (await this.#isFullOfOthers(incoming))) {
        throw new CorruptMirror('it is full of other versions');
      }
      throw asVcsError(target, error);
    } finally {
      if (incoming !== undefined) await rm(incoming, { recursive: true, force: true }).catch(() => {});
    }
  }

  /**
   * True, once in a while, when what is refused was not much: the room went to versions before it, which are fetched
   * again when somebody wants them.
   */
  async #isFullOfOthers(incoming: string): Promise<boolean> {
    const nowMs = this.#clock.monotonic();
    if (this.#emptiedAtMs !== undefined && nowMs - this.#emptiedAtMs < emptiedAtMostEveryMs) return false;
    if ((await packsBytes(incoming)) > this.#limits.maxRepositoryBytes / 2) return false;
    this.#emptiedAtMs = nowMs;
    return true;
  }

  /** Many small packs become one. Leaves off when another process writes; failures are of no account. */
  async tidy(signal: AbortSignal): Promise<void> {
    if ((await this.#folder.packs()) <= maxPacks) return;
    await this.#lock
      .runIfFree(async (lock) => {
        const watch = new MirrorWatch(this.#folder, this.#clock, Number.POSITIVE_INFINITY, lock);
        await watch.over(signal, (inner) =>
          this.#quietly(['repack', '-a', '-d', '-k', '-q', '--no-write-bitmap-index'], inner),
        );
      })
      .catch(() => {});
  }

  async #fetchMended(
    target: RemoteTarget,
    listing: RefListing,
    isDamaged: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { url } = target;
    const marker = isDamaged ? undefined : await this.#folder.marker();
    // Nobody knows what the hashes of an empty repository are going to be.
    const objectFormat = formatOf(listing) ?? marker?.objectFormat ?? 'sha1';
    const make = (isPartial: boolean): Promise<void> =>
      this.#folder.make(this.#caller, { url, isPartial, objectFormat }, signal);
    let isNew = marker?.url !== url || marker.objectFormat !== objectFormat;
    let isPartial = isNew || marker?.isPartial === true;
    if (isNew) await make(isPartial);
    else await this.#folder.sweep();

    // Each mend is tried once.
    let isUnlocked = false;
    for (;;) {
      const result = await this.#fetch(target, refsFetch(listing, isPartial), signal);
      if (result.error === undefined) return;
      if (isLockedByLeftover(result.stderr) && !isUnlocked) {
        isUnlocked = true;
        await this.#folder.removeLocks();
      } else if (!isNew && looksCorrupt(result.stderr)) {
        isNew = true;
        await make(isPartial);
      } else if (isNew && isPartial && mayBeTheFilter(result)) {
        // Some servers break off where others ignore a filter that they do not know.
        isPartial = false;
        await make(false);
      } else {
        throw result.error;
      }
    }
  }

  async #fetch(
    target: RemoteTarget,
    args: readonly string[],
    signal: AbortSignal,
    more: Pick<GitCall, 'input' | 'objectsDir'> = {},
  ): Promise<RemoteResult> {
    const { gitDir } = this.#folder;
    await this.#limits.requireDisk();
    return await this.#caller.remote(target, args, {
      ...more,
      gitDir,
      signal,
      timeoutMs: this.#limits.fetchTimeoutMs,
      onStart: this.#running.record,
    });
  }

  async #quietly(args: readonly string[], signal: AbortSignal): Promise<void> {
    const { gitDir } = this.#folder;
    await this.#caller
      .local(args, {
        gitDir,
        signal,
        timeoutMs: this.#limits.fetchTimeoutMs,
        onStart: this.#running.record,
      })
      .catch(() => {});
  }

  async #locked(
    target: RemoteTarget,
    signal: AbortSignal,
    work: (lock: HeldLock) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#lock.run(async (lock) => {
        signal.throwIfAborted();
        try {
          await work(lock);
        } catch (error) {
          if (isTooLarge(error)) await this.#folder.remove();
          throw error;
        }
      });
    } catch (error) {
      throw asVcsError(target, error);
    }
  }
}

const quietFetch = [
  '--quiet',
  '--no-tags',
  '--no-write-fetch-head',
  '--no-auto-maintenance',
  '--recurse-submodules=no',
];

/** Undefined: there is nothing to tell it by. */
function formatOf([first]: RefListing): ObjectFormat | undefined {
  if (first === undefined) return undefined;
  return first.commit.length === 64 ? 'sha256' : 'sha1';
}

function refsFetch(listing: RefListing, isPartial: boolean): readonly string[] {
  const head = listing.find(({ name }) => name === 'HEAD')?.commit;
  const isLoose =
    head !== undefined && !listing.some(({ name, commit }) => name !== 'HEAD' && commit === head);
  return [
    'fetch',
    ...quietFetch,
    '--prune',
    '--force',
    ...(isPartial ? ['--filter=blob:none'] : []),
    '--end-of-options',
    'origin',
    '+refs/heads/*:refs/heads/*',
    '+refs/tags/*:refs/tags/*',
    ...(isLoose ? [`+HEAD:${headRef}`] : []),
  ];
}

/** Not when git was killed, or the server is only overloaded: the mirror would be whole for ever because of a moment. */
function mayBeTheFilter({ error, exitCode, stderr }: RemoteResult): boolean {
  return (
    error?.code === 'failed' && exitCode <= 128 && !/returned error: (?:3\d\d|429|50[234])\b/.test(stderr)
  );
}

/** Failures of the disk and of the lock are told as what they mean for the asker. */
function asVcsError(target: RemoteTarget, error: unknown): unknown {
  if (error instanceof VcsError) return error;
  const code = errnoOf(error);
  const host = URL.parse(target.url)?.host ?? '';
  if (code === 'locked' || code === 'lock_lost') {
    return new VcsError('busy', `another process is at the mirror of ${host}; try again`, { cause: error });
  }
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new VcsError('failed', `the mirror of ${host} could not be written (${code})`, { cause: error });
}
