/** One state of a checksum database in the store, with what was seen of it last, for compare-and-swap. */
import type { Store, SumdbState } from '../store/store.ts';

export class StateFile {
  readonly #store: Pick<Store, 'readSumdbState' | 'swapSumdbState'>;
  readonly #name: string;
  readonly #state: SumdbState;
  #seen: Buffer | undefined;

  constructor(store: Pick<Store, 'readSumdbState' | 'swapSumdbState'>, name: string, state: SumdbState) {
    this.#store = store;
    this.#name = name;
    this.#state = state;
  }

  /** What is there, and what was seen before. It counts as seen only by `seen`. Rejects with StoreError. */
  async read(): Promise<{ bytes: Buffer | undefined; before: Buffer | undefined; isChanged: boolean }> {
    const bytes = await this.#store.readSumdbState(this.#name, this.#state);
    const before = this.#seen;
    return { bytes, before, isChanged: !isSame(bytes, before) };
  }

  seen(bytes: Buffer | undefined): void {
    this.#seen = bytes;
  }

  /** In place of what was seen last. `lost`: another one is there. `failed`: the store did not take it. */
  async swap(next: Buffer): Promise<'saved' | 'lost' | 'failed'> {
    try {
      const isSaved = await this.#store.swapSumdbState(this.#name, this.#state, this.#seen, next);
      if (!isSaved) return 'lost';
      this.#seen = next;
      return 'saved';
    } catch {
      return 'failed';
    }
  }

  /** Whatever is there. Rejects with StoreError. */
  async remove(): Promise<void> {
    for (;;) {
      const bytes = await this.#store.readSumdbState(this.#name, this.#state);
      if (
        bytes === undefined ||
        (await this.#store.swapSumdbState(this.#name, this.#state, bytes, undefined))
      ) {
        this.#seen = undefined;
        return;
      }
    }
  }
}

function isSame(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}
