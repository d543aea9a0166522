/** The walk over the store from where an earlier one was stopped. */
import type { ModulePath } from '../gomod/types.ts';
import type { Store, VersionEntry } from '../store/store.ts';
import type { ScrubCursor } from './types.ts';

/**
 * What follows the cursor in the store's own order, which stays the same between two walks but for what comes and goes.
 * A cursor that was purged means its module once more, or everything when that is gone too: rather twice than never.
 * `skipped` is waited for before each version that is passed over.
 */
export async function* versionsAfter(
  store: Pick<Store, 'versions'>,
  cursor: ScrubCursor | undefined,
  skipped: () => Promise<void>,
): AsyncGenerator<VersionEntry> {
  let isFound = cursor === undefined;
  let module: ModulePath | undefined;
  for await (const entry of store.versions()) {
    if (!isFound && entry.path === cursor?.path) {
      module = entry.path;
      isFound = entry.version === cursor.version;
      await skipped();
      continue;
    }
    if (!isFound && module !== undefined) {
      isFound = true;
      yield* versionsOf(store, module);
    }
    if (isFound) yield entry;
    else await skipped();
  }
  if (isFound) return;
  if (module !== undefined) yield* versionsOf(store, module);
  else yield* store.versions();
}

async function* versionsOf(store: Pick<Store, 'versions'>, path: ModulePath): AsyncGenerator<VersionEntry> {
  for await (const entry of store.versions(path)) if (entry.path === path) yield entry;
}
