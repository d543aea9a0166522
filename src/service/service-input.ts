/** What the composition root is given, and what the start-up text says. */
import type { Config } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { GoEnv } from '../upstream/decide-upstreams.ts';

export interface ServiceInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  /** Working directory for relative paths. */
  readonly cwd: string;
  /** What this machine's Go says, asked by the caller ahead of time; a reload asks again. */
  readonly goEnv?: Promise<GoEnv | undefined>;
  /** Takes access-log text; resolves when it is written. */
  readonly writeAccess: (text: string) => Promise<void>;
  /** What the admin socket's reload does: the owner of the configuration loads it and calls `apply`. */
  readonly reload: () => Promise<object>;
}

/** What the start-up text says. */
export interface Started {
  readonly urls: readonly string[];
  readonly storeText: string;
  readonly downloadFolder: string;
  readonly upstreamNames: readonly string[];
  readonly upstreamOrigin: string;
  readonly end: string;
  readonly warnings: readonly string[];
}
