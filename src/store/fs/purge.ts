/**
 * Removes a version or a module. The journal line comes first, so that fills that run now cannot bring it back;
 * records go before files, so that a crash in between leaves files that are hashed again, not records that lie.
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { ArtifactExt, ModulePath, Version } from '../../gomod/types.ts';
import type { PurgeEvent } from '../store.ts';
import type { AwaitingProof } from './awaiting-proof.ts';
import { isAbsence, isErrno, statIfAny, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import type { Journal } from './journal.ts';
import { artifactExts, type Layout } from './layout.ts';
import type { Lists } from './lists.ts';
import type { Mutables } from './mutables.ts';
import type { QuarantineWriter } from './quarantine-writer.ts';
import type { Records } from './records.ts';
import { readVersions } from './versions-folder.ts';

export interface PurgerOptions {
  readonly layout: Layout;
  readonly folders: FolderSync;
  readonly journal: Journal;
  readonly lists: Lists;
  readonly records: Records;
  readonly awaiting: AwaitingProof;
  readonly mutables: Mutables;
  readonly quarantine: Pick<QuarantineWriter, 'settle'>;
}

export interface PurgeResult {
  removedVersions: number;
  removedBytes: number;
}

/** Rejects with the system's error; what was removed until then stays removed, and the purge can be repeated. */
export async function purge(order: PurgeEvent, options: PurgerOptions): Promise<PurgeResult> {
  const { layout, folders, journal, lists, mutables } = options;
  const { path, version } = order;
  // Single artifacts are withdrawn, not purged: the line must fence fills.
  const event: PurgeEvent = version === undefined ? { path } : { path, version };
  const folder = layout.versionsFolder(path);
  const result: PurgeResult = { removedVersions: 0, removedBytes: 0 };
  await journal.append(event);
  await lists.expect(path);
  try {
    const stored = await readVersions(folder);
    // A version without files is gone through as well: it may have left a record.
    const targets = version === undefined ? [...stored.keys()] : [version];
    for (const target of targets) {
      await removeVersion(path, target, stored.get(target) ?? new Set(), options, result);
    }
    if (version === undefined) await mutables.removeAll(path);
    else await mutables.removeNaming(path, version);
  } finally {
    lists.changed(path);
  }
  await lists.flush(path);
  folders.forget(folder);
  await folders.sync(await removeEmptyUpTo(folder, layout.download));
  await removeEmptyUpTo(layout.recordsFolder(path), layout.meta);
  await removeEmptyUpTo(layout.mutableFolder(path), layout.meta);
  await settleSuspects(event, options);
  // Told again now: what a listener looked up between the first line and the removal was still the old file.
  await journal.append(event);
  return result;
}

/** Whoever purges wants to hear of what is there from now on: an absence says nothing of the copy that rotted. */
async function settleSuspects({ path, version }: PurgeEvent, { quarantine }: PurgerOptions): Promise<void> {
  const beginning = version === undefined ? `${path}@` : `${path}@${version}.`;
  const exts: readonly string[] = artifactExts;
  const concerns = (artifact: string): boolean =>
    artifact.startsWith(beginning) &&
    (version === undefined || exts.includes(artifact.slice(beginning.length)));
  // What was purged is gone whatever a full disk says to this; purging again settles it.
  await quarantine.settle(concerns).catch(() => {});
}

async function removeVersion(
  path: ModulePath,
  version: Version,
  exts: ReadonlySet<ArtifactExt>,
  options: PurgerOptions,
  result: PurgeResult,
): Promise<void> {
  const { layout, records, awaiting } = options;
  let removed = false;
  for (const ext of artifactExts) {
    const key = { path, version, ext };
    // Also where there is no file: a record that outlived its file must not judge the next one.
    await records.remove(key);
    await awaiting.unmark(key);
    if (!exts.has(ext)) continue;
    const file = layout.artifact(key);
    const facts = await statIfAny(file);
    if (!(await unlinkIfAny(file))) continue;
    removed = true;
    result.removedBytes += facts?.sizeBytes ?? 0;
  }
  const hashFile = layout.zipHash({ path, version, ext: 'zip' });
  const facts = await statIfAny(hashFile);
  if (await unlinkIfAny(hashFile)) result.removedBytes += facts?.sizeBytes ?? 0;
  if (removed) result.removedVersions += 1;
}

/** Removes empty folders from `folder` upwards, never `root`. Resolves to the first that stays. */
async function removeEmptyUpTo(folder: string, root: string): Promise<string> {
  let at = folder;
  while (at.startsWith(join(root, '/')) && at !== root) {
    try {
      await fs.promises.rmdir(at);
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY')) return at;
      if (!isAbsence(error)) throw error;
    }
    at = dirname(at);
  }
  return at;
}
