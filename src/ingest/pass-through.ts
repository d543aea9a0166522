/**
 * A zip for one client when the disk takes no more and the body is too large for memory (ruling 15): proven from
 * the stream as it passes, its tail held back until the proof is complete. Nothing is stored and nothing shared.
 */
import { ModferryError, messageOf } from '../lib/errors.ts';
import { type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import type { SourcesFailure } from './types.ts';

/** The incremental judge of a zip: takes bytes as they come, throws as soon as they cannot be right. */
export interface StreamJudge {
  push(chunk: Buffer): Promise<void>;
  /** Throws unless the whole is a good module zip. */
  finish(): Promise<unknown>;
  /** Frees what it holds; idempotent. */
  close(): void;
}

export interface PassThroughDeps {
  readonly walk: Walk;
  readonly tailBytes: number;
  readonly limitBytes: number;
  newJudge(): StreamJudge;
  failure(walk: Walk): Promise<SourcesFailure>;
  onRefused(source: string, reason: string): void;
  /** Gives back the place among the fetches. */
  onClose(): void;
}

export class PassThrough {
  readonly #deps: PassThroughDeps;
  #answer: UpstreamAnswer | undefined;
  #chunks: AsyncIterator<Buffer> | undefined;
  #judge: StreamJudge | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #releasedTo = 0;
  #receivedBytes = 0;
  #proven = false;
  #closed = false;

  constructor(deps: PassThroughDeps) {
    this.#deps = deps;
  }

  get source(): string {
    return this.#answer?.upstream ?? 'none';
  }

  /** All of it has arrived and is good. */
  get isProven(): boolean {
    return this.#proven;
  }

  get sizeBytes(): number | undefined {
    return this.#answer?.contentLength;
  }

  /**
   * Resolves when the first bytes may be sent. A source that fails before that is replaced by the next. Rejects
   * with SourcesFailure.
   */
  async open(): Promise<void> {
    const { walk } = this.#deps;
    for (;;) {
      const answer = await walk.next();
      if (answer === undefined) throw await this.#deps.failure(walk);
      this.#answer = answer;
      this.#chunks = answer.body[Symbol.asyncIterator]();
      this.#judge = this.#deps.newJudge();
      this.#held = [];
      this.#heldBytes = 0;
      this.#receivedBytes = 0;
      try {
        while (!this.#proven && this.#sendable() === 0) await this.#receive();
        return;
      } catch (error) {
        const reason = messageOf(error);
        this.#judge.close();
        answer.cancel();
        walk.refuse(answer, error instanceof UpstreamError ? error.code : 'refused', reason);
        this.#deps.onRefused(answer.upstream, reason);
      }
    }
  }

  /** Sequential only: `position` must be where the last read ended. 0 at the proven end. Rejects when it broke. */
  async readAt(target: Buffer, length: number, position: number): Promise<number> {
    if (position !== this.#releasedTo)
      throw new RangeError('a passed-through body can only be read in order');
    while (!this.#proven && this.#sendable() === 0) await this.#receive();
    const count = Math.min(length, this.#sendable());
    let copied = 0;
    while (copied < count) {
      const chunk = this.#held[0] as Buffer;
      const part = Math.min(chunk.length, count - copied);
      chunk.copy(target, copied, 0, part);
      copied += part;
      if (part === chunk.length) this.#held.shift();
      else this.#held[0] = chunk.subarray(part);
    }
    this.#heldBytes -= copied;
    this.#releasedTo += copied;
    return copied;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#judge?.close();
    this.#answer?.cancel();
    this.#deps.walk.close();
    this.#deps.onClose();
  }

  #sendable(): number {
    return this.#proven ? this.#heldBytes : Math.max(0, this.#heldBytes - this.#deps.tailBytes);
  }

  async #receive(): Promise<void> {
    const chunks = this.#chunks as AsyncIterator<Buffer>;
    const judge = this.#judge as StreamJudge;
    const next = await chunks.next();
    if (next.done === true) {
      await judge.finish();
      this.#proven = true;
      return;
    }
    this.#receivedBytes += next.value.length;
    if (this.#receivedBytes > this.#deps.limitBytes) {
      throw new ModferryError('refused', `the zip is over the limit of ${this.#deps.limitBytes} bytes`);
    }
    await judge.push(next.value);
    this.#held.push(next.value);
    this.#heldBytes += next.value.length;
  }
}
