/** How much there is to check, for a progress bar: names only, no file is opened. */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../store/fs/layout.ts';

/** Stored artifacts of all modules. A folder that cannot be read counts as empty. */
export async function countArtifacts(layout: Layout): Promise<number> {
  return await countIn(layout.download, false);
}

async function countIn(folder: string, isVersions: boolean): Promise<number> {
  let count = 0;
  try {
    for await (const entry of await opendir(folder)) {
      if (entry.isDirectory()) count += await countIn(join(folder, entry.name), entry.name === '@v');
      else if (isVersions && /\.(?:info|mod|zip)$/.test(entry.name)) count += 1;
    }
  } catch {
    // The walk itself tells of it.
  }
  return count;
}
