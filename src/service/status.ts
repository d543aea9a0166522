/** What the admin socket's `GET /status` answers: how this process and its upstreams are. Plain data. */
import type { Config } from '../config/snapshot.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import type { Answering } from './answering.ts';
import type { Mirrors } from './mirrors.ts';

export interface StatusDeps {
  readonly store: FsStore;
  readonly mirrors: Mirrors;
  readonly answering: Answering;
  readonly config: Config;
  /** What only the service itself knows. */
  readonly facts: {
    readonly version: string;
    readonly instance: string;
    readonly startedAt: string;
    readonly revision: number;
    readonly urls: readonly string[];
    readonly draining: boolean;
    readonly upstreamOrigin: string;
    readonly accessLinesDropped: number;
  };
}

export async function statusOf({ store, mirrors, answering, config, facts }: StatusDeps): Promise<object> {
  const space = await store.space().catch(() => undefined);
  const { controls } = mirrors;
  return {
    ...facts,
    pid: process.pid,
    store: { description: store.description, ...space },
    mode: { mode: controls.mode, untilMs: controls.modeUntilMs ?? null },
    isFrozen: controls.isFrozen,
    strategy: config.strategy,
    upstreams: mirrors.figures(),
    fills: answering.ingest.activeFills,
    lookAhead: answering.lookAhead.counts,
    memory: {
      rssBytes: process.memoryUsage().rss,
      hotSmallBytes: answering.hot.bytes,
      hotZipBytes: answering.zips.bytes,
    },
  };
}
