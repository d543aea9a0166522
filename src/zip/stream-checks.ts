/**
 * Checks zips while their bytes arrive, several at once, in one thread beside the one for random access, so that
 * neither waits for the other. Starts when first needed. When it dies, or more is asked than its bounds allow, the
 * zips concerned are left to the random-access check.
 */
import { Worker } from 'node:worker_threads';

import type { FeedLane, StagedPart, ZipStream } from './stream-feed.ts';
import { blockBytes, StreamFeed } from './stream-feed.ts';
import type { StreamNotice } from './stream-protocol.ts';
import { verifyThreadOptions } from './verify-thread.ts';
import type { ZipTarget } from './zip-types.ts';
import { defaultZipLimits } from './zip-types.ts';

export interface StreamChecksOptions {
  /** Streams at once; what is opened beyond them gives up at once. Default 16. */
  readonly maxStreams?: number | undefined;
  /** Bytes of one stream that the thread may have before it. Default 2 MiB. */
  readonly streamBytes?: number | undefined;
  /** The same for all streams together. Default 16 MiB. */
  readonly totalBytes?: number | undefined;
  /** Another thread body, for tests. */
  readonly workerUrl?: URL | undefined;
}

const mebibyte = 1024 * 1024;
/** A go.mod is held in memory until the zip is proven, so larger ones are left to random access, one at a time. */
const goModBytes = mebibyte;
/** Kept for the next bytes, so that a steady stream allocates nothing. */
const maxFreeBlocks = 4;

/** Of a stream that is not checked. */
const idleStream: ZipStream = { push() {}, finish: async () => undefined, close() {} };

interface Thread {
  readonly worker: Worker;
  readonly feeds: Map<number, StreamFeed>;
  /** Feeds whose answer somebody waits for. */
  waiting: number;
}

export class StreamChecks {
  readonly #maxStreams: number;
  readonly #streamBlocks: number;
  readonly #totalBlocks: number;
  readonly #workerUrl: URL;
  readonly #free: ArrayBuffer[] = [];
  #thread: Thread | undefined;
  #heldBlocks = 0;
  #nextId = 1;
  #isClosed = false;

  constructor(options: StreamChecksOptions = {}) {
    this.#maxStreams = options.maxStreams ?? 16;
    this.#streamBlocks = Math.floor((options.streamBytes ?? 2 * mebibyte) / blockBytes);
    this.#totalBlocks = Math.floor((options.totalBytes ?? 16 * mebibyte) / blockBytes);
    this.#workerUrl = options.workerUrl ?? new URL('./stream-worker.ts', import.meta.url);
  }

  /** Bytes held for all streams: gathered, on the way to the thread, or there. */
  get heldBytes(): number {
    return this.#heldBlocks * blockBytes;
  }

  /** Streams that the thread has something of. */
  get openStreams(): number {
    return this.#thread?.feeds.size ?? 0;
  }

  /** Begins a check. `staged`: where the bytes can be read when the thread cannot take them as they come. */
  open(target: ZipTarget, staged: () => StagedPart | undefined = () => undefined): ZipStream {
    if (this.#isClosed || this.openStreams >= this.#maxStreams) return idleStream;
    const thread = this.#thread ?? this.#startThread();
    const id = this.#nextId++;
    const lane: FeedLane = {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      post: (order) => thread.worker.postMessage(order, order.kind === 'bytes' ? [order.block] : []),
      takeBlock: (held) => (held < this.#streamBlocks ? this.#takeBlock() : undefined),
      freeBlock: (block) => this.#freeBlock(block),
      waiting: (by) => {
        thread.waiting += by;
        if (thread.waiting > 0) thread.worker.ref();
        else thread.worker.unref();
      },
      staged,
    };
    const feed = new StreamFeed(id, lane);
    thread.feeds.set(id, feed);
    const { path, version, limits } = target;
    lane.post({ kind: 'open', id, target: { path, version, limits: narrowed(limits) } });
    return feed;
  }

  /** Stops the thread; the streams give up. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#lose(thread);
    await thread.worker.terminate();
  }

  #startThread(): Thread {
    const worker = new Worker(this.#workerUrl, verifyThreadOptions);
    worker.unref();
    const thread: Thread = { worker, feeds: new Map(), waiting: 0 };
    this.#thread = thread;
    worker.on('message', (notice: StreamNotice) => {
      const feed = thread.feeds.get(notice.id);
      if (notice.kind === 'done') thread.feeds.delete(notice.id);
      feed?.onNotice(notice);
      if (thread.feeds.size === 0) this.#dropFree();
    });
    // What the cause was shows in nothing but time: the zips are checked by random access.
    worker.on('error', () => this.#lose(thread));
    worker.on('exit', () => this.#lose(thread));
    return thread;
  }

  #lose(thread: Thread): void {
    if (this.#thread === thread) this.#thread = undefined;
    for (const feed of thread.feeds.values()) feed.onEnd(undefined);
    thread.feeds.clear();
    this.#dropFree();
  }

  #takeBlock(): ArrayBuffer | undefined {
    if (this.#heldBlocks >= this.#totalBlocks) return undefined;
    this.#heldBlocks += 1;
    return this.#free.pop() ?? new ArrayBuffer(blockBytes);
  }

  #freeBlock(block: ArrayBuffer | undefined): void {
    this.#heldBlocks -= 1;
    if (block === undefined) return;
    if (this.#free.length < maxFreeBlocks && this.openStreams > 0) this.#free.push(block);
    else release(block);
  }

  #dropFree(): void {
    for (const block of this.#free.splice(0)) release(block);
  }
}

/** Gives the memory back now; the collector does not see how large it is. */
function release(block: ArrayBuffer): void {
  block.transfer(0);
}

function narrowed(limits: ZipTarget['limits']): ZipTarget['limits'] {
  return { ...limits, goModBytes: Math.min(limits?.goModBytes ?? defaultZipLimits.goModBytes, goModBytes) };
}
