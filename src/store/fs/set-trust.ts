/** Records by what a published artifact is proven, or why not. Its record says whether the bytes are still the same. */
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Trust } from '../store.ts';
import { StoreError } from '../store-error.ts';
import type { AwaitingProof } from './awaiting-proof.ts';
import { isAbsence, OpenFile, statIfAny } from './files.ts';
import type { Journal } from './journal.ts';
import type { Layout } from './layout.ts';
import type { Records } from './records.ts';
import { isSameTrust, trustOf } from './trust.ts';

export interface SetTrustOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly awaiting: AwaitingProof;
  readonly journal: Pick<Journal, 'tellTrust'>;
}

/** False: absent, rotten, or other bytes. Rejects with the system's error. */
export async function setTrust(
  key: ArtifactKey,
  sha256: string,
  trust: Trust,
  options: SetTrustOptions,
): Promise<boolean> {
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(options.layout.artifact(key), 'r');
    return await setOf(file, key, sha256, trust, options);
  } catch (error) {
    if (isAbsence(error) || (error instanceof StoreError && error.code === 'rotten')) return false;
    throw error;
  } finally {
    await file?.close();
  }
}

async function setOf(
  file: OpenFile,
  key: ArtifactKey,
  sha256: string,
  trust: Trust,
  { layout, records, awaiting, journal }: SetTrustOptions,
): Promise<boolean> {
  const facts = await file.stat();
  if (!facts.isFile) return false;
  const { proof, unproven, ...known } = await records.of(key, file, facts);
  if (known.sha256 !== sha256) return false;
  const told = trustOf(trust);
  const waits = told.unproven === 'unreachable';
  if (waits) await awaiting.mark(key);
  await records.write(key, { ...known, ...told });
  // Purged, withdrawn or healed between reading and writing: our record must not judge another file.
  if ((await statIfAny(layout.artifact(key)))?.inode !== facts.inode) {
    await records.remove(key);
    return false;
  }
  if (!waits) await awaiting.unmark(key);
  if (!isSameTrust(told, { proof, unproven })) await journal.tellTrust(key);
  return true;
}
