/** What the folder store is given: the composition root fills it from the configuration. */
import type { Clock } from '../../lib/clock.ts';

export interface FsStoreOptions {
  /** The data folder, absolute. Made when absent. */
  readonly folder: string;
  readonly clock: Clock;
  /** Part of the file system that may be full before storing stops (ruling 25). Default 0.95. */
  readonly stopAt?: number;
  /** A waiting process takes over when the holder's staged file did not grow for this time. Default 5 000. */
  readonly claimStallMs?: number;
  /** Records kept in memory, some 300 bytes each. Default 20 000. */
  readonly recordCacheEntries?: number;
  /** How long changes of one module gather before its list is written. Default 50. */
  readonly listDelayMs?: number;
  /** Publish by hard link. Default: probed at opening. False makes the folder unfit for sharing. */
  readonly hardLinks?: boolean;
  /** Suspect bytes kept in quarantine; of more, the oldest go and their evidence stays. Default 1 GiB. */
  readonly quarantineBytes?: number;
  /** Entries kept in quarantine; of more, the oldest go. Default 1 000. */
  readonly quarantineEntries?: number;
}
