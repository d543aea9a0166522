/** Where slow begins: relative to the quickest upstream, or at a fixed limit (ruling 17). */
import type { HealthOptions, UpstreamHealth } from '../types.ts';

/** One lucky answer must not make everybody else slow. */
const minSamples = 3;

/**
 * Milliseconds to the first byte of small answers: an upstream whose p50 is above this is slow. `latencyLimitMs`
 * where it is set, else p50 of the quickest + `latencyAllowanceMs`; undefined while too little is known. Those that
 * are suspect or out, or whose breaker is not closed, are no measure: their figures are of better times.
 */
export function latencyBoundMs(
  upstreams: Iterable<UpstreamHealth>,
  options: Pick<HealthOptions, 'latencyAllowanceMs' | 'latencyLimitMs'>,
): number | undefined {
  if (options.latencyLimitMs !== undefined) return options.latencyLimitMs;
  let quickestMs: number | undefined;
  for (const health of upstreams) {
    if (health.state === 'suspect' || health.state === 'out' || health.breaker !== 'closed') continue;
    if (health.samples('meta') < minSamples) continue;
    const p50Ms = health.quantileMs('meta', 0.5);
    if (p50Ms !== undefined && (quickestMs === undefined || p50Ms < quickestMs)) quickestMs = p50Ms;
  }
  return quickestMs === undefined ? undefined : quickestMs + options.latencyAllowanceMs;
}
