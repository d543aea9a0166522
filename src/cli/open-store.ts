/** Opens a data folder for commands that change it, beside a running modferry or without one. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import { CliError } from './cli-error.ts';
import type { FolderSettings } from './settings.ts';

/** Rejects with CliError `absent` where nothing was ever stored (a mistyped --data makes no folder), or StoreError. */
export async function openForChanging(settings: FolderSettings, clock: Clock): Promise<FsStore> {
  const { dataDir } = settings;
  const isThere = await stat(join(dataDir, 'download')).then(
    () => true,
    () => false,
  );
  if (!isThere) throw new CliError('absent', `there is no store in ${dataDir}; name its folder with --data`);
  return await openOrMake(settings, clock);
}

/** As a server with this configuration would open it, which makes what is missing. Rejects with StoreError. */
export async function openOrMake({ dataDir, loaded }: FolderSettings, clock: Clock): Promise<FsStore> {
  const { store, quarantine } = loaded.config;
  return await openFsStore({
    folder: dataDir,
    clock,
    stopAt: store.stopAtRatio,
    quarantineBytes: quarantine.maxBytes,
    quarantineEntries: quarantine.maxEntries,
  });
}
