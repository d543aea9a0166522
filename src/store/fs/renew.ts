/**
 * Records a published artifact anew whose content is good and of which something wrong is recorded. Nothing is taken
 * out meanwhile: killed at any moment, the artifact is published, and what is recorded of it is the old or the new.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { ArtifactRecord, RenewFacts } from '../store.ts';
import type { AwaitingProof } from './awaiting-proof.ts';
import {
  createFile,
  type FileFacts,
  isAbsence,
  OpenFile,
  readTextIfAny,
  rename,
  statIfAny,
  unlinkIfAny,
} from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import { hashFile } from './hash-file.ts';
import type { Journal } from './journal.ts';
import type { Layout } from './layout.ts';
import type { Lists } from './lists.ts';
import type { Records } from './records.ts';
import { trustOf } from './trust.ts';

export interface RenewOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly awaiting: AwaitingProof;
  readonly folders: FolderSync;
  readonly lists: Lists;
  readonly journal: Pick<Journal, 'tellTrust'>;
  /** A folder on the same file system. */
  readonly staging: string;
}

/** False: absent, or other bytes. Rejects with the system's error. */
export async function renew(key: ArtifactKey, facts: RenewFacts, options: RenewOptions): Promise<boolean> {
  const { layout, lists } = options;
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(layout.artifact(key), 'r');
    const found = await file.stat();
    if (!found.isFile || (await hashFile(file)) !== facts.sha256) return false;
    await lists.expect(key.path);
    try {
      return await rewrite(key, found, facts, options);
    } finally {
      lists.changed(key.path);
    }
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  } finally {
    await file?.close();
  }
}

async function rewrite(
  key: ArtifactKey,
  found: FileFacts,
  facts: RenewFacts,
  options: RenewOptions,
): Promise<boolean> {
  const { layout, records, awaiting, journal } = options;
  // Hashing takes its time.
  if (!(await isStill(key, found, layout))) return false;
  const known = await records.stored(key).catch(() => undefined);
  const record: ArtifactRecord = {
    sizeBytes: found.sizeBytes,
    sha256: facts.sha256,
    ...(facts.h1 === undefined ? {} : { h1: facts.h1 }),
    source: known?.source ?? 'unknown',
    storedAtMs: known?.storedAtMs ?? found.modifiedAtMs,
    modifiedAtMs: found.modifiedAtMs,
    ...trustOf(facts),
  };
  const waits = record.unproven === 'unreachable';
  if (waits) await awaiting.mark(key);
  const isHashWritten = await writeZipHash(key, facts.h1, options);
  await records.write(key, record);
  // Purged, withdrawn or healed meanwhile: what is of our file must not judge another one.
  if (!(await isStill(key, found, layout))) {
    await records.remove(key);
    if (isHashWritten) await unlinkIfAny(layout.zipHash(key));
    return false;
  }
  if (!waits) await awaiting.unmark(key);
  await journal.tellTrust(key);
  return true;
}

async function isStill(key: ArtifactKey, { inode }: FileFacts, layout: Layout): Promise<boolean> {
  return (await statIfAny(layout.artifact(key)))?.inode === inode;
}

/** False when it was right, or none is due. */
async function writeZipHash(
  key: ArtifactKey,
  h1: string | undefined,
  { layout, folders, staging }: RenewOptions,
): Promise<boolean> {
  if (key.ext !== 'zip' || h1 === undefined) return false;
  const path = layout.zipHash(key);
  // One that cannot be read is written anew.
  if ((await readTextIfAny(path).catch(() => undefined)) === h1) return false;
  const temporary = join(staging, `ziphash-${randomBytes(8).toString('hex')}`);
  await createFile(temporary, h1, true);
  try {
    // No folder is made for it: a purge may have removed the last one.
    await rename(temporary, path);
  } catch (error) {
    await unlinkIfAny(temporary).catch(() => false);
    throw error;
  }
  await folders.sync(dirname(path));
  return true;
}
