/**
 * The registry: takes uploads into the store, and takes versions back by name. What was published never changes, and a
 * name that was taken back is never given again.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { pump } from '../lib/pump.ts';
import type { Staged, Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import type { ZipLimits } from '../zip/zip-types.ts';
import { publishUpload } from './publication.ts';
import { type PurgeOrder, type PurgeOutcome, purgeStored } from './purge-stored.ts';
import { isComplete, mayBePublished, storedVersion } from './stored-version.ts';
import { Tombstones } from './tombstones.ts';
import { PublishError, type Published, type Registry, type Tombstone } from './types.ts';
import { paced, type UploadPace } from './upload-pace.ts';
import { UploadPlaces } from './upload-places.ts';
import { checkGoMod, checkReason, checkVersion, isDiskFull, refusalOf } from './upload-rules.ts';
import { VersionLocks } from './version-lock.ts';

/** What an upload may be and do. */
export interface UploadOptions extends UploadPace {
  /** `zipBytes` bounds the upload itself; single others replace `defaultZipLimits`. */
  readonly limits: Partial<ZipLimits> & Pick<ZipLimits, 'zipBytes'>;
  readonly allowPseudo: boolean;
}

/** Defaults of everything but the limits. */
export const defaultUploadOptions: Omit<UploadOptions, 'limits'> = {
  idleMs: 30_000,
  minRateBytes: 1024,
  allowPseudo: false,
};

export interface RegistryDeps {
  readonly store: Store;
  readonly zips: Pick<ZipVerifier, 'verify'>;
  readonly clock: Clock;
  /** `DATA/meta`, absolute: tombstones and locks are kept there. */
  readonly metaFolder: string;
  /** Read at each upload: a reload may change them. */
  options(): UploadOptions;
  /** Uploads received at once; further ones wait for `maxPlaceWaitMs`. Default 16. */
  readonly maxUploads?: number | undefined;
  /** Of one publisher at once. Default 4. */
  readonly maxUploadsEach?: number | undefined;
  /** Who gets no place in so long is told to come again. Milliseconds, default 10,000. */
  readonly maxPlaceWaitMs?: number | undefined;
  /** A version was published or taken back here: remembered absences and lists of the module are out of date. */
  onChanged?(path: ModulePath, version: Version): void;
}

export interface OpenRegistry extends Registry {
  /** Removes what is stored, by an operator's order. See `purgeStored` for what it refuses and rejects with. */
  purge(order: PurgeOrder): Promise<PurgeOutcome>;
  /** Lines of the tombstone file that could not be read. */
  readonly damagedLines: number;
  /** Resolves when versions that were still stored although taken back are gone. Never rejects. */
  readonly settled: Promise<void>;
  /** Stops following other processes. Uploads under way go on. */
  close(): void;
}

const defaultMaxUploads = 16;
const defaultMaxUploadsEach = 4;
const defaultMaxPlaceWaitMs = 10_000;

/** Reads the tombstones, and follows what other processes add. Rejects with the system's error. */
export async function createRegistry(deps: RegistryDeps): Promise<OpenRegistry> {
  const tombstones = await Tombstones.open(join(deps.metaFolder, 'tombstones.jsonl'), deps.clock);
  return new StoreRegistry(deps, tombstones);
}

type Upload = Parameters<Registry['publish']>[0];

