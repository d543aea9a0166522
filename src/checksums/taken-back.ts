/** Trust that is taken back: what was published by a trusted go.sum line that is gone waits for another proof. */
import type { Store } from '../store/store.ts';
import type { TrustedSums } from './trusted-sums.ts';

/**
 * Goes through the whole store. Resolves to the number of artifacts whose proof was a line that is no longer trusted, or
 * says something else now; they are marked, so that whoever proves afterwards takes them up. Rejects with StoreError.
 */
export async function takeBackProofs(
  store: Pick<Store, 'versions' | 'setTrust'>,
  trusted: Pick<TrustedSums, 'find'>,
): Promise<number> {
  let count = 0;
  for await (const { path, version, artifacts } of store.versions()) {
    for (const ext of ['mod', 'zip'] as const) {
      const record = artifacts[ext];
      if (record?.proof?.by !== 'go.sum') continue;
      const line = trusted.find(path, version, ext);
      if (line !== undefined && line.h1 === record.h1) continue;
      if (await store.setTrust({ path, version, ext }, record.sha256, { unproven: 'unreachable' }))
        count += 1;
    }
  }
  return count;
}
