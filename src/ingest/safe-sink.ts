/**
 * A staged file that turns into memory when the disk takes no more (ruling 15): what is staged is read back, the
 * staged file is dropped, and the body goes on in memory if its declared length fits the budget.
 */

import type { ArtifactKey } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Staged, Store } from '../store/store.ts';
import { FileSink, type MemoryBudget, MemorySink, type Sink } from './sink.ts';

export interface SafeSinkOptions {
  readonly store: Store;
  readonly key: ArtifactKey;
  /** Declared length, or the limit where it is unknown. */
  readonly capacityBytes: number;
  readonly budget: MemoryBudget;
  readonly onDiskFull: (reason: string) => void;
}

/** Rejects with the store's error when neither disk nor memory can take the body. */
export async function openSafeSink(options: SafeSinkOptions): Promise<Sink> {
  try {
    return new SafeSink(options, new FileSink(await options.store.stage(options.key)));
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    const memory = takeMemory(options);
    if (memory === undefined) throw error;
    options.onDiskFull(error.message);
    return new SafeSink(options, memory);
  }
}

export function isDiskFull(error: unknown): error is ModferryError {
  return error instanceof ModferryError && (error.code === 'disk_full' || error.code === 'read_only');
}

function takeMemory(options: SafeSinkOptions): MemorySink | undefined {
  const { capacityBytes, budget } = options;
  if (!budget.tryTake(capacityBytes)) return undefined;
  return new MemorySink(capacityBytes, () => budget.giveBack(capacityBytes));
}

class SafeSink implements Sink {
  readonly #options: SafeSinkOptions;
  #inner: FileSink | MemorySink;

  constructor(options: SafeSinkOptions, inner: FileSink | MemorySink) {
    this.#options = options;
    this.#inner = inner;
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  get staged(): Staged | undefined {
    return this.#inner.staged;
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    const before = this.#inner.sizeBytes;
    try {
      await this.#inner.write(chunks);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      const memory = takeMemory(this.#options);
      if (memory === undefined) throw error;
      try {
        await copyInto(memory, this.#inner, before);
      } catch (copyError) {
        await memory.close();
        throw copyError;
      }
      await this.#inner.close();
      this.#inner = memory;
      this.#options.onDiskFull(error.message);
      await memory.write(chunks);
    }
  }

  readAt(target: Buffer, length: number, position: number): Promise<number> {
    return this.#inner.readAt(target, length, position);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

async function copyInto(memory: MemorySink, from: Sink, lengthBytes: number): Promise<void> {
  const block = Buffer.allocUnsafe(256 * 1024);
  let position = 0;
  while (position < lengthBytes) {
    const count = await from.readAt(block, Math.min(block.length, lengthBytes - position), position);
    if (count === 0) throw new RangeError('staged file is shorter than what was written to it');
    await memory.write([block.subarray(0, count)]);
    position += count;
  }
}
