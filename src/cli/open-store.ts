/** Opens a data folder for commands that change it, beside a running modferry or without one. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import { CliError } from './cli-error.ts';

/** Rejects with CliError `absent` where nothing was ever stored (a mistyped --data makes no folder), or StoreError. */
export async function openForChanging(dataDir: string, clock: Clock): Promise<FsStore> {
  const isThere = await stat(join(dataDir, 'download')).then(
    () => true,
    () => false,
  );
  if (!isThere) throw new CliError('absent', `there is no store in ${dataDir}; name its folder with --data`);
  return openFsStore({ folder: dataDir, clock });
}
