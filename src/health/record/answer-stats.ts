/** All figures of one upstream: how often it answered well, how quickly, how fast its bodies came. No judgement. */
import type { Clock } from '../../lib/clock.ts';
import type { AnswerClass } from '../../upstream/types.ts';
import type { WindowFigures, WindowName } from '../types.ts';
import { Ewma, PeakEwma } from './ewma.ts';
import { LatencyWindow, WindowStats } from './window-stats.ts';

const windowMs: { readonly [Name in WindowName]: number } = {
  '5m': 300_000,
  '1h': 3_600_000,
  '24h': 86_400_000,
};
/** About the last 50 answers. */
const successAlpha = 0.04;
/** What is assumed of an upstream that nobody has asked: a few good answers, soon outweighed. */
const assumedAnswers = 3;
const probeWeight = 0.5;
const jitterAlpha = 1 / 16;
const throughputAlpha = 0.2;
/** Shorter bodies tell more of latency than of throughput. */
const throughputFromBytes = 262_144;

export class AnswerStats {
  readonly #clock: Clock;
  readonly #windows = {
    '5m': new WindowStats(windowMs['5m']),
    '1h': new WindowStats(windowMs['1h']),
    '24h': new WindowStats(windowMs['24h']),
  };
  readonly #all: readonly WindowStats[] = Object.values(this.#windows);
  /** First-byte times over 5 min; probes are small answers. */
  readonly #latency: { readonly [Class in AnswerClass]: LatencyWindow } = {
    meta: this.#windows['5m'].latency,
    zip: new LatencyWindow(windowMs['5m']),
  };
  readonly #peak = { meta: new PeakEwma(), zip: new PeakEwma() };
  readonly #success = new Ewma(successAlpha, 1, assumedAnswers);
  readonly #jitter = new Ewma(jitterAlpha);
  readonly #throughput = new Ewma(throughputAlpha);
  #lastLatencyMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 to 1; 1 at the start. */
  get success(): number {
    return this.#success.value ?? 1;
  }

  get jitterMs(): number | undefined {
    return this.#jitter.value;
  }

  /** Of bodies over 256 KiB, the latest counting most. */
  get bytesPerSecond(): number | undefined {
    return this.#throughput.value;
  }

  /** Peak EWMA to the first byte. */
  peakMs(answerClass: AnswerClass): number | undefined {
    return this.#peak[answerClass].value;
  }

  quantileMs(answerClass: AnswerClass, q: number): number | undefined {
    return this.#latency[answerClass].quantileMs(this.#clock.monotonic(), q);
  }

  samples(answerClass: AnswerClass): number {
    return this.#latency[answerClass].count(this.#clock.monotonic());
  }

  windows(): { readonly [Name in WindowName]: WindowFigures } {
    const nowMs = this.#clock.monotonic();
    return {
      '5m': this.#windows['5m'].figures(nowMs),
      '1h': this.#windows['1h'].figures(nowMs),
      '24h': this.#windows['24h'].figures(nowMs),
    };
  }

  answered(isGood: boolean, isProbe: boolean): void {
    const nowMs = this.#clock.monotonic();
    this.#success.add(isGood ? 1 : 0, isProbe ? probeWeight : 1);
    for (const one of this.#all) one.answered(nowMs, isGood);
  }

  /** An answer that was counted as good has failed after all. */
  turnedBad(): void {
    const nowMs = this.#clock.monotonic();
    this.#success.add(0);
    for (const one of this.#all) one.turnedBad(nowMs);
  }

  firstByte(answerClass: AnswerClass, tookMs: number): void {
    const nowMs = this.#clock.monotonic();
    this.#sample(answerClass, nowMs, tookMs);
    if (answerClass !== 'meta') return;
    if (this.#lastLatencyMs !== undefined) this.#jitter.add(Math.abs(tookMs - this.#lastLatencyMs));
    this.#lastLatencyMs = tookMs;
  }

  /**
   * It was given up after `tookMs` of silence, so the first byte would have taken longer. That tells something only
   * when it is longer than usual: else an upstream would look quicker by being beaten.
   */
  silentFor(answerClass: AnswerClass, tookMs: number): void {
    const usualMs = this.quantileMs(answerClass, 0.5);
    if (usualMs === undefined || tookMs >= usualMs) {
      this.#sample(answerClass, this.#clock.monotonic(), tookMs);
    }
  }

  body(sizeBytes: number, tookMs: number, isComplete: boolean): void {
    const nowMs = this.#clock.monotonic();
    const isTimed = isComplete && sizeBytes > throughputFromBytes;
    if (isTimed) this.#throughput.add((sizeBytes / Math.max(1, tookMs)) * 1000);
    for (const one of this.#all) {
      one.received(nowMs, sizeBytes);
      if (isTimed) one.timed(nowMs, sizeBytes, tookMs);
    }
  }

  #sample(answerClass: AnswerClass, nowMs: number, tookMs: number): void {
    this.#peak[answerClass].add(tookMs, nowMs);
    if (answerClass === 'zip') this.#latency.zip.add(nowMs, tookMs);
    else for (const one of this.#all) one.latency.add(nowMs, tookMs);
  }
}
