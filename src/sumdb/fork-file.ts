/** The evidence of a fork: what this process has found, or another one has kept in the store. */
import type { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import { formatFork, parseFork } from './fork.ts';
import { StateFile } from './state-file.ts';
import type { ForkEvidence, SumdbEvents } from './types.ts';

export interface ForkFileDeps {
  /** The database's name. */
  readonly name: string;
  readonly store: Pick<Store, 'readSumdbState' | 'swapSumdbState'>;
  readonly events: EventBus<SumdbEvents>;
}

export class ForkFile {
  readonly #deps: ForkFileDeps;
  readonly #file: StateFile;
  #evidence: ForkEvidence | undefined;
  /** The store did not take it. */
  #isUnsaved = false;

  constructor(deps: ForkFileDeps) {
    this.#deps = deps;
    this.#file = new StateFile(deps.store, deps.name, 'fork');
  }

  get evidence(): ForkEvidence | undefined {
    return this.#evidence;
  }

  /** Reads what is in the store, and offers it what it did not take before. Rejects with StoreError. */
  async look(): Promise<void> {
    const { bytes, isChanged } = await this.#file.read();
    if (isChanged) {
      this.#evidence = bytes === undefined ? undefined : parseFork(this.#deps.name, bytes);
      this.#isUnsaved = false;
    }
    this.#file.seen(bytes);
    if (this.#isUnsaved) await this.#save();
  }

  /** From now on there is a fork; the evidence that was found first stays. Never rejects. */
  async declare(found: ForkEvidence): Promise<void> {
    if (this.#evidence !== undefined) return;
    this.#evidence = found;
    this.#isUnsaved = true;
    this.#deps.events.emit('forked', {
      database: found.database,
      source: found.source,
      knownSize: sizeOf(found.known),
      otherSize: sizeOf(found.other),
    });
    await this.#save();
    // Another process has found one at the same moment: its evidence stays.
    if (!this.#isUnsaved) return;
    await this.look().catch(() => {});
  }

  /** Rejects with StoreError. */
  async remove(): Promise<void> {
    await this.#file.remove();
    this.#evidence = undefined;
    this.#isUnsaved = false;
  }

  async #save(): Promise<void> {
    if (this.#evidence === undefined) return;
    if ((await this.#file.swap(formatFork(this.#evidence))) === 'saved') this.#isUnsaved = false;
  }
}

/** Of a note that was verified. */
function sizeOf(note: string): number {
  return Number(note.split('\n')[1]);
}
