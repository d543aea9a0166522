/** Test help: how health is judged where a test does not say otherwise. */
import type { HealthOptions } from './types.ts';

/** The defaults of the configuration. */
export const healthDefaults: HealthOptions = {
  probe: {
    everyMs: 10_000,
    idleEveryMs: 60_000,
    outEveryMs: 5_000,
    timeoutMs: 3_000,
    path: '/github.com/pkg/errors/@v/v0.9.1.mod',
    sha256: '',
  },
  latencyAllowanceMs: 200,
  latencyLimitMs: undefined,
  outAfter: 3,
  outForMs: 60_000,
  outForMaxMs: 300_000,
  goodProbes: 3,
  slowStartMs: 30_000,
  switchBackAfterMs: 120_000,
  betterByRatio: 0.25,
  avoidModuleMs: 60_000,
  breaker: {
    windowMs: 10_000,
    volume: 20,
    errorRatio: 0.5,
    openMs: 30_000,
    openMaxMs: 300_000,
    trials: 3,
  },
  retry: { repeats: 2, budgetRatio: 0.2, baseMs: 100, capMs: 1_000 },
  hedge: { enabled: true, minMs: 100, unknownMs: 300, budgetRatio: 0.05, floorPerSecond: 3 },
  firstByteMs: { meta: 5_000, zip: 10_000 },
  firstByteFloorMs: 1_000,
  lastHopeMs: 60_000,
  strategy: { public: 'priority', private: 'priority' },
};
