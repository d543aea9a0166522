/** Test help: the figures of an upstream of which nothing has been seen. */
import type { UpstreamFigures, WindowFigures } from './types.ts';

export const emptyWindow: WindowFigures = {
  answers: 0,
  failures: 0,
  successRate: undefined,
  p50Ms: undefined,
  p95Ms: undefined,
  p99Ms: undefined,
  bytesPerSecond: undefined,
  bytes: 0,
};

export function quietFigures(changes: Partial<UpstreamFigures> = {}): UpstreamFigures {
  return {
    name: 'cn',
    url: 'https://goproxy.cn',
    isPrivate: false,
    level: 1,
    weight: 100,
    state: 'healthy',
    sinceMs: 0,
    cause: '',
    score: 97,
    stars: 5,
    windows: { '5m': emptyWindow, '1h': emptyWindow, '24h': emptyWindow },
    ttfbMs: { meta: undefined, zip: undefined },
    jitterMs: undefined,
    inFlight: 0,
    queued: 0,
    breaker: 'closed',
    breakerUntilMs: undefined,
    restUntilMs: undefined,
    lastError: undefined,
    lastProbe: undefined,
    avoidedModules: 0,
    isTakenOut: false,
    isPinned: false,
    favouriteOf: [],
    isModferry: false,
    ...changes,
  };
}
