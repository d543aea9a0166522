/**
 * One zip on its way to the thread that checks it while it arrives. Its bytes are copied into blocks and handed over
 * as long as the thread keeps up; while it does not, the thread reads what it missed from the file that the zip is
 * being staged in. It refuses nothing: a zip that it cannot prove is left to the random-access check.
 */
import type { StreamNotice, StreamOrder } from './stream-protocol.ts';
import { factsOf } from './verify-protocol.ts';
import type { ZipFacts } from './zip-types.ts';

/**
 * Size of the blocks in which bytes go to the thread, and the least that is read from the file at a time. Entries
 * that a border cuts are inflated twice, in part: blocks of 256 KiB cost some 15 % more CPU time.
 */
export const blockBytes = 1024 * 1024;

/** The file that the zip is written to while it is pushed. */
export interface StagedPart {
  /** Absolute path. */
  readonly file: string;
  /** So many of its first bytes can be read. */
  readonly readableBytes: number;
}

/** A zip that is checked while its bytes arrive. Close it in any case; whatever happens it never slows its caller. */
export interface ZipStream {
  /** Takes the next bytes, in pieces of any size; they may be reused when it returns. Never throws. */
  push(chunk: Buffer): void;
  /**
   * Says that all bytes were pushed, and are readable where they are staged. Undefined: nothing is known of the zip,
   * check it by random access. Rejects with the signal's reason only.
   */
  finish(signal?: AbortSignal): Promise<ZipFacts | undefined>;
  /** Gives up, and frees what is held. Idempotent; does nothing after `finish` has settled. */
  close(): void;
}

/** What a feed needs of the thread and of the memory that all feeds share. */
export interface FeedLane {
  post(order: StreamOrder): void;
  /** A block to fill; undefined: this feed, which holds `held` of them, may have no more now. */
  takeBlock(held: number): ArrayBuffer | undefined;
  /** A block is free again. Undefined: it went with the thread. */
  freeBlock(block: ArrayBuffer | undefined): void;
  /** Keeps the process alive while somebody waits for the answer. */
  waiting(by: 1 | -1): void;
  /** Where the bytes can be read meanwhile; undefined: nowhere. */
  staged(): StagedPart | undefined;
}

interface Block {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
}

export class StreamFeed implements ZipStream {
  readonly #id: number;
  readonly #lane: FeedLane;
  readonly #result = Promise.withResolvers<ZipFacts | undefined>();
  /** `posting`: bytes go in blocks. `reading`: from the file. `over`: given up, or answered. */
  #state: 'posting' | 'reading' | 'over' = 'posting';
  #block: Block | undefined;
  #filledBytes = 0;
  #heldBlocks = 0;
  #pushedBytes = 0;
  /** Copied into blocks or ordered to be read. */
  #handedBytes = 0;
  #isReadUnderWay = false;
  #isComplete = false;

  constructor(id: number, lane: FeedLane) {
    this.#id = id;
    this.#lane = lane;
  }

  push(chunk: Buffer): void {
    if (this.#state === 'over') return;
    if (this.#state === 'reading' && !this.#isReadUnderWay) this.#catchUp();
    this.#pushedBytes += chunk.length;
    if (this.#state === 'posting') this.#copy(chunk);
    if (this.#state === 'reading') this.#readOn();
  }

  async finish(signal?: AbortSignal): Promise<ZipFacts | undefined> {
    signal?.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      aborted.reject(signal?.reason);
      this.close();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#lane.waiting(1);
    try {
      this.#isComplete = true;
      if (this.#state === 'posting') this.#postEnd();
      else if (this.#state === 'reading') this.#readOn();
      return await Promise.race([this.#result.promise, aborted.promise]);
    } finally {
      this.#lane.waiting(-1);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#result.resolve(undefined);
    if (this.#block !== undefined) {
      this.#heldBlocks -= 1;
      this.#lane.freeBlock(this.#block.buffer);
      this.#block = undefined;
    }
    this.#lane.post({ kind: 'close', id: this.#id });
  }

  /** Takes in what the thread says of this stream. */
  onNotice(notice: StreamNotice): void {
    if (notice.kind === 'taken') {
      this.#heldBlocks -= 1;
      this.#lane.freeBlock(notice.block);
    } else if (notice.kind === 'done') {
      this.onEnd(notice.facts && factsOf(notice.facts));
      return;
    }
    if (notice.kind === 'read') this.#isReadUnderWay = false;
    if (this.#state === 'reading') this.#readOn();
  }

  /** The thread has nothing of it any more; undefined facts: it proved nothing, or is gone. */
  onEnd(facts: ZipFacts | undefined): void {
    this.#state = 'over';
    this.#block = undefined;
    for (; this.#heldBlocks > 0; this.#heldBlocks -= 1) this.#lane.freeBlock(undefined);
    this.#result.resolve(facts);
  }

  #copy(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const block = this.#block ?? this.#newBlock();
      if (block === undefined) {
        this.#state = 'reading';
        return;
      }
      const part = chunk.subarray(at, at + blockBytes - this.#filledBytes);
      block.bytes.set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      this.#handedBytes += part.length;
      at += part.length;
      if (this.#filledBytes === blockBytes) this.#postBlock();
    }
  }

  #newBlock(): Block | undefined {
    const buffer = this.#lane.takeBlock(this.#heldBlocks);
    if (buffer === undefined) return undefined;
    this.#heldBlocks += 1;
    this.#filledBytes = 0;
    this.#block = { buffer, bytes: new Uint8Array(buffer) };
    return this.#block;
  }

  #postBlock(): void {
    const block = this.#block?.buffer;
    if (block === undefined) return;
    this.#block = undefined;
    this.#lane.post({ kind: 'bytes', id: this.#id, block, length: this.#filledBytes });
  }

  /** Only between blocks: what lies in one would be overtaken. */
  #readOn(): void {
    if (this.#isReadUnderWay) return;
    if (this.#handedBytes === this.#pushedBytes) {
      if (this.#isComplete) this.#postEnd();
      return;
    }
    const staged = this.#lane.staged();
    const toByte = Math.min(staged?.readableBytes ?? 0, this.#pushedBytes);
    const isAllReadable = toByte === this.#pushedBytes;
    if (staged === undefined || (this.#isComplete && !isAllReadable)) {
      this.close();
      return;
    }
    if (toByte - this.#handedBytes < blockBytes && !this.#isComplete) return;
    this.#postRead(staged.file, toByte);
  }

  /** Posts again, behind one more read, once little is missing and all of that is written. */
  #catchUp(): void {
    const missingBytes = this.#pushedBytes - this.#handedBytes;
    if (missingBytes > blockBytes) return;
    if (missingBytes > 0) {
      const staged = this.#lane.staged();
      if (staged === undefined || staged.readableBytes < this.#pushedBytes) return;
      this.#postRead(staged.file, this.#pushedBytes);
    }
    this.#state = 'posting';
  }

  #postRead(file: string, toByte: number): void {
    this.#isReadUnderWay = true;
    const fromByte = this.#handedBytes;
    this.#handedBytes = toByte;
    this.#lane.post({ kind: 'read', id: this.#id, file, fromByte, toByte });
  }

  #postEnd(): void {
    this.#postBlock();
    this.#lane.post({ kind: 'end', id: this.#id });
  }
}
