/**
 * Walks the stored modules folder by folder. Memory is bounded by the depth of the tree and one module's versions;
 * names that are no module or version are passed over.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { escapePath, unescapePath } from '../../gomod/module-path.ts';
import type { ArtifactKey, ModulePath } from '../../gomod/types.ts';
import { messageOf } from '../../lib/errors.ts';
import type { ArtifactRecord, VersionEntry } from '../store.ts';
import { isAbsence, OpenFile } from './files.ts';
import { artifactExts, type Layout } from './layout.ts';
import type { Records } from './records.ts';
import { readVersions } from './versions-folder.ts';

/** Every stored version of `under` and of the modules below it; of all modules when absent. */
export async function* walkVersions(
  layout: Layout,
  records: Records,
  under?: ModulePath,
): AsyncGenerator<VersionEntry> {
  for await (const path of modulesIn(layout.download, under === undefined ? '' : escapePath(under))) {
    for (const [version, exts] of await readVersions(layout.versionsFolder(path))) {
      const artifacts: VersionEntry['artifacts'] = {};
      const unreadable: NonNullable<VersionEntry['unreadable']> = {};
      for (const ext of artifactExts) {
        if (!exts.has(ext)) continue;
        try {
          const record = await recordOf({ path, version, ext }, layout, records);
          if (record !== undefined) artifacts[ext] = record;
        } catch (error) {
          // One bad sector must not keep a walk from the rest of the store.
          unreadable[ext] = `what is recorded of it cannot be read: ${messageOf(error)}`;
        }
      }
      if (Object.keys(unreadable).length > 0) yield { path, version, artifacts, unreadable };
      else if (Object.keys(artifacts).length > 0) yield { path, version, artifacts };
    }
  }
}

async function* modulesIn(download: string, escaped: string): AsyncGenerator<ModulePath> {
  let folder: fs.Dir;
  try {
    folder = await fs.promises.opendir(join(download, escaped));
  } catch (error) {
    if (isAbsence(error)) return;
    throw error;
  }
  for await (const entry of folder) {
    if (!entry.isDirectory()) continue;
    if (entry.name === '@v') {
      const path = pathOf(escaped);
      if (path !== undefined) yield path;
    } else yield* modulesIn(download, escaped === '' ? entry.name : `${escaped}/${entry.name}`);
  }
}

/** The record as written, without opening the artifact; a missing one is made. Undefined when purged meanwhile. */
async function recordOf(
  key: ArtifactKey,
  layout: Layout,
  records: Records,
): Promise<ArtifactRecord | undefined> {
  const stored = await records.stored(key);
  if (stored !== undefined) return stored;
  let file: OpenFile;
  try {
    file = await OpenFile.open(layout.artifact(key), 'r');
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  try {
    return await records.of(key, file, await file.stat());
  } finally {
    await file.close();
  }
}

function pathOf(escaped: string): ModulePath | undefined {
  try {
    return escaped === '' ? undefined : unescapePath(escaped);
  } catch {
    return undefined;
  }
}
