/** A file that is being received: a raw file in this process's staging folder, published by `publish.ts`. */

import type { PublishFacts, PublishResult, Staged } from '../store.ts';
import { storeError, toStoreError } from '../store-error.ts';
import { type OpenFile, unlinkIfAny } from './files.ts';
import type { Fence } from './journal.ts';

export interface StagedOwner {
  /** Publishes the file; the staged name is gone when it settles well. */
  publish(file: StagedFile, facts: PublishFacts): Promise<PublishResult>;
  /** Told once, when the file is closed. */
  closed(file: StagedFile): void;
}

export class StagedFile implements Staged {
  readonly file: string;
  readonly open: OpenFile;
  readonly fence: Fence;
  readonly #owner: StagedOwner;
  #sizeBytes = 0;
  #state: 'receiving' | 'publishing' | 'published' | 'closed' = 'receiving';
  #closing: Promise<void> | undefined;

  constructor(open: OpenFile, fence: Fence, owner: StagedOwner) {
    this.file = open.path;
    this.open = open;
    this.fence = fence;
    this.#owner = owner;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    if (this.#state !== 'receiving') throw storeError('io', `${this.file} takes no more bytes`);
    try {
      this.#sizeBytes += await this.open.writeAt(chunks, this.#sizeBytes);
    } catch (error) {
      throw toStoreError(error, `write ${this.file}`);
    }
  }

  async readAt(target: Buffer, length: number, position: number): Promise<number> {
    // What a running write has put down is not promised yet.
    const readable = Math.min(length, this.#sizeBytes - position);
    if (readable <= 0) return 0;
    try {
      return await this.open.readAt(target, readable, position);
    } catch (error) {
      throw toStoreError(error, `read ${this.file}`);
    }
  }

  async publish(facts: PublishFacts): Promise<PublishResult> {
    if (this.#state !== 'receiving') throw storeError('io', `${this.file} was published or closed before`);
    this.#state = 'publishing';
    try {
      return await this.#owner.publish(this, facts);
    } finally {
      await unlinkIfAny(this.file).catch(() => false);
      this.#state = 'published';
    }
  }

  /**
   * Hands the file's name over for good: `take` may move it, and says whether it did; otherwise it is removed, also
   * when `take` fails. Reading works on until `close`. Rejects as `take` does, or with StoreError `io`.
   */
  async give<Result>(take: (file: string) => Promise<{ isMoved: boolean; result: Result }>): Promise<Result> {
    if (this.#state !== 'receiving') throw storeError('io', `${this.file} was published or closed before`);
    this.#state = 'publishing';
    let hasName = true;
    try {
      const { isMoved, result } = await take(this.file);
      hasName = !isMoved;
      return result;
    } finally {
      if (hasName) await unlinkIfAny(this.file).catch(() => false);
      this.#state = 'published';
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const hasName = this.#state === 'receiving';
    if (this.#state !== 'publishing') this.#state = 'closed';
    if (hasName) await unlinkIfAny(this.file).catch(() => false);
    await this.open.close();
    this.#owner.closed(this);
  }
}
