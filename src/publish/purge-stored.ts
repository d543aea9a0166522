/**
 * Removes stored versions by an operator's order. What was published here is there nowhere else, and its name must not be
 * given to other content: it is removed by force only, and then a tombstone stays, as of a version that was taken back.
 */
import { join } from 'node:path';
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Store, VersionEntry } from '../store/store.ts';
import { publishedSource, type StoredArtifact, storedVersion } from './stored-version.ts';
import { Tombstones } from './tombstones.ts';
import { VersionLocks } from './version-lock.ts';

export interface PurgeOrder {
  readonly path: ModulePath;
  /** Absent: every version. */
  readonly version?: Version | undefined;
  /** What was published here goes too. */
  readonly isForced: boolean;
  /** For the tombstones. */
  readonly who: string;
}

export interface PurgeOutcome {
  readonly removedVersions: number;
  readonly removedBytes: number;
  /** Versions whose names stay taken from now on. */
  readonly tombstones: number;
}

export interface PurgeDeps {
  readonly store: Pick<Store, 'open' | 'versions' | 'purge'>;
  readonly clock: Clock;
  readonly tombstones: Pick<Tombstones, 'refresh' | 'of' | 'add'>;
  readonly locks: Pick<VersionLocks, 'run'>;
}

/** Of tombstones that a forced purge leaves. */
const purgedReason = 'purged';
/** In the text of a refusal. */
const maxNamed = 5;

/**
 * Rejects with ModferryError `published_here` when something was published here and it is not forced; with `locked`,
 * `lock_lost` or `tombstones_full`; with StoreError or the system's error.
 */
export async function purgeStored(order: PurgeOrder, deps: PurgeDeps): Promise<PurgeOutcome> {
  const { path, version } = order;
  // An upload of this version is whole or not begun then.
  if (version !== undefined) return await deps.locks.run(path, version, () => purgeUnlocked(order, deps));
  return await purgeUnlocked(order, deps);
}

/** The same beside no registry, e.g. where no modferry runs on the folder. `metaFolder`: `DATA/meta`, absolute. */
export async function purgeOnFolder(
  order: PurgeOrder,
  store: PurgeDeps['store'],
  metaFolder: string,
  clock: Clock,
): Promise<PurgeOutcome> {
  const tombstones = await Tombstones.open(join(metaFolder, 'tombstones.jsonl'), clock);
  const locks = new VersionLocks(join(metaFolder, 'publishing'), clock);
  return await purgeStored(order, { store, clock, tombstones, locks });
}

async function purgeUnlocked(order: PurgeOrder, deps: PurgeDeps): Promise<PurgeOutcome> {
  const { path, version, isForced, who } = order;
  const { store, clock, tombstones } = deps;
  await tombstones.refresh();
  const published = (await publishedVersions(store, path, version)).filter(
    (each) => tombstones.of(path, each) === undefined,
  );
  if (published.length > 0 && !isForced) throw publishedHere(order, published);
  // Before anything goes: the name must not be free for a moment.
  for (const each of published) {
    await tombstones.add({ path, version: each, reason: purgedReason, who, atMs: clock.now() });
  }
  const removed = await store.purge(version === undefined ? { path } : { path, version });
  return { ...removed, tombstones: published.length };
}

async function publishedVersions(
  store: PurgeDeps['store'],
  path: ModulePath,
  version: Version | undefined,
): Promise<Version[]> {
  if (version !== undefined) {
    const stored = await storedVersion(store, path, version);
    const isRotten = Object.values(stored).includes('rotten');
    if (!isRotten) return isPublished(stored) ? [version] : [];
  }
  // What is recorded is read as it stands, whatever became of the files. Modules below this one come along.
  const found: Version[] = [];
  for await (const entry of store.versions(path)) {
    const isMeant = entry.path === path && (version === undefined || entry.version === version);
    if (isMeant && isPublished(entry.artifacts)) found.push(entry.version);
  }
  return found;
}

/** Without its .info, which is written last, nobody was told that it is published. */
function isPublished(
  artifacts: VersionEntry['artifacts'] | Partial<Record<string, StoredArtifact>>,
): boolean {
  const records: readonly (StoredArtifact | undefined)[] = Object.values(artifacts);
  return (
    artifacts['info'] !== undefined &&
    records.some((record) => record !== undefined && record !== 'rotten' && record.source === publishedSource)
  );
}

function publishedHere({ path, version }: PurgeOrder, published: readonly Version[]): ModferryError {
  const named = published.slice(0, maxNamed).join(', ');
  const names = published.length > maxNamed ? `${named} and ${published.length - maxNamed} more` : named;
  const what =
    version === undefined
      ? `${path} has versions that were published here (${names})`
      : `${path}@${version} was published here`;
  return new ModferryError(
    'published_here',
    `${what} and can be had nowhere else; take back with modferry unpublish ${path}@${published[0] ?? 'VERSION'} --reason …, or purge with --force, after which the name stays taken all the same`,
  );
}
