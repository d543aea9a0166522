/** What the admin socket's `GET /status` answers: how this process and its upstreams are. Plain data. */
import type { Config } from '../config/snapshot.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import type { Answering } from './answering.ts';
import type { Mirrors } from './mirrors.ts';
import type { Prover } from './prover.ts';

export interface StatusDeps {
  readonly store: FsStore;
  readonly mirrors: Mirrors;
  readonly answering: Answering;
  readonly prover: Prover;
  /** go.sum lines that operators imported. */
  readonly trustedLines: number;
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

export async function statusOf(deps: StatusDeps): Promise<object> {
  const { store, mirrors, answering, prover, trustedLines, config, facts } = deps;
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
    proofs: {
      database: prover.provingName ?? null,
      mode: config.checksums.mode,
      /** True: what mirrors send is published without a proof. */
      unproven: prover.provingName === undefined || config.checksums.mode === 'off',
      databases: prover.figures,
      trustedLines,
    },
    fills: answering.ingest.activeFills,
    lookAhead: answering.lookAhead.counts,
    memory: {
      rssBytes: process.memoryUsage().rss,
      hotSmallBytes: answering.hot.bytes,
      hotZipBytes: answering.zips.bytes,
    },
  };
}
