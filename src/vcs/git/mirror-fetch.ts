/**
 * Writes into a mirror: the one who fetches branches and tags (one among processes), and the fetch of single objects
 * that a partial mirror lacks. Whatever killed a git before, or broke its files, is mended here: by taking away what it
 * left, or by making the mirror anew, once.
 */
import type { Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { type HeldLock, LockFile } from '../../lib/lock-file.ts';
import { VcsError } from '../types.ts';
import type { GitCaller, RemoteResult, RemoteTarget } from './git-caller.ts';
import { isLockedByLeftover, looksCorrupt } from './git-error.ts';
import type { MirrorFolder } from './mirror-folder.ts';
import type { MirrorLimits } from './mirror-options.ts';
import { isTooLarge, MirrorWatch } from './mirror-watch.ts';
import { isSameListing, type RefListing, readListing, writeListing } from './ref-listing.ts';

/** So many packs make every look-up slow; then they become one. */
const maxPacks = 64;
/** Where a HEAD is kept that no branch leads to. */
const headRef = 'refs/modferry/head';

export interface MirrorFetchParts {
  readonly caller: GitCaller;
  readonly folder: MirrorFolder;
  readonly clock: Clock;
  readonly limits: MirrorLimits;
}

export class MirrorFetch {
  readonly #caller: GitCaller;
  readonly #folder: MirrorFolder;
  readonly #clock: Clock;
  readonly #limits: MirrorLimits;
  readonly #lock: LockFile;

  constructor({ caller, folder, clock, limits }: MirrorFetchParts) {
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
      const watch = new MirrorWatch(this.#folder, this.#clock, this.#limits.maxRepositoryBytes, lock);
      await watch.over(signal, async (inner) => {
        await this.#fetchMended(target, listing, isDamaged, inner);
        await this.#quietly(['pack-refs', '--all'], inner);
      });
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

  /** Objects by their hashes: blobs that are missing, or a commit that no ref leads to. */
  async objects(target: RemoteTarget, hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const watch = new MirrorWatch(this.#folder, this.#clock, this.#limits.maxRepositoryBytes);
    try {
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
        return this.#fetch(target, [...how, '--end-of-options', 'origin'], inner, input);
      });
      if (result.error !== undefined) throw result.error;
    } catch (error) {
      if (isTooLarge(error)) await this.#locked(target, signal, () => this.#folder.remove());
      throw asVcsError(target, error);
    }
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
    const objectFormat = listing[0]?.commit.length === 64 ? 'sha256' : 'sha1';
    const make = (isPartial: boolean): Promise<void> =>
      this.#folder.make(this.#caller, { url, isPartial }, objectFormat, signal);
    const marker = isDamaged ? undefined : await this.#folder.marker();
    let isNew = marker?.url !== url;
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
    input?: string,
  ): Promise<RemoteResult> {
    const { gitDir } = this.#folder;
    return await this.#caller.remote(target, args, {
      gitDir,
      signal,
      input,
      timeoutMs: this.#limits.fetchTimeoutMs,
    });
  }

  async #quietly(args: readonly string[], signal: AbortSignal): Promise<void> {
    const { gitDir } = this.#folder;
    await this.#caller
      .local(args, { gitDir, signal, timeoutMs: this.#limits.fetchTimeoutMs })
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
