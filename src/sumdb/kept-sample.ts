/**
 * Where the known head was lost, the records and tiles that are kept say what the log was: every true later head has
 * them all.
 */
import type { Store } from '../store/store.ts';
import { recordHash } from './log/hash.ts';
import { LogError } from './log/log-error.ts';
import { parseLookup } from './log/record.ts';
import { tilePath } from './log/tile.ts';
import { fullWidth, tileHeight } from './tiles.ts';
import type { Tree } from './tree.ts';
import type { SumdbAsker } from './types.ts';

/** Records that are compared, at most. */
const maxSample = 20;
/** Files that are read for them, at most. */
const maxRead = 200;
/** Compared at once. */
const atOnce = 4;

interface KeptRecord {
  readonly id: number;
  readonly hash: Buffer;
}

/**
 * True when the tree lacks a kept record of the sample, or has another tile than the kept one around it; what cannot be
 * read is left out. Rejects with SumdbError when the tree's tiles cannot be had, StoreError, or the signal's reason.
 */
export async function lacksKept(
  tree: Tree,
  name: string,
  store: Pick<Store, 'keptLookups' | 'keptSumdb'>,
  asker: SumdbAsker,
): Promise<boolean> {
  const sample = await sampleOf(name, store);
  for (let at = 0; at < sample.length; at += atOnce) {
    const some = sample.slice(at, at + atOnce);
    const found = await Promise.all(some.map((record) => hasKept(tree, record, name, store, asker)));
    if (found.includes(false)) return true;
  }
  return false;
}

async function sampleOf(
  name: string,
  store: Pick<Store, 'keptLookups' | 'keptSumdb'>,
): Promise<readonly KeptRecord[]> {
  const sample: KeptRecord[] = [];
  let read = 0;
  for await (const operation of store.keptLookups(name)) {
    read += 1;
    const kept = await store.keptSumdb(name, operation);
    const record = kept === undefined ? undefined : recordIn(kept.body);
    if (record !== undefined) sample.push(record);
    if (sample.length >= maxSample || read >= maxRead) break;
  }
  return sample;
}

function recordIn(body: Buffer): KeptRecord | undefined {
  try {
    const { id, text } = parseLookup(body);
    return { id, hash: recordHash(text) };
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}

async function hasKept(
  tree: Tree,
  { id, hash }: KeptRecord,
  name: string,
  store: Pick<Store, 'keptSumdb'>,
  asker: SumdbAsker,
): Promise<boolean> {
  if (id >= tree.size) return false;
  if (!(await tree.leafHash(id, asker)).equals(hash)) return false;
  const around = { level: 0, n: Math.floor(id / fullWidth), width: fullWidth };
  const kept = await store.keptSumdb(name, tilePath({ ...around, height: tileHeight }));
  const proven = kept === undefined ? undefined : await tree.tile(around, asker);
  return kept === undefined || (proven !== undefined && proven.data.equals(kept.body));
}
