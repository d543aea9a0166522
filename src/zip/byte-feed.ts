/**
 * Turns chunks that are pushed into bytes that are pulled, so that a parser of a stream reads like one of a file.
 * A push resolves when its chunk is used up, which is all the buffering there is.
 */
export class ByteFeed {
  #chunk: Buffer = Buffer.alloc(0);
  /** Memory of ours that the chunk lies in, when it was joined from two. */
  #joined: ArrayBuffer | undefined;
  #positionBytes = 0;
  #isEnded = false;
  #isClosed = false;
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;

  /** Offset in the stream of the next byte to be taken. */
  get positionBytes(): number {
    return this.#positionBytes;
  }

  /** What can be taken without waiting. Valid until the next wait. */
  get available(): Buffer {
    return this.#chunk;
  }

  /** Hands in a chunk; it may be reused when this resolves. After `close` it resolves at once. */
  async push(chunk: Buffer): Promise<void> {
    if (this.#isClosed || chunk.length === 0) return;
    this.#chunk = chunk;
    this.#wakeConsumer?.();
    await new Promise<void>((resolve) => {
      this.#wakeProducer = resolve;
    });
  }

  /** Says that no chunk follows. */
  end(): void {
    this.#isEnded = true;
    this.#wakeConsumer?.();
  }

  /** The consumer wants no more: pending and later pushes resolve. */
  close(): void {
    this.#isClosed = true;
    this.#chunk = Buffer.alloc(0);
    this.#wakeProducer?.();
  }

  /** Drops `count` of the available bytes. */
  skip(count: number): void {
    this.#chunk = this.#chunk.subarray(count);
    this.#positionBytes += count;
  }

  /** Waits until something is available; false at the end of the stream. */
  async wait(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      // Left to the collector, such memory piles up: one chunk more for each that comes.
      this.#joined?.transfer(0);
      this.#joined = undefined;
      const release = this.#wakeProducer;
      this.#wakeProducer = undefined;
      release?.();
      if (this.#isEnded) return false;
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve;
      });
      this.#wakeConsumer = undefined;
    }
    return true;
  }

  /** The next `count` bytes without taking them, fewer only at the end. Not for more than a few hundred KiB. */
  async peek(count: number): Promise<Buffer> {
    if (this.#chunk.length >= count) return this.#chunk.subarray(0, count);
    const gathered = Buffer.allocUnsafeSlow(count);
    let length = 0;
    for (;;) {
      const part = this.#chunk.subarray(0, count - length);
      part.copy(gathered, length);
      length += part.length;
      const rest = this.#chunk.subarray(part.length);
      this.#chunk = rest;
      if (length === count || !(await this.wait())) {
        const found = gathered.subarray(0, length);
        this.#chunk = this.#chunk.length === 0 ? found : this.#join(found, this.#chunk);
        return this.#chunk.subarray(0, length);
      }
    }
  }

  #join(head: Buffer, tail: Buffer): Buffer {
    const memory = new ArrayBuffer(head.length + tail.length);
    const joined = Buffer.from(memory);
    head.copy(joined);
    tail.copy(joined, head.length);
    this.#joined = memory;
    return joined;
  }
}
