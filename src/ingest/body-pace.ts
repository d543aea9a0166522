/**
 * Reads one source's body with an eye on its pace: how long it brings nothing, and how much it brings per second.
 * Only the time in which we were ready to read counts, so a slow disk of ours is no fault of the source.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';

export interface PaceLimits {
  /** Nothing for this long ends the body with UpstreamError `timeout`; the answer's own `idleMs` goes before it. */
  readonly idleMs: number;
  /** Bytes per second. 0: any rate will do. */
  readonly minRateBytes: number;
}

/** What reading came to. `slow`: it goes on, but too slowly; told once, and once more after each `forgive`. */
export type PaceStep =
  | { readonly kind: 'bytes'; readonly chunk: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'slow'; readonly cause: string }
  | { readonly kind: 'interrupted' };

/** The rate is judged over this much time. */
const windowMs = 5_000;
/** The first moments of a body, in which connections and caches warm up, are not judged. */
const graceMs = 2_000;

interface Sample {
  readonly readyMs: number;
  readonly atByte: number;
}

export class BodyPace {
  readonly #answer: UpstreamAnswer;
  readonly #clock: Clock;
  readonly #minRateBytes: number;
  readonly #idleMs: number;
  readonly #tickMs: number;
  readonly #chunks: AsyncIterator<Buffer>;
  /** Steps that nobody has taken yet: at most one of each kind. A throwing one is the body's failure. */
  readonly #steps: (() => PaceStep)[] = [];
  #waiter: PromiseWithResolvers<PaceStep> | undefined;
  /** A read is under way; it outlasts steps that told something else. */
  #isReading = false;
  #isOver = false;
  #readingSinceMs = 0;
  #readyMs = 0;
  /** Where in the file the next chunk begins. */
  #atByte: number;
  /** Oldest first; one is older than the window, so that the window's beginning is known. */
  #samples: Sample[] = [];
  #isTold = false;
  #quietUntilMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(answer: UpstreamAnswer, clock: Clock, limits: PaceLimits) {
    this.#answer = answer;
    this.#atByte = answer.offset ?? 0;
    this.#clock = clock;
    this.#minRateBytes = limits.minRateBytes;
    this.#idleMs = answer.idleMs ?? limits.idleMs;
    // Fine enough for the shortest limit, coarse enough to cost nothing.
    this.#tickMs = Math.min(1_000, Math.max(10, this.#idleMs / 4));
    this.#chunks = answer.body[Symbol.asyncIterator]();
    this.#arm();
  }

  /**
   * The next step; one call at a time. Rejects with the body's error, or UpstreamError `timeout` when it stalled.
   */
  async next(): Promise<PaceStep> {
    const step = this.#steps.shift();
    if (step !== undefined) return step();
    const waiter = Promise.withResolvers<PaceStep>();
    this.#waiter = waiter;
    if (!this.#isReading) this.#read();
    return waiter.promise;
  }

  /** Ends the wait of `next` with `interrupted`; nothing of the body is lost by that. */
  interrupt(): void {
    this.#tell(() => ({ kind: 'interrupted' }));
  }

  /** Lets a slow pace be told again, judged from now on. `quietMs`: not before that. Default 0. */
  forgive(quietMs = 0): void {
    this.#isTold = false;
    this.#samples = [];
    this.#quietUntilMs = this.#clock.monotonic() + quietMs;
  }

  /** Ends the watch; the body is left to the caller. Idempotent. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tell(step: () => PaceStep): void {
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#steps.push(step);
      return;
    }
    this.#waiter = undefined;
    try {
      waiter.resolve(step());
    } catch (error) {
      waiter.reject(error);
    }
  }

  #read(): void {
    this.#isReading = true;
    this.#readingSinceMs = this.#clock.monotonic();
    this.#chunks.next().then(
      (result) => {
        this.#isReading = false;
        this.#readyMs += this.#clock.monotonic() - this.#readingSinceMs;
        if (this.#isOver) return;
        if (result.done === true) {
          this.stop();
          this.#tell(() => ({ kind: 'end' }));
          return;
        }
        const chunk = result.value;
        this.#atByte += chunk.byteLength;
        this.#tell(() => ({ kind: 'bytes', chunk }));
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** What a dropped body throws after that tells nothing any more. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.stop();
    this.#tell(() => {
      throw error;
    });
  }

  #arm(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#arm();
      if (this.#isReading) this.#look();
    }, this.#tickMs);
  }

  #look(): void {
    const silentMs = this.#clock.monotonic() - this.#readingSinceMs;
    if (silentMs >= this.#idleMs) {
      const seconds = Math.round(this.#idleMs / 100) / 10;
      const text = `stalled at byte ${this.#atByte}: nothing for ${seconds} s`;
      this.#fail(new UpstreamError(this.#answer.upstream, 'timeout', text));
      return;
    }
    const cause = this.#judgeRate(this.#readyMs + silentMs);
    if (cause === undefined || this.#isTold || this.#clock.monotonic() < this.#quietUntilMs) return;
    this.#isTold = true;
    this.#tell(() => ({ kind: 'slow', cause }));
  }

  /** Why the pace of the last window will not do. */
  #judgeRate(readyMs: number): string | undefined {
    if (this.#minRateBytes === 0 || readyMs < graceMs) return undefined;
    this.#samples.push({ readyMs, atByte: this.#atByte });
    while ((this.#samples[1]?.readyMs ?? Number.POSITIVE_INFINITY) <= readyMs - windowMs) {
      this.#samples.shift();
    }
    const [oldest] = this.#samples;
    if (oldest === undefined || oldest.readyMs > readyMs - windowMs) return undefined;
    const bytes = this.#atByte - oldest.atByte;
    const rate = Math.round((bytes * 1000) / (readyMs - oldest.readyMs));
    if (rate >= this.#minRateBytes) return undefined;
    return bytes === 0
      ? `stalled at byte ${this.#atByte}`
      : `slower than ${this.#minRateBytes} bytes/s at byte ${this.#atByte} (${rate} bytes/s)`;
  }
}
