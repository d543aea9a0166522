/** Reads the body of an answer whole, where it is small by nature: .info, .mod, list, @latest, sumdb answers. */
import type { Clock } from '../lib/clock.ts';
import { type UpstreamAnswer, UpstreamError } from './types.ts';

export interface ReadWithin {
  readonly clock: Clock;
  /** From now to the last byte: a source that drips must not hold a place for days. */
  readonly withinMs: number;
}

/**
 * Resolves to the complete body. Rejects with UpstreamError `refused` when it is longer than `limitBytes` (a
 * declared length is believed before a byte is read), `timeout` when it is not complete `within` the time given
 * (default: as long as bytes come), or with what the body itself throws. The answer is used up in every case.
 */
export async function readBody(
  answer: UpstreamAnswer,
  limitBytes: number,
  within?: ReadWithin,
): Promise<Buffer> {
  if (within === undefined) return readWhole(answer, limitBytes);
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const timer = within.clock.setTimeout(() => {
    const seconds = Math.round(within.withinMs / 100) / 10;
    late.reject(
      new UpstreamError(answer.upstream, 'timeout', `its answer was not complete within ${seconds} s`),
    );
    answer.cancel();
  }, within.withinMs);
  const whole = readWhole(answer, limitBytes);
  whole.catch(() => {});
  try {
    return await Promise.race([whole, late.promise]);
  } finally {
    timer.cancel();
  }
}

async function readWhole(answer: UpstreamAnswer, limitBytes: number): Promise<Buffer> {
  if (answer.contentLength !== undefined && answer.contentLength > limitBytes) {
    answer.cancel();
    throw tooLong(answer, `declares ${answer.contentLength} bytes`, limitBytes);
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes) {
      answer.cancel();
      throw tooLong(answer, 'sent more bytes', limitBytes);
    }
    chunks.push(chunk);
  }
  const [first] = chunks;
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, sizeBytes);
}

function tooLong(answer: UpstreamAnswer, what: string, limitBytes: number): UpstreamError {
  return new UpstreamError(answer.upstream, 'refused', `${what} where at most ${limitBytes} are expected`);
}
