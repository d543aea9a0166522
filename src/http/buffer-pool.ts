/**
 * Reusable blocks for file streams. A block that is big enough makes a read worth its call; but every stream needs
 * two, and slow clients hold theirs for long. So the more is lent out, the smaller the blocks become.
 */

interface SizeClass {
  readonly blockBytes: number;
  /** This class is used while less than so much is lent out in all. */
  readonly untilBytes: number;
  readonly idle: Buffer[];
}

const MiB = 1024 * 1024;
/** Blocks of one class that are kept for the next stream. */
const maxIdle = 16;

export class BufferPool {
  readonly #classes: readonly SizeClass[] = [
    { blockBytes: 512 * 1024, untilBytes: 16 * MiB, idle: [] },
    { blockBytes: 128 * 1024, untilBytes: 32 * MiB, idle: [] },
    { blockBytes: 32 * 1024, untilBytes: Number.POSITIVE_INFINITY, idle: [] },
  ];
  #lentBytes = 0;

  /** Bytes in blocks that were taken and not given back. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  take(): Buffer {
    const size = this.#classes.find(({ untilBytes }) => this.#lentBytes < untilBytes) as SizeClass;
    this.#lentBytes += size.blockBytes;
    return size.idle.pop() ?? Buffer.allocUnsafeSlow(size.blockBytes);
  }

  /** Give every block back once. `reusable` false: something may still read it, so it is left to the collector. */
  give(block: Buffer, reusable: boolean): void {
    this.#lentBytes -= block.length;
    const size = this.#classes.find(({ blockBytes }) => blockBytes === block.length);
    if (reusable && size !== undefined && size.idle.length < maxIdle) size.idle.push(block);
  }
}
