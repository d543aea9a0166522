/** Reusable blocks for file streams: big enough that a read is worth its call, few enough to bound memory. */
export class BufferPool {
  readonly #blockBytes: number;
  readonly #maxIdle: number;
  readonly #idle: Buffer[] = [];

  constructor(blockBytes: number, maxIdle: number) {
    this.#blockBytes = blockBytes;
    this.#maxIdle = maxIdle;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
  }

  /** Give a block back only when nothing reads or writes it any more. */
  give(block: Buffer): void {
    if (this.#idle.length < this.#maxIdle) this.#idle.push(block);
  }
}
