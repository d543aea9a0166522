/** Averages that forget: the plain one by number of samples, the peak one by time. */

/** Exponentially weighted moving average over about 2 ÷ `alpha` samples. */
export class Ewma {
  readonly #alpha: number;
  #value: number | undefined;
  #weight: number;

  /**
   * `initial`: the value before any sample; it counts as `initialWeight` samples (default: as many as it averages
   * over), so that a small weight lets the first real samples speak. Without it the first sample is the value.
   */
  constructor(alpha: number, initial?: number, initialWeight = 1 / alpha) {
    this.#alpha = alpha;
    this.#value = initial;
    this.#weight = initialWeight;
  }

  get value(): number | undefined {
    return this.#value;
  }

  /** `weight` 0 to 1: how much of a sample this is. */
  add(sample: number, weight = 1): void {
    this.#weight += weight;
    const gain = weight * Math.max(this.#alpha, 1 / this.#weight);
    if (this.#value === undefined) this.#value = sample;
    else this.#value += gain * (sample - this.#value);
  }
}

/**
 * A cautious view of latency: a slower sample is believed at once, quicker ones pull the value down with the time
 * that has passed, so that one quick answer does not hide a slow spell.
 */
export class PeakEwma {
  readonly #tauMs: number;
  #value: number | undefined;
  #atMs = 0;

  /** After `tauMs` about two thirds of a former peak are forgotten. Default 10 s. */
  constructor(tauMs = 10_000) {
    this.#tauMs = tauMs;
  }

  get value(): number | undefined {
    return this.#value;
  }

  /** `nowMs` never goes back. */
  add(sample: number, nowMs: number): void {
    if (this.#value === undefined || sample > this.#value) this.#value = sample;
    else this.#value += (1 - Math.exp(-(nowMs - this.#atMs) / this.#tauMs)) * (sample - this.#value);
    this.#atMs = nowMs;
  }
}
