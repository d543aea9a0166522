/**
 * Publishes a suspect from quarantine on an operator's word. Its hash is what the operator vouches for; its structure
 * is verified again, because what no go command could read helps nobody.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ContentError } from '../gomod/content-error.ts';
import { checkInfo, checkMod } from '../gomod/info-file.ts';
import { goModHash } from '../ingest/go-mod-hash.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import type { QuarantineEntry } from '../store/quarantine.ts';
import type { Proof, Staged, Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipError } from '../zip/zip-types.ts';

export interface ReleaseDeps {
  readonly store: Store;
  readonly zips: Pick<ZipVerifier, 'verify'>;
  readonly clock: Clock;
}

export interface Released {
  readonly entry: QuarantineEntry;
  readonly sha256: string;
  /** Null for .info. */
  readonly h1: string | null;
  /** `present`: the same content was stored already; without a proof it is proven by the operator now. */
  readonly outcome: 'published' | 'present';
}

const blockBytes = 1024 * 1024;

/**
 * `id` in full. Afterwards the entry is gone. Rejects with ModferryError: `absent` (no such entry, or its bytes are
 * not kept), `not_sound` (no module file by Go's rules, or its bytes changed), `conflict` (another file is stored
 * under that name: it has to be purged first); or StoreError.
 */
export async function releaseSuspect(
  id: string,
  reason: string,
  { store, zips, clock }: ReleaseDeps,
): Promise<Released> {
  const entry = await store.quarantine.get(id);
  if (entry === undefined)
    throw new ModferryError('absent', `there is nothing in quarantine with the id ${id}`);
  const file = await store.quarantine.fileOf(id);
  if (file === undefined) {
    throw new ModferryError(
      'absent',
      `only the evidence of ${id} is kept, its bytes are gone: nothing to release`,
    );
  }
  await refuseConflict(store, entry);
  const staged = await store.stage(entry.key);
  try {
    const sha256 = await copy(file, staged);
    if (sha256 !== entry.sha256) {
      throw new ModferryError('not_sound', `the bytes of ${id} are not those that were put in quarantine`);
    }
    const h1 = await check(entry, staged, zips);
    const proof: Proof = { by: 'operator', reason, atMs: clock.now() };
    const facts = { sha256, source: entry.source, proof };
    const published = await staged.publish(h1 === undefined ? facts : { ...facts, h1 });
    if (published.outcome === 'conflict') throw conflict(entry);
    // A proof that is there already says more than the operator's word.
    if (published.outcome === 'present' && published.record.proof === undefined) {
      await store.setTrust(entry.key, published.record.sha256, { proof });
    }
    await store.quarantine.drop(id);
    return { entry, sha256, h1: h1 ?? null, outcome: published.outcome };
  } finally {
    await staged.close();
  }
}

/** Before anything is copied. What is stored and equal, or rotten, is left to the publication. */
async function refuseConflict(store: Store, entry: QuarantineEntry): Promise<void> {
  try {
    const stored = await store.open(entry.key);
    await stored?.close();
    if (stored === undefined || stored.record.sha256 === entry.sha256) return;
    if (entry.foundH1 !== undefined && stored.record.h1 === entry.foundH1) return;
    if (entry.key.ext === 'info') return;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'rotten') return;
    throw error;
  }
  throw conflict(entry);
}

function conflict({ key: { path, version, ext }, id }: QuarantineEntry): ModferryError {
  return new ModferryError(
    'conflict',
    `another .${ext} of ${path}@${version} is stored and stays; to replace it run modferry purge ${path}@${version}, ` +
      `then release ${id} again`,
  );
}

/** SHA-256 of what was copied, in hex. */
async function copy(file: string, staged: Staged): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of createReadStream(file, { highWaterMark: blockBytes }) as AsyncIterable<Buffer>) {
    hash.update(block);
    await staged.write([block]);
  }
  return hash.digest('hex');
}

/** The `h1:` hash; undefined for .info. */
async function check(
  { id, key }: QuarantineEntry,
  staged: Staged,
  zips: Pick<ZipVerifier, 'verify'>,
): Promise<string | undefined> {
  const { path, version, ext } = key;
  try {
    if (ext === 'zip') {
      const { h1 } = await zips.verify({ file: staged.file, path, version, extraRules: 'report' });
      return h1;
    }
    const body = await readFile(staged.file);
    if (ext === 'mod') {
      checkMod(body);
      return goModHash(body);
    }
    checkInfo(path, version, body);
    return undefined;
  } catch (error) {
    if (!(error instanceof ZipError || error instanceof ContentError)) throw error;
    throw new ModferryError(
      'not_sound',
      `${id} cannot be released, go could not use it: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
