/**
 * Takes one published artifact out of what is served, into quarantine. A withdrawal concerns the stored file only:
 * it stops no fill, neither one that began before it nor one that begins after.
 *
 * The order is: line in the journal, evidence, the file by one rename, its record. Killed in between, the file is
 * still published or already in quarantine. The record goes last: a rotten file left without one would be hashed
 * again and pass for good, while a record left without a file is replaced by the next publication.
 */
import fs from 'node:fs';
import { dirname } from 'node:path';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Evidence, QuarantineEntry } from '../quarantine.ts';
import { toStoreError } from '../store-error.ts';
import type { AwaitingProof } from './awaiting-proof.ts';
import { isAbsence, isErrno, link, OpenFile, rename, statIfAny, unlinkIfAny } from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import { hashFile } from './hash-file.ts';
import type { Journal } from './journal.ts';
import type { Layout } from './layout.ts';
import type { Lists } from './lists.ts';
import { idOf } from './quarantine-entry.ts';
import type { QuarantineFolder } from './quarantine-folder.ts';
import type { QuarantineWriter, Touch } from './quarantine-writer.ts';
import type { Records } from './records.ts';

const bytesMode = 0o600;

export interface WithdrawOptions {
  readonly layout: Layout;
  readonly folders: FolderSync;
  readonly journal: Journal;
  readonly lists: Lists;
  readonly records: Records;
  readonly awaiting: AwaitingProof;
  readonly folder: QuarantineFolder;
  readonly quarantine: QuarantineWriter;
}

interface Suspect {
  readonly inode: number;
  readonly sizeBytes: number;
}

/**
 * Undefined when there is no such file, or not the one the evidence tells of: somebody was first, or healed it.
 * Rejects with StoreError or the system's error.
 */
export async function withdraw(
  key: ArtifactKey,
  evidence: Evidence,
  options: WithdrawOptions,
): Promise<QuarantineEntry | undefined> {
  const { layout, journal, lists, quarantine } = options;
  const suspect = await identify(layout.artifact(key), evidence.sha256);
  if (suspect === undefined) return undefined;
  const event = { path: key.path, version: key.version, ext: key.ext };
  await journal.append(event);
  await lists.expect(key.path);
  try {
    const about = { ...evidence, key, sizeBytes: suspect.sizeBytes };
    return await quarantine.locked((touch) => take(about, suspect, touch, options));
  } finally {
    lists.changed(key.path);
    // Told again now: what a listener looked up between the first line and the removal was still the old file.
    await journal.append(event);
  }
}

async function identify(path: string, sha256: string): Promise<Suspect | undefined> {
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(path, 'r');
    const { inode, sizeBytes, isFile } = await file.stat();
    return isFile && (await hashFile(file)) === sha256 ? { inode, sizeBytes } : undefined;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  } finally {
    await file?.close();
  }
}

async function take(
  evidence: Evidence,
  suspect: Suspect,
  touch: Touch,
  options: WithdrawOptions,
): Promise<QuarantineEntry | undefined> {
  const { layout, folders, folder, quarantine, records, awaiting } = options;
  const { key } = evidence;
  const published = layout.artifact(key);
  if ((await statIfAny(published))?.inode !== suspect.inode) return undefined;
  const id = idOf(evidence);
  const isNoted = await noteIfRoom(evidence, touch, quarantine);
  const bytes = folder.bytesFile(id);
  if (!(await move(published, bytes, suspect))) return undefined;
  await fs.promises.chmod(bytes, bytesMode);
  if (!isNoted) await noteInItsPlace(evidence, bytes, touch, quarantine);
  else if (evidence.sizeBytes > quarantine.maxBytes) await unlinkIfAny(bytes);
  await awaiting.unmark(key);
  // What stands there now was published after the move and has its own record.
  if ((await statIfAny(published)) === undefined) {
    if (key.ext === 'zip') await unlinkIfAny(layout.zipHash(key));
    await records.remove(key);
  }
  await folders.sync(dirname(published)).catch((error: unknown) => {
    // A purge removed the emptied folder.
    if (!isAbsence(error)) throw error;
  });
  await quarantine.sync();
  return await folder.get(id);
}

/** False on a full disk: the file must go all the same. */
async function noteIfRoom(evidence: Evidence, touch: Touch, quarantine: QuarantineWriter): Promise<boolean> {
  try {
    await quarantine.note(evidence, touch);
    return true;
  } catch (error) {
    if (toStoreError(error, 'keep evidence').code === 'disk_full') return false;
    throw error;
  }
}

/** The suspect's bytes make room for what is known of them. */
async function noteInItsPlace(
  evidence: Evidence,
  bytes: string,
  touch: Touch,
  quarantine: QuarantineWriter,
): Promise<void> {
  await unlinkIfAny(bytes);
  await quarantine.note(evidence, touch);
}

/** False when another file stood there: a healed one, which is put back unless a third has taken its place. */
async function move(published: string, bytes: string, suspect: Suspect): Promise<boolean> {
  try {
    await rename(published, bytes);
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
  if ((await statIfAny(bytes))?.inode === suspect.inode) return true;
  await putBack(bytes, published);
  return false;
}

async function putBack(bytes: string, published: string): Promise<void> {
  try {
    await link(bytes, published);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) return await rename(bytes, published);
  }
  await unlinkIfAny(bytes);
}
