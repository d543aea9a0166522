/**
 * The body of an upstream's answer: bytes as sent, complete or an error, never silently short. Stopping to read,
 * `cancel` and the request's signal all close the socket, and each gives the upstream's place back.
 */
import type { Readable } from 'node:stream';
import { abortError, classifyError, type ErrorPlace } from './classify-error.ts';
import { UpstreamError } from './types.ts';

export interface AnswerBody {
  readonly body: AsyncIterable<Buffer>;
  /** Idempotent. */
  readonly cancel: () => void;
}

/** `onClosed` is called once, when the socket is free or gone. */
export function answerBody(
  readable: Readable,
  declaredBytes: number | undefined,
  place: Omit<ErrorPlace, 'phase'>,
  onClosed: () => void,
): AnswerBody {
  const { upstream, signal } = place;
  let isCancelled = false;
  let isTaken = false;
  // A body that nobody reads yet may fail: it must not become an uncaught error.
  readable.on('error', () => {});
  readable.once('close', onClosed);

  function cancel(): void {
    if (readable.readableEnded || readable.destroyed) return;
    isCancelled = true;
    readable.destroy();
  }

  async function* read(): AsyncGenerator<Buffer, void, void> {
    let receivedBytes = 0;
    try {
      if (isCancelled) throw new UpstreamError(upstream, 'aborted', 'the body was dropped');
      for await (const chunk of readable as AsyncIterable<Buffer>) {
        receivedBytes += chunk.byteLength;
        if (declaredBytes !== undefined && receivedBytes > declaredBytes) {
          throw new UpstreamError(
            upstream,
            'protocol',
            `sent more than the ${declaredBytes} bytes it declared`,
          );
        }
        yield chunk;
      }
    } catch (error) {
      if (isCancelled && !signal.aborted)
        throw new UpstreamError(upstream, 'aborted', 'the body was dropped');
      throw classifyError(error, { ...place, phase: 'body' });
    } finally {
      cancel();
    }
    if (signal.aborted && !readable.readableEnded) throw abortError(upstream, signal);
    if (declaredBytes !== undefined && receivedBytes < declaredBytes) {
      throw new UpstreamError(upstream, 'truncated', `sent ${receivedBytes} of ${declaredBytes} bytes`);
    }
  }

  return {
    body: {
      [Symbol.asyncIterator]() {
        // A second reader would see an empty body that looks complete.
        if (isTaken) throw new UpstreamError(upstream, 'protocol', 'the body can be read only once');
        isTaken = true;
        return read();
      },
    },
    cancel,
  };
}
