/** Reads the body of an answer whole, where it is small by nature: .info, .mod, list, @latest, sumdb answers. */
import { type UpstreamAnswer, UpstreamError } from './types.ts';

/**
 * Resolves to the complete body. Rejects with UpstreamError `refused` when it is longer than `limitBytes` (a
 * declared length is believed before a byte is read), or with what the body itself throws. The answer is used up
 * in every case.
 */
export async function readBody(answer: UpstreamAnswer, limitBytes: number): Promise<Buffer> {
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
