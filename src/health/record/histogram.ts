/**
 * Latencies in buckets whose bounds grow by a constant factor: fixed memory for any number of samples, and every
 * quantile within a known relative error.
 */

/** A quantile is at most this much off the exact one, between `minMs` and `maxMs`. */
export const relativeError = 0.05;
/** All that is quicker is one bucket. */
export const minMs = 0.5;
/** All that is slower is in the last bucket. */
export const maxMs = 600_000;

const growth = (1 + relativeError) / (1 - relativeError);
const logGrowth = Math.log(growth);
const bucketCount = Math.ceil(Math.log(maxMs / minMs) / logGrowth) + 1;
/** Of each bucket the value that is equally far, in proportion, from both of its bounds. */
const values = Float64Array.from({ length: bucketCount }, (_, index) =>
  index === 0 ? minMs : (minMs * 2 * growth ** index) / (growth + 1),
);

export class LatencyHistogram {
  readonly #counts = new Uint32Array(bucketCount);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** What is no number, or below zero, counts as zero. */
  add(ms: number): void {
    const index = bucketOf(ms);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
  }

  /** Takes samples out again. They must be in here. */
  subtract(other: LatencyHistogram): void {
    for (let index = 0; index < bucketCount; index += 1) {
      this.#counts[index] = (this.#counts[index] ?? 0) - (other.#counts[index] ?? 0);
    }
    this.#count -= other.#count;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
  }

  /** By nearest rank; `q` from 0 (least) to 1 (greatest). Undefined without samples. */
  quantileMs(q: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(Math.min(q, 1) * this.#count));
    let below = 0;
    for (let index = 0; index < bucketCount; index += 1) {
      below += this.#counts[index] ?? 0;
      if (below >= rank) return values[index];
    }
    return undefined;
  }
}

function bucketOf(ms: number): number {
  if (!(ms > minMs)) return 0;
  return Math.min(bucketCount - 1, Math.ceil(Math.log(ms / minMs) / logGrowth));
}
