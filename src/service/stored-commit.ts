/** Which commit a stored version was made of, as its own `.info` says. */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Store } from '../store/store.ts';

const maxInfoBytes = 1024 * 1024;

/**
 * Of an `.info` that came from the repository itself: what another source says of commits need not be of the same one.
 * Undefined: there is none, or it names none. Never rejects.
 */
export async function storedCommit(
  store: Pick<Store, 'open'>,
  path: ModulePath,
  version: Version,
): Promise<string | undefined> {
  try {
    const file = await store.open({ path, version, ext: 'info' });
    if (file === undefined) return undefined;
    try {
      if (file.record.source !== 'direct' || file.record.sizeBytes > maxInfoBytes) return undefined;
      const info: unknown = JSON.parse((await file.readAll()).toString());
      const { Origin: origin } = info as { readonly Origin?: { readonly Hash?: unknown } };
      const hash = origin?.Hash;
      return typeof hash === 'string' && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) ? hash : undefined;
    } finally {
      await file.close();
    }
  } catch {
    // A rotten .info is healed by whoever asks for it.
    return undefined;
  }
}
