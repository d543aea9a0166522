/**
 * Opens a data folder for reading only: no folder of its own under `run/`, no clean-up, no record written. A
 * running server on the same folder notices nothing.
 */
import { stat } from 'node:fs/promises';
import type { Clock } from '../lib/clock.ts';
import { FsStore } from '../store/fs/fs-store.ts';
import { Journal } from '../store/fs/journal.ts';
import { Layout } from '../store/fs/layout.ts';
import { checkFolder } from '../store/fs/prepare.ts';
import { Records } from '../store/fs/records.ts';
import { Space } from '../store/fs/space.ts';
import { toStoreError } from '../store/store-error.ts';
import { CliError } from './cli-error.ts';

/** One pass over the store reads each record once: a large cache would only grow. */
const recordCacheEntries = 64;

export interface ReadStore {
  readonly store: FsStore;
  readonly layout: Layout;
}

/** Rejects with CliError `absent` when nothing was ever stored there, StoreError `bad_format`, `in_use` or `io`. */
export async function openForReading(dataDir: string, clock: Clock): Promise<ReadStore> {
  const layout = new Layout(dataDir);
  try {
    const isThere = await stat(layout.download).then(
      (facts) => facts.isDirectory(),
      () => false,
    );
    if (!isThere) {
      throw new CliError('absent', `there is no store in ${dataDir}; name its folder with --data`);
    }
    await checkFolder(layout);
    const journal = new Journal(layout.journal, clock);
    const records = new Records({ layout, clock, staging: undefined, cacheEntries: recordCacheEntries });
    const space = new Space(dataDir, clock, 1);
    const shared = { layout, clock, journal, records, space };
    return { store: new FsStore({ ...shared, warnings: [], writer: undefined, refusal: undefined }), layout };
  } catch (error) {
    throw error instanceof CliError ? error : toStoreError(error, `open the store in ${dataDir}`);
  }
}
