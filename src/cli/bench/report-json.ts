/** The result of a bench for scripts: one document, times in milliseconds, sizes in bytes. */
import type { Measured, Sample } from './bench-types.ts';
import type { Ranking } from './ranking.ts';
import type { Recommendation } from './recommendation.ts';

export interface JsonInput {
  readonly ranking: Ranking;
  readonly recommended: Recommendation;
  readonly samples: readonly Sample[];
  /** False when it was interrupted. */
  readonly isComplete: boolean;
}

export function reportJson({ ranking, recommended, samples, isComplete }: JsonInput): object {
  const { goproxy, yaml } = recommended;
  return {
    complete: isComplete,
    mirrors: ranking.mirrors.map(
      ({ rank, name, url, stars, score, bytes, isUsable, all, small, byKind }) => ({
        rank,
        name,
        url,
        stars,
        score: round(score),
        bytes,
        usable: isUsable,
        all: rounded(all),
        small: rounded(small),
        byKind: rounded(byKind),
      }),
    ),
    disputes: ranking.disputes,
    samples: samples.map(sampleJson),
    recommended: { goproxy, yaml },
  };
}

function sampleJson(sample: Sample): object {
  const { isReused, isProxied, version, totalMs, sizeBytes, ...rest } = sample;
  const timed = rounded({ ...rest, totalMs }) as typeof rest & Pick<Measured, 'totalMs'>;
  return {
    ...timed,
    version: version ?? null,
    sizeBytes,
    bytesPerSecond: sizeBytes === 0 || totalMs <= 0 ? null : Math.round((sizeBytes / totalMs) * 1000),
    reused: isReused,
    proxied: isProxied,
  };
}

/** Every number in it to a microsecond: what is beyond is noise. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return round(value);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
