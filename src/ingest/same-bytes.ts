/** Compares the first bytes of two bodies, block by block. */
import type { Sink } from './sink.ts';

const blockBytes = 256 * 1024;

/** True when both have at least `lengthBytes` and they are equal. Rejects with a reader's error. */
export async function sameBytes(a: Sink, b: Sink, lengthBytes: number): Promise<boolean> {
  const blockA = Buffer.allocUnsafe(blockBytes);
  const blockB = Buffer.allocUnsafe(blockBytes);
  let position = 0;
  while (position < lengthBytes) {
    const want = Math.min(blockBytes, lengthBytes - position);
    const [gotA, gotB] = await Promise.all([
      readFully(a, blockA, want, position),
      readFully(b, blockB, want, position),
    ]);
    if (gotA !== want || gotB !== want) return false;
    if (!blockA.subarray(0, want).equals(blockB.subarray(0, want))) return false;
    position += want;
  }
  return true;
}

async function readFully(sink: Sink, block: Buffer, want: number, position: number): Promise<number> {
  let got = 0;
  while (got < want) {
    const count = await sink.readAt(block.subarray(got), want - got, position + got);
    if (count === 0) break;
    got += count;
  }
  return got;
}
