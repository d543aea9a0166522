/** What the store holds of one version, as far as publishing has to know. */
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import type { ArtifactRecord, Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';

/** The name of the source in the records of what was published here. */
export const publishedSource = 'published';

/** What was rebuilt after its record was lost: it may have been published here, and an upload must not be lost. */
const rebuiltSource = 'unknown';

export const artifactExts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

/** `rotten`: it is there, and its bytes are not what was published. */
export type StoredArtifact = ArtifactRecord | 'rotten';

export type StoredVersion = Partial<Record<ArtifactExt, StoredArtifact>>;

/** Rejects with StoreError. */
export async function storedVersion(
  store: Pick<Store, 'open'>,
  path: ModulePath,
  version: Version,
): Promise<StoredVersion> {
  const found: StoredVersion = {};
  for (const ext of artifactExts) {
    const artifact = await storedArtifact(store, path, version, ext);
    if (artifact !== undefined) found[ext] = artifact;
  }
  return found;
}

export async function storedArtifact(
  store: Pick<Store, 'open'>,
  path: ModulePath,
  version: Version,
  ext: ArtifactExt,
): Promise<StoredArtifact | undefined> {
  try {
    const file = await store.open({ path, version, ext });
    await file?.close();
    return file?.record;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'rotten') return 'rotten';
    throw error;
  }
}

export function isComplete(stored: StoredVersion): boolean {
  return artifactExts.every((ext) => stored[ext] !== undefined);
}

/**
 * What an upload left that was ended before it was whole: nobody was told that it is published, and it may give way. The
 * .info is written last, so where there is one the version was whole once.
 */
export function isLeftover(stored: StoredVersion): boolean {
  const records = [stored.mod, stored.zip].filter((artifact) => artifact !== undefined);
  return (
    stored.info === undefined &&
    records.length > 0 &&
    records.every((record) => record !== 'rotten' && record.source === publishedSource)
  );
}

/** Whether the source of a stored artifact says that it was published here, or nobody knows any more. */
export function mayBePublished(artifact: StoredArtifact | undefined): boolean {
  if (artifact === undefined) return false;
  // What is rotten cannot tell; to count it in takes nothing away.
  return artifact === 'rotten' || artifact.source === publishedSource || artifact.source === rebuiltSource;
}
