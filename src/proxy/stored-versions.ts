/** What can be had of a version without asking any source. */
import type { ModulePath, Version } from '../gomod/types.ts';
import { isCanonical } from '../gomod/version.ts';
import type { Store } from '../store/store.ts';

/** True when .info, .mod and .zip are all stored. A disk that fails is as good as nothing. */
export async function isComplete(store: Store, path: ModulePath, version: string): Promise<boolean> {
  if (!isCanonical(version)) return false;
  const exts = ['info', 'mod', 'zip'] as const;
  const found = await Promise.all(exts.map((ext) => store.has({ path, version, ext }).catch(() => false)));
  return found.every(Boolean);
}

/** Rejects when it is not stored, or with StoreError. */
export async function readStored(
  store: Store,
  path: ModulePath,
  version: Version,
  ext: 'info' | 'mod',
): Promise<Buffer> {
  const file = await store.open({ path, version, ext });
  if (file === undefined) throw new Error('not stored');
  try {
    return await file.readAll();
  } finally {
    await file.close();
  }
}
