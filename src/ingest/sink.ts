/**
 * Where the bytes of one attempt go while they arrive: the store's staged file, or memory when the disk takes no
 * more (ruling 15). Followers read from it at any position below `sizeBytes`.
 */
import type { Staged } from '../store/store.ts';

export interface Sink {
  readonly sizeBytes: number;
  /** The staged file behind it, when there is one. */
  readonly staged: Staged | undefined;
  write(chunks: readonly Uint8Array[]): Promise<void>;
  readAt(target: Buffer, length: number, position: number): Promise<number>;
  close(): Promise<void>;
}

export class FileSink implements Sink {
  readonly staged: Staged;

  constructor(staged: Staged) {
    this.staged = staged;
  }

  get sizeBytes(): number {
    return this.staged.sizeBytes;
  }

  write(chunks: readonly Uint8Array[]): Promise<void> {
    return this.staged.write(chunks);
  }

  readAt(target: Buffer, length: number, position: number): Promise<number> {
    return this.staged.readAt(target, length, position);
  }

  close(): Promise<void> {
    return this.staged.close();
  }
}

/** Memory that many fills share when the disk is full; nobody gets more than is left. */
export class MemoryBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  tryTake(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** Holds one body of at most `capacityBytes`, taken from the budget by the caller and given back on close. */
export class MemorySink implements Sink {
  readonly staged = undefined;
  readonly #body: Buffer;
  readonly #release: () => void;
  #sizeBytes = 0;
  #closed = false;

  constructor(capacityBytes: number, release: () => void) {
    this.#body = Buffer.allocUnsafeSlow(capacityBytes);
    this.#release = release;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** What was written so far, without a copy. */
  get body(): Buffer {
    return this.#body.subarray(0, this.#sizeBytes);
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      if (this.#sizeBytes + chunk.byteLength > this.#body.byteLength) {
        throw new RangeError('body is longer than its declared length');
      }
      this.#body.set(chunk, this.#sizeBytes);
      this.#sizeBytes += chunk.byteLength;
    }
  }

  async readAt(target: Buffer, length: number, position: number): Promise<number> {
    const end = Math.min(position + length, this.#sizeBytes);
    return end <= position ? 0 : this.#body.copy(target, 0, position, end);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
  }
}
