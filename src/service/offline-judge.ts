/**
 * A judge for commands where no modferry is running: it asks the checksum database over the configured upstreams,
 * one after another, knowing nothing of their health.
 */
import { TrustedSums } from '../checksums/trusted-sums.ts';
import type { Judge } from '../checksums/types.ts';
import type { Config } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import { plainPlan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { Prover } from './prover.ts';
import { buildUpstreamSet } from './upstream-set.ts';

export interface OfflineJudgeInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly store: Store;
  /** Absolute. */
  readonly dataDir: string;
  readonly version: string;
}

/** Close it once. Rejects with a ModferryError when the configuration cannot be used. */
export async function openJudge(
  input: OfflineJudgeInput,
): Promise<{ readonly judge: Judge; readonly warnings: readonly string[]; close(): Promise<void> }> {
  const { config, env, clock, store, dataDir, version } = input;
  const set = await buildUpstreamSet({
    config,
    env,
    instanceId: 'command',
    version,
    dataDir,
    ownAddresses: [],
    isReadOnly: true,
  });
  const trusted = TrustedSums.start(dataDir, clock);
  const plan = (upstreams: readonly Upstream[]) =>
    plainPlan({
      upstreams,
      answerClass: 'meta',
      firstByteMs: config.timeouts.firstByteMs.meta,
      lastHopeMs: config.timeouts.lastHopeMs,
    });
  const prover = new Prover(
    {
      clock,
      store,
      trusted,
      sumdb: new EventBus(),
      checksums: new EventBus(),
      plan: () => plan(set.members.map(({ upstream }) => upstream)),
      directPlan: (direct) => plan([direct]),
      isOffline: () => false,
    },
    set,
  );
  return {
    judge: prover.judge,
    warnings: set.warnings,
    close: async () => {
      prover.close();
      trusted.close();
      await set.close();
    },
  };
}
