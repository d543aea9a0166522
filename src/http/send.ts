/**
 * Writes replies: ready bytes, stored files by positioned reads into pooled blocks, growing bodies as far as they
 * are released. A body that must not be completed ends in a broken connection, never in a clean end.
 */
import type { ServerResponse } from 'node:http';
import type { BufferPool } from './buffer-pool.ts';

/** Fills `target` from `position`; resolves to the count, 0 at the end. */
export type ReadAt = (target: Buffer, length: number, position: number) => Promise<number>;

export interface SendResult {
  /** Of the body, handed to the socket. */
  readonly bytes: number;
  /** False: the connection is broken, by the source or by the client. */
  readonly complete: boolean;
}

/**
 * Streams `[start, end)` of a source; `end` undefined runs to the source's own end. `begin` is called before the
 * first byte, once the source has given one (or its end): a source that fails before that rejects with the response
 * untouched (ruling 8). One that fails later, or is shorter than promised, destroys the connection, and what went out
 * until then is told. Never rejects for what the client does.
 */
export async function sendFrom(
  response: ServerResponse,
  pool: BufferPool,
  readAt: ReadAt,
  start: number,
  end: number | undefined,
  idleMs: number,
  begin: () => void,
): Promise<SendResult> {
  let begun = false;
  let position = start;
  let block = pool.take();
  let spare = pool.take();
  let pendingRead: Promise<number> | undefined;
  try {
    for (;;) {
      const count = await (pendingRead ?? readNext(block, position));
      pendingRead = undefined;
      if (!begun) {
        begun = true;
        begin();
      }
      if (count === 0) {
        if (end !== undefined && position < end) throw new RangeError('the source ended early');
        break;
      }
      position += count;
      const written = write(response, block.subarray(0, count), idleMs);
      if (end !== undefined && position >= end) {
        await written;
        break;
      }
      // While the socket takes this block, the next one is read into the other.
      [block, spare] = [spare, block];
      pendingRead = readNext(block, position);
      pendingRead.catch(() => {});
      if (!(await written)) {
        await pendingRead.catch(() => 0);
        return { bytes: position - start, complete: false };
      }
    }
    response.end();
    return { bytes: position - start, complete: true };
  } catch (error) {
    if (!begun) throw error;
    response.destroy(error instanceof Error ? error : undefined);
    return { bytes: position - start, complete: false };
  } finally {
    // A destroyed socket may still hold the block it was writing: only a clean run's blocks are used again.
    pool.give(block, response.writableEnded);
    pool.give(spare, response.writableEnded);
  }

  function readNext(target: Buffer, at: number): Promise<number> {
    const length = end === undefined ? target.length : Math.min(target.length, end - at);
    return length === 0 ? Promise.resolve(0) : readAt(target, length, at);
  }
}

/** Resolves to false when the client is gone. A client that takes nothing for `idleMs` is cut off. */
function write(response: ServerResponse, block: Buffer, idleMs: number): Promise<boolean> {
  if (response.destroyed || response.writableEnded) return Promise.resolve(false);
  return new Promise((resolve) => {
    const { socket } = response;
    function done(alive: boolean): void {
      response.off('close', onClose);
      socket?.off('timeout', onIdle);
      socket?.setTimeout(0);
      resolve(alive);
    }
    function onClose(): void {
      done(false);
    }
    function onIdle(): void {
      response.destroy();
    }
    response.once('close', onClose);
    // Socket timeouts restart at each piece the kernel takes, so only a client that takes nothing at all ends here.
    socket?.setTimeout(idleMs);
    socket?.once('timeout', onIdle);
    response.write(block, (error) => done(error === undefined || error === null));
  });
}
