/**
 * The body of an answer with an eye on its end. Chunks pass through untouched; the end is told once, however it comes:
 * read to the end, failed, left early, cancelled, or its request aborted with nobody reading.
 */
import type { UpstreamAnswer } from '../../upstream/types.ts';

export type BodyEnd =
  | { readonly how: 'complete' | 'left'; readonly sizeBytes: number }
  | { readonly how: 'failed'; readonly sizeBytes: number; readonly error: unknown };

export class WatchedBody implements AsyncIterable<Buffer> {
  readonly #answer: UpstreamAnswer;
  readonly #signal: AbortSignal;
  readonly #onEnd: (end: BodyEnd) => void;
  #sizeBytes = 0;
  #isReading = false;
  #isOver = false;
  readonly #onAbort = (): void => {
    // A reader hears of the abort itself, and by which error tells more.
    if (!this.#isReading) this.#end({ how: 'left', sizeBytes: this.#sizeBytes });
  };

  constructor(answer: UpstreamAnswer, signal: AbortSignal, onEnd: (end: BodyEnd) => void) {
    this.#answer = answer;
    this.#signal = signal;
    this.#onEnd = onEnd;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Drops the body. Idempotent. */
  cancel(): void {
    this.#answer.cancel();
    this.#end({ how: 'left', sizeBytes: this.#sizeBytes });
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, void, void> {
    const inner = this.#answer.body[Symbol.asyncIterator]();
    this.#isReading = true;
    const onResult = (result: IteratorResult<Buffer, unknown>): IteratorResult<Buffer, void> => {
      if (result.done === true) {
        this.#end({ how: 'complete', sizeBytes: this.#sizeBytes });
        return { done: true, value: undefined };
      }
      this.#sizeBytes += result.value.byteLength;
      return result;
    };
    const onError = (error: unknown): never => {
      this.#end({ how: 'failed', sizeBytes: this.#sizeBytes, error });
      throw error;
    };
    return {
      next: () => inner.next().then(onResult, onError),
      return: async () => {
        this.#end({ how: 'left', sizeBytes: this.#sizeBytes });
        await inner.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  #end(end: BodyEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#onEnd(end);
  }
}
