/**
 * Moves a body that is arriving into a sink. Reading and writing overlap: while one batch is being written the next one
 * gathers, up to a bound, so that a slow disk slows the socket instead of filling memory.
 */
import type { Hash } from 'node:crypto';

/** Where the bytes go: a staged file, or memory. */
export interface PumpSink {
  /** Appends in order. Resolves when they can be read back; the chunks may be reused then. */
  write(chunks: readonly Uint8Array[]): Promise<void>;
}

/** Bytes that may wait for the disk before the socket is no longer read. */
const maxQueuedBytes = 2 * 1024 * 1024;

export interface PumpOptions {
  readonly body: AsyncIterable<Buffer>;
  readonly sink: PumpSink;
  readonly hash: Hash;
  /** A body longer than this is refused by `onTooLong`, which throws. */
  readonly limitBytes: number;
  readonly onTooLong: () => never;
  /** Called with each chunk that comes; what it throws ends the body. */
  readonly onChunk?: (() => void) | undefined;
  /** Called after each batch is readable from the sink. */
  readonly onProgress?: (() => void) | undefined;
}

/** Resolves to the number of bytes when the whole body is in the sink. Rejects with the body's or the sink's error. */
export async function pump(options: PumpOptions): Promise<number> {
  const { body, sink, hash } = options;
  let total = 0;
  let queue: Buffer[] = [];
  let queuedBytes = 0;
  let writing: Promise<void> | undefined;
  let writeError: unknown;

  function flush(): void {
    if (writing !== undefined || queue.length === 0) return;
    const batch = queue;
    queue = [];
    queuedBytes = 0;
    writing = sink.write(batch).then(
      () => {
        writing = undefined;
        options.onProgress?.();
        flush();
      },
      (error: unknown) => {
        writing = undefined;
        writeError ??= error;
      },
    );
  }

  try {
    await receive();
  } finally {
    // The sink may be closed as soon as we settle, so no write may still be under way then.
    while (writing !== undefined) await writing;
  }
  if (writeError !== undefined) throw asError(writeError);
  return total;

  async function receive(): Promise<void> {
    for await (const chunk of body) {
      if (writeError !== undefined) throw asError(writeError);
      options.onChunk?.();
      total += chunk.byteLength;
      if (total > options.limitBytes) options.onTooLong();
      hash.update(chunk);
      queue.push(chunk);
      queuedBytes += chunk.byteLength;
      flush();
      while (queuedBytes > maxQueuedBytes && writing !== undefined) await writing;
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
