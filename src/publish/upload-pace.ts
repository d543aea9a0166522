/**
 * Reads an upload with an eye on its pace (ruling 28): there is no time for the whole of it, but nothing for too long,
 * or too little for too long, ends it. Only the time in which we were ready to read counts.
 */
import type { Clock } from '../lib/clock.ts';
import { PublishError } from './types.ts';

export interface UploadPace {
  /** Nothing for this long ends the upload. Milliseconds. */
  readonly idleMs: number;
  /** Bytes per second, judged over every `rateWindowMs` of waiting. 0: any rate will do. */
  readonly minRateBytes: number;
}

/** The rate is judged over this much time. */
export const rateWindowMs = 10_000;

/** The chunks of `body`. Throws PublishError `slow`, the signal's reason, or what the body throws. */
export async function* paced(
  body: AsyncIterable<Buffer>,
  pace: UploadPace,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const chunks = body[Symbol.asyncIterator]();
  const window = new RateWindow(pace.minRateBytes);
  let receivedBytes = 0;
  let isOver = false;
  try {
    for (;;) {
      const startedAtMs = clock.monotonic();
      const result = await within(chunks.next(), { pace, clock, signal, window, receivedBytes });
      if (result.done === true) {
        isOver = true;
        return;
      }
      receivedBytes += result.value.byteLength;
      window.add(clock.monotonic() - startedAtMs, result.value.byteLength, receivedBytes);
      yield result.value;
    }
  } finally {
    // Not awaited: a body that brings nothing would not answer this either.
    if (!isOver) chunks.return?.().catch(() => {});
  }
}

interface Wait {
  readonly pace: UploadPace;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly window: RateWindow;
  readonly receivedBytes: number;
}

async function within<Result>(next: Promise<Result>, wait: Wait): Promise<Result> {
  const { pace, clock, signal, window, receivedBytes } = wait;
  signal.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  const onAbort = (): void => stopped.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const idle = clock.setTimeout(() => {
    const seconds = Math.round(pace.idleMs / 100) / 10;
    stopped.reject(
      slow(`nothing came for ${seconds} s after byte ${receivedBytes}; upload it again over a steadier line`),
    );
  }, pace.idleMs);
  // A trickle is found out when its window ends, be it between two chunks.
  const rate = clock.setTimeout(() => {
    const error = window.verdict(window.remainingMs, 0, receivedBytes);
    if (error !== undefined) stopped.reject(error);
  }, window.remainingMs);
  try {
    return await Promise.race([next, stopped.promise]);
  } finally {
    idle.cancel();
    rate.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

class RateWindow {
  readonly #minRateBytes: number;
  #waitedMs = 0;
  #bytes = 0;

  constructor(minRateBytes: number) {
    this.#minRateBytes = minRateBytes;
  }

  /** Waiting time until the window ends. */
  get remainingMs(): number {
    return rateWindowMs - this.#waitedMs;
  }

  /** Counts a chunk and the wait for it. Throws PublishError `slow`. */
  add(waitedMs: number, bytes: number, receivedBytes: number): void {
    const error = this.verdict(waitedMs, bytes, receivedBytes);
    if (error !== undefined) throw error;
    this.#waitedMs += waitedMs;
    this.#bytes += bytes;
    if (this.#waitedMs < rateWindowMs) return;
    this.#waitedMs = 0;
    this.#bytes = 0;
  }

  /** What would follow if so much more were waited for so many bytes. */
  verdict(waitedMs: number, bytes: number, receivedBytes: number): PublishError | undefined {
    const spentMs = this.#waitedMs + waitedMs;
    if (spentMs < rateWindowMs) return undefined;
    const rate = Math.round(((this.#bytes + bytes) * 1000) / spentMs);
    if (rate >= this.#minRateBytes) return undefined;
    return slow(
      `slower than ${this.#minRateBytes} bytes/s at byte ${receivedBytes} (${rate} bytes/s); upload it again over a quicker line`,
    );
  }
}

function slow(what: string): PublishError {
  return new PublishError('slow', `the upload was stopped: ${what}`);
}
