/** Reads files of a foreign folder: never through a link, never anything but a regular file, never more than wanted. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Staged } from '../../store/store.ts';

const blockBytes = 1024 * 1024;

export function sha256Of(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Undefined when it is longer than `limitBytes`. Rejects with the system's error. */
export async function readUpTo(file: string, limitBytes: number): Promise<Buffer | undefined> {
  const handle = await openRegular(file);
  try {
    const { size } = await handle.stat();
    if (size > limitBytes) return undefined;
    // One byte more than it had shows that it grew.
    const body = Buffer.alloc(size + 1);
    let filled = 0;
    for (;;) {
      const { bytesRead } = await handle.read(body, filled, body.length - filled, filled);
      filled += bytesRead;
      if (bytesRead === 0) return body.subarray(0, filled);
      if (filled > size) throw new Error(`${file} changed while it was read`);
    }
  } finally {
    await handle.close();
  }
}

/** SHA-256 in hex. Rejects with the system's error or the signal's reason. */
export async function hashFile(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of blocksOf(file, signal)) hash.update(block);
  return hash.digest('hex');
}

/** Copies a file into a staged one. Rejects as `hashFile`, or with StoreError. */
export async function copyInto(
  staged: Staged,
  file: string,
  signal: AbortSignal,
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const block of blocksOf(file, signal)) {
    hash.update(block);
    sizeBytes += block.length;
    await staged.write([block]);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** The block is used again for the next one. */
async function* blocksOf(file: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const handle = await openRegular(file);
  try {
    const block = Buffer.allocUnsafeSlow(blockBytes);
    for (let position = 0; ; ) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(block, 0, blockBytes, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function openRegular(file: string): Promise<FileHandle> {
  // Without waiting: opening a pipe that took the file's place would wait for its writer for ever.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Error(`${file} is no regular file`);
}