class StoreRegistry implements OpenRegistry {
  readonly settled: Promise<void>;
  readonly #deps: RegistryDeps;
  readonly #tombstones: Tombstones;
  readonly #locks: VersionLocks;
  readonly #places: UploadPlaces;
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(deps: RegistryDeps, tombstones: Tombstones) {
    this.#deps = deps;
    this.#tombstones = tombstones;
    this.#locks = new VersionLocks(join(deps.metaFolder, 'publishing'), deps.clock);
    this.#places = new UploadPlaces(deps.clock, {
      maxAtOnce: deps.maxUploads ?? defaultMaxUploads,
      maxEach: deps.maxUploadsEach ?? defaultMaxUploadsEach,
      waitMs: deps.maxPlaceWaitMs ?? defaultMaxPlaceWaitMs,
    });
    // Whoever takes a version back writes its tombstone first and purges it then.
    this.#unsubscribe = deps.store.onPurge(() => {
      tombstones.refresh().catch(() => {});
    });
    this.settled = this.#purgeLeftBehind();
  }

  get damagedLines(): number {
    return this.#tombstones.damagedLines;
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
  }

  tombstoneOf(path: ModulePath, version: Version): Tombstone | undefined {
    return this.#tombstones.of(path, version);
  }

  tombstones(path: ModulePath): readonly Tombstone[] {
    return this.#tombstones.ofModule(path);
  }

  /**
   * Rejects with PublishError; with StoreError for a folder that cannot be written, or a purge meanwhile (`purged`);
   * with ZipError `verifier_…`; with ModferryError `locked` or `lock_lost`; with the signal's reason; or with what the
   * body threw.
   */
  async publish(upload: Upload): Promise<Published> {
    const { path, version, signal } = upload;
    const options = this.#deps.options();
    checkVersion(path, version, options);
    checkLength(upload.declaredBytes, options.limits.zipBytes);
    await this.#refuseTombstoned(path, version);
    const release = await this.#places.acquire(upload.who, signal);
    try {
      await this.#checkSpace(upload.declaredBytes);
      const staged = await this.#deps.store.stage({ path, version, ext: 'zip' });
      try {
        return await this.#receive(upload, staged, options);
      } finally {
        await staged.close();
      }
    } catch (error) {
      throw await this.#told(error, upload);
    } finally {
      release();
    }
  }

  async unpublish(path: ModulePath, version: Version, reason: string, who: string): Promise<Tombstone> {
    const text = checkReason(reason);
    const { store, clock } = this.#deps;
    return await this.#locks.run(path, version, async (check) => {
      await this.#tombstones.refresh();
      const stored = await storedVersion(store, path, version);
      const earlier = this.#tombstones.of(path, version);
      const isPublished = isComplete(stored) ? mayBePublished(stored.zip) : isAnyPublished(stored);
      if (earlier === undefined && !isPublished) {
        const isStored = Object.keys(stored).length > 0;
        throw new PublishError(
          'absent',
          isStored
            ? `${path}@${version} was not published here but fetched from a source; use modferry purge to remove it`
            : `${path}@${version} is not published here; look at its versions with ${path}/@v/list`,
        );
      }
      await check();
      const tombstone =
        earlier ?? (await this.#tombstones.add({ path, version, reason: text, who, atMs: clock.now() }));
      await store.purge({ path, version });
      this.#deps.onChanged?.(path, version);
      return tombstone;
    });
  }

  async purge(order: PurgeOrder): Promise<PurgeOutcome> {
    const { store, clock } = this.#deps;
    return await purgeStored(order, { store, clock, tombstones: this.#tombstones, locks: this.#locks });
  }

  async #receive(upload: Upload, zip: Staged, options: UploadOptions): Promise<Published> {
    const { path, version, signal } = upload;
    const { store, zips, clock } = this.#deps;
    const { zipBytes } = options.limits;
    const hash = createHash('sha256');
    await pump({
      body: paced(upload.body, options, clock, signal),
      sink: zip,
      hash,
      limitBytes: zipBytes,
      onTooLong: () => {
        throw tooLarge(`the upload is longer than ${zipBytes} bytes, the limit for a module zip here`);
      },
    });
    signal.throwIfAborted();
    const facts = await zips.verify({ file: zip.file, path, version, limits: options.limits, signal });
    const { goMod, goModH1 } = checkGoMod(path, facts);
    const { h1 } = facts;
    // From here on the client may go: what came whole is published.
    const { outcome, sizeBytes } = await this.#locks.run(path, version, (check) =>
      publishUpload(
        { path, version, zip, zipSha256: hash.digest('hex'), h1, goMod, goModH1 },
        { store, clock, check, confirm: () => this.#refuseTombstoned(path, version) },
      ),
    );
    if (outcome === 'published') this.#deps.onChanged?.(path, version);
    return { path, version, outcome, h1, goModH1, sizeBytes };
  }

  /** From the file, as other processes see it. Rejects with PublishError `tombstone` or the system's error. */
  async #refuseTombstoned(path: ModulePath, version: Version): Promise<void> {
    await this.#tombstones.refresh();
    const tombstone = this.#tombstones.of(path, version);
    if (tombstone !== undefined) throw tombstoneError(tombstone);
  }

  async #checkSpace(declaredBytes: number | undefined): Promise<void> {
    if (declaredBytes === undefined) return;
    const { freeBytes } = await this.#deps.store.space();
    if (declaredBytes > freeBytes) {
      throw diskFull(`the upload has ${declaredBytes} bytes and the disk has ${freeBytes} left`);
    }
  }

  /** What the publisher is told for what went wrong. */
  async #told(error: unknown, { path, version }: Upload): Promise<unknown> {
    if (error instanceof PublishError) return error;
    if (isDiskFull(error)) return diskFull(error.message, error);
    if (error instanceof StoreError && error.code === 'purged') {
      // Taken back meanwhile, or removed by an operator: the store says the same to both.
      try {
        await this.#refuseTombstoned(path, version);
      } catch (refusal) {
        return refusal;
      }
    }
    return refusalOf(error);
  }

  /** A crash, or a fill that ran at that moment, may have left files of a version that was taken back. */
  async #purgeLeftBehind(): Promise<void> {
    const { store } = this.#deps;
    for (const { path, version } of this.#tombstones.all()) {
      if (this.#isClosed) return;
      try {
        const isStored = await Promise.all(
          (['info', 'mod', 'zip'] as const).map((ext) => store.has({ path, version, ext })),
        );
        if (isStored.includes(true)) await store.purge({ path, version });
      } catch {
        // They are not served as long as there is a tombstone; the next start tries again.
      }
    }
  }
}

function isAnyPublished(stored: Awaited<ReturnType<typeof storedVersion>>): boolean {
  return Object.values(stored).some((artifact) => mayBePublished(artifact));
}

/** Throws PublishError `too_large`: before a byte of the body is asked for. */
export function checkLength(declaredBytes: number | undefined, limitBytes: number): void {
  if (declaredBytes === undefined || declaredBytes <= limitBytes) return;
  throw tooLarge(
    `the upload of ${declaredBytes} bytes is over the limit of ${limitBytes} for a module zip here`,
  );
}

function tooLarge(text: string): PublishError {
  return new PublishError('too_large', `${text}; leave large files out of the module`);
}

function diskFull(text: string, cause?: unknown): PublishError {
  return new PublishError('disk_full', `nothing can be published now: ${text}; try again later`, { cause });
}

function tombstoneError({ path, version, reason, who, atMs }: Tombstone): PublishError {
  const day = new Date(atMs).toISOString().slice(0, 10);
  return new PublishError(
    'tombstone',
    `${path}@${version} was unpublished on ${day} by ${who} (${reason}), and its name stays taken; publish a new version`,
  );
}
