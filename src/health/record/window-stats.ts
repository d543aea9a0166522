/** Figures of one rolling window of time, in twelve parts, with running totals so that reading is cheap. */

import type { WindowFigures } from '../types.ts';
import { LatencyHistogram } from './histogram.ts';
import { SlotRing } from './slot-ring.ts';

const slots = 12;

/** First-byte times of the window. */
export class LatencyWindow {
  readonly #ring: SlotRing;
  readonly #parts = Array.from({ length: slots }, () => new LatencyHistogram());
  readonly #total = new LatencyHistogram();
  readonly #drop = (index: number): void => {
    const part = this.#parts[index];
    if (part === undefined || part.count === 0) return;
    this.#total.subtract(part);
    part.clear();
  };

  constructor(windowMs: number) {
    this.#ring = new SlotRing(windowMs, slots);
  }

  add(nowMs: number, latencyMs: number): void {
    this.#parts[this.#ring.at(nowMs, this.#drop)]?.add(latencyMs);
    this.#total.add(latencyMs);
  }

  count(nowMs: number): number {
    this.#ring.at(nowMs, this.#drop);
    return this.#total.count;
  }

  /** Undefined without samples. */
  quantileMs(nowMs: number, q: number): number | undefined {
    this.#ring.at(nowMs, this.#drop);
    return this.#total.quantileMs(q);
  }
}

const answers = 0;
const failures = 1;
const bytes = 2;
const timedBytes = 3;
const timedMs = 4;
const fields = 5;

/** Answers, failures, bytes and first-byte times of the window. Times of the clock's monotonic kind. */
export class WindowStats {
  readonly #ring: SlotRing;
  readonly #parts = new Float64Array(slots * fields);
  readonly #totals = new Float64Array(fields);
  /** Of small answers and probes. */
  readonly latency: LatencyWindow;
  readonly #drop = (index: number): void => {
    for (let field = 0; field < fields; field += 1) {
      const at = index * fields + field;
      this.#totals[field] = (this.#totals[field] ?? 0) - (this.#parts[at] ?? 0);
      this.#parts[at] = 0;
    }
  };

  constructor(windowMs: number) {
    this.#ring = new SlotRing(windowMs, slots);
    this.latency = new LatencyWindow(windowMs);
  }

  answered(nowMs: number, isGood: boolean): void {
    this.#add(nowMs, answers, 1);
    if (!isGood) this.#add(nowMs, failures, 1);
  }

  /** An answer that was counted as good has failed after all. */
  turnedBad(nowMs: number): void {
    this.#add(nowMs, failures, 1);
  }

  received(nowMs: number, sizeBytes: number): void {
    this.#add(nowMs, bytes, sizeBytes);
  }

  /** A body long enough to tell the throughput. */
  timed(nowMs: number, sizeBytes: number, tookMs: number): void {
    this.#add(nowMs, timedBytes, sizeBytes);
    // Whole numbers, so that totals come back to zero exactly.
    this.#add(nowMs, timedMs, Math.max(1, Math.round(tookMs)));
  }

  figures(nowMs: number): WindowFigures {
    this.#ring.at(nowMs, this.#drop);
    const failed = this.#total(failures);
    // A failed body may be in the window while its first byte has left it.
    const judged = Math.max(this.#total(answers), failed);
    const bodyMs = this.#total(timedMs);
    return {
      answers: judged,
      failures: failed,
      successRate: judged === 0 ? undefined : 1 - failed / judged,
      p50Ms: this.latency.quantileMs(nowMs, 0.5),
      p95Ms: this.latency.quantileMs(nowMs, 0.95),
      p99Ms: this.latency.quantileMs(nowMs, 0.99),
      bytesPerSecond: bodyMs === 0 ? undefined : (this.#total(timedBytes) / bodyMs) * 1000,
      bytes: this.#total(bytes),
    };
  }

  #add(nowMs: number, field: number, amount: number): void {
    const at = this.#ring.at(nowMs, this.#drop) * fields + field;
    this.#parts[at] = (this.#parts[at] ?? 0) + amount;
    this.#totals[field] = (this.#totals[field] ?? 0) + amount;
  }

  #total(field: number): number {
    return this.#totals[field] ?? 0;
  }
}
