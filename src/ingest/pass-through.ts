/**
 * A zip for one client when the disk takes no more and the body is too large for memory (ruling 15): proven from
 * the stream as it passes, its tail held back until the proof is complete. Nothing is stored and nothing shared.
 */
import type { Clock } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { type UpstreamAnswer, UpstreamError, type UpstreamErrorCode } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { BodyPace, type PaceLimits } from './body-pace.ts';
import { SourcesFailure } from './types.ts';

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
  readonly clock: Clock;
  readonly pace: PaceLimits;
  readonly tailBytes: number;
  readonly limitBytes: number;
  newJudge(answer: UpstreamAnswer): StreamJudge;
  failure(walk: Walk): Promise<SourcesFailure>;
  onRefused(source: string, reason: string): void;
  /** Gives back the place among the fetches. */
  onClose(): void;
}

export class PassThrough {
  readonly #deps: PassThroughDeps;
  #answer: UpstreamAnswer | undefined;
  #pace: BodyPace | undefined;
  #judge: StreamJudge | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #releasedTo = 0;
  #receivedBytes = 0;
  #proven = false;
  /** The first bytes may have been sent. */
  #isOpen = false;
  /** Answers while the one in hand is too slow, and why that is. */
  #help: { readonly answer: UpstreamAnswer; readonly cause: string } | undefined;
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
   * Resolves when the first bytes may be sent. A source that fails before that, or is too slow while another one
   * answers, is replaced by the next. Rejects with SourcesFailure.
   */
  async open(): Promise<void> {
    const { walk } = this.#deps;
    for (;;) {
      const answer = this.#adoptHelp() ?? (await walk.next());
      if (answer === undefined) throw await this.#deps.failure(walk);
      this.#begin(answer);
      try {
        while (!this.#proven && this.#sendable() === 0) await this.#receive();
        this.#isOpen = true;
        this.#dropHelp();
        return;
      } catch (error) {
        const reason = messageOf(error);
        this.#refuse(error, reason);
        // No fault of the source, and no other one could do better.
        if (error instanceof SourcesFailure) throw error;
        this.#deps.onRefused(answer.upstream, reason);
      }
    }
  }

  /** Sequential only: `position` must be where the last read ended. 0 at the proven end. Rejects when it broke. */
  async readAt(target: Buffer, length: number, position: number): Promise<number> {
    if (position !== this.#releasedTo)
      throw new RangeError('a passed-through body can only be read in order');
    try {
      while (!this.#proven && this.#sendable() === 0) await this.#receive();
    } catch (error) {
      this.#refuse(error, messageOf(error));
      throw error;
    }
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
    this.#pace?.stop();
    this.#judge?.close();
    this.#answer?.cancel();
    this.#deps.walk.close();
    this.#deps.onClose();
  }

  #sendable(): number {
    return this.#proven ? this.#heldBytes : Math.max(0, this.#heldBytes - this.#deps.tailBytes);
  }

  #begin(answer: UpstreamAnswer): void {
    const { clock, pace } = this.#deps;
    this.#answer = answer;
    this.#pace = new BodyPace(answer, clock, pace);
    this.#judge = this.#deps.newJudge(answer);
    this.#held = [];
    this.#heldBytes = 0;
    this.#receivedBytes = 0;
  }

  /** One step of the body. */
  async #receive(): Promise<void> {
    const pace = this.#pace as BodyPace;
    const judge = this.#judge as StreamJudge;
    const step = await pace.next();
    switch (step.kind) {
      case 'slow':
        // What the client has received cannot be continued by another source.
        if (!this.#isOpen) this.#askBeside(pace, step.cause);
        return;
      case 'interrupted':
        if (this.#help !== undefined) throw new UpstreamError(this.source, 'timeout', this.#help.cause);
        return;
      case 'end':
        await judge.finish();
        this.#proven = true;
        return;
      default:
        await this.#take(step.chunk, judge);
    }
  }

  async #take(chunk: Buffer, judge: StreamJudge): Promise<void> {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > this.#deps.limitBytes) {
      throw new ModferryError('refused', `the zip is over the limit of ${this.#deps.limitBytes} bytes`);
    }
    await judge.push(chunk);
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
  }

  /** The present source goes on meanwhile; where nobody else answers it is the last hope. */
  #askBeside(pace: BodyPace, cause: string): void {
    const { walk } = this.#deps;
    walk.nextBeside().then(
      (answer) => {
        if (answer === undefined) return;
        this.#help = { answer, cause };
        if (this.#isOpen || this.#closed) this.#dropHelp();
        else pace.interrupt();
      },
      // The client left, which ends the body in hand too.
      () => {},
    );
  }

  #adoptHelp(): UpstreamAnswer | undefined {
    const answer = this.#help?.answer;
    this.#help = undefined;
    if (answer !== undefined) this.#deps.walk.adopt(answer);
    return answer;
  }

  #dropHelp(): void {
    const answer = this.#help?.answer;
    this.#help = undefined;
    if (answer !== undefined) this.#deps.walk.refuse(answer, 'beaten', 'no longer needed');
  }

  /** Ends the attempt in hand, and tells whoever watches its source. */
  #refuse(error: unknown, reason: string): void {
    this.#pace?.stop();
    this.#judge?.close();
    const answer = this.#answer;
    if (answer === undefined) return;
    this.#deps.walk.refuse(answer, codeOf(error), reason);
  }
}

function codeOf(error: unknown): UpstreamErrorCode {
  if (error instanceof SourcesFailure) return 'aborted';
  return error instanceof UpstreamError ? error.code : 'refused';
}
