/**
 * The known head in the store, twice: when the disk has garbled or lost one of the two, the other still says what was
 * known, so that no other history is trusted because of a flipped bit.
 */
import type { Store } from '../store/store.ts';
import { formatHeadState, type HeadState, parseHeadState } from './head-state.ts';
import type { Verifier } from './log/note.ts';
import { StateFile } from './state-file.ts';

/** What was found, where it is not what was seen last. */
export interface HeadLook {
  /** Of the head, else of its copy. Undefined: neither is there, or can be read. */
  readonly state: HeadState | undefined;
  /** The head cannot be read, or is gone while its copy is there: the disk has done that, no operator. */
  readonly isDamaged: boolean;
  /** There was one at the last look. */
  readonly wasThere: boolean;
  /** What is in the place of the head. */
  readonly bytes: Buffer | undefined;
}

export class HeadFile {
  readonly #head: StateFile;
  readonly #copy: StateFile;
  readonly #verifier: Verifier;
  #hasLooked = false;
  /** What is in the store and cannot be read, to be kept aside by the next state. */
  #unreadable: Buffer | undefined;

  constructor(store: Pick<Store, 'readSumdbState' | 'swapSumdbState'>, database: string, verifier: Verifier) {
    this.#head = new StateFile(store, database, 'head');
    this.#copy = new StateFile(store, database, 'head_copy');
    this.#verifier = verifier;
  }

  /** Undefined: as it was seen last. It counts as seen only by `seen`. Rejects with StoreError. */
  async look(): Promise<HeadLook | undefined> {
    const { bytes, before, isChanged } = await this.#head.read();
    if (!isChanged && this.#hasLooked) return undefined;
    const wasThere = before !== undefined;
    const own = this.#parse(bytes);
    if (own !== undefined) return { state: own, isDamaged: false, wasThere, bytes };
    const copy = this.#parse((await this.#copy.read()).bytes);
    return { state: copy, isDamaged: bytes !== undefined || copy !== undefined, wasThere, bytes };
  }

  /** Whatever is there and cannot be read is not replaced without a trace: the next state has it inside. */
  async seen({ state, isDamaged, bytes }: HeadLook): Promise<void> {
    const isFirst = !this.#hasLooked;
    this.#hasLooked = true;
    this.#head.seen(bytes);
    this.#unreadable = isDamaged ? bytes : undefined;
    // Who moves the head keeps the copy; one that was lost, or never made, is made at the start.
    if (isFirst && !isDamaged && state !== undefined && bytes !== undefined)
      await this.#keepCopy(state, bytes);
  }

  /** In place of what was seen last. `lost`: another one is there. `failed`: the store did not take it. */
  async save(state: HeadState): Promise<'saved' | 'lost' | 'failed'> {
    const bytes = formatHeadState(state, this.#unreadable);
    const saved = await this.#head.swap(bytes);
    if (saved !== 'saved') return saved;
    this.#unreadable = undefined;
    await this.#keepCopy(state, bytes);
    return saved;
  }

  /** Rejects with StoreError. */
  async remove(): Promise<void> {
    // The copy first: alone it would be taken for what a disk has left of the two.
    await this.#copy.remove();
    await this.#head.remove();
    this.#unreadable = undefined;
  }

  /** A disk that does not take it is no failure: the head itself is kept. */
  async #keepCopy(state: HeadState, bytes: Buffer): Promise<void> {
    try {
      const there = (await this.#copy.read()).bytes;
      const other = this.#parse(there);
      const isBehind =
        other === undefined || other.beginning !== state.beginning || other.head.size < state.head.size;
      if (!isBehind) return;
      this.#copy.seen(there);
      if ((await this.#copy.swap(bytes)) !== 'saved') return;
      // An operator has reset it meanwhile.
      if ((await this.#head.read()).bytes === undefined) await this.#copy.remove();
    } catch {
      // As above.
    }
  }

  #parse(bytes: Buffer | undefined): HeadState | undefined {
    return bytes === undefined ? undefined : parseHeadState(bytes, this.#verifier);
  }
}
