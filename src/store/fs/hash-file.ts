/** SHA-256 of an open file. */
import { createHash } from 'node:crypto';
import type { OpenFile } from './files.ts';

const blockBytes = 1024 * 1024;

/** Of the whole file, lower-case hex. Rejects with the system's error. */
export async function hashFile(file: OpenFile): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafeSlow(blockBytes);
  let position = 0;
  for (;;) {
    const count = await file.readAt(block, block.byteLength, position);
    if (count === 0) return hash.digest('hex');
    hash.update(block.subarray(0, count));
    position += count;
  }
}
