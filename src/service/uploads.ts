/** Uploads, and what was taken back: there before routes and upstreams are. */
import { join } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { createRegistry, type OpenRegistry } from '../publish/registry.ts';
import type { Store } from '../store/store.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';

export interface UploadsInput {
  readonly store: Store;
  readonly clock: Clock;
  /** Absolute. */
  readonly dataDir: string;
  /** Read at each upload, so that a reload changes it. */
  config(): Config;
  /** After an upload or its taking back. */
  onChanged(path: ModulePath): void;
}

export interface Uploads {
  readonly registry: OpenRegistry;
  close(): Promise<void>;
}

export async function openUploads(input: UploadsInput): Promise<Uploads> {
  const zips = new ZipVerifier({ threads: 1 });
  const registry = await createRegistry({
    store: input.store,
    zips,
    clock: input.clock,
    metaFolder: join(input.dataDir, 'meta'),
    options: () => {
      const { ingest, publish } = input.config();
      return {
        limits: ingest.limits,
        idleMs: publish.idleMs,
        minRateBytes: publish.minRateBytes,
        allowPseudo: publish.allowPseudoVersions,
      };
    },
    onChanged: (path) => input.onChanged(path),
  });
  return {
    registry,
    close: async () => {
      registry.close();
      await zips.close();
    },
  };
}
