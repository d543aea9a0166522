/** Holds checked artifacts against the checksum database, and counts what could not be proven. */
import type { Expectation, HashedKey, Judge } from '../checksums/types.ts';
import type { Store, VersionEntry } from '../store/store.ts';
import type { CheckedArtifact, StoreFault } from './store-check.ts';

/** Causes that are told by name; further ones are counted together. */
const maxCauses = 50;
const otherCauses = 'other causes';

export interface MismatchFault extends StoreFault {
  readonly kind: 'mismatch';
  readonly expected: string;
  readonly found: string;
  /** Who says so. */
  readonly by: string;
}

/** A version whose expectations are on their way. */
export interface Awaited {
  readonly entry: VersionEntry;
  readonly expected: ReadonlyMap<string, Promise<Expectation>>;
}

export class VerifyProofs {
  readonly #judge: Judge;
  readonly #store: Pick<Store, 'setTrust'>;
  readonly #signal: AbortSignal;
  readonly #causes = new Map<string, number>();
  proven = 0;
  unproven = 0;
  /** Checksums are off for them, so nothing was asked. */
  exempt = 0;

  constructor(judge: Judge, store: Pick<Store, 'setTrust'>, signal: AbortSignal) {
    this.#judge = judge;
    this.#store = store;
    this.#signal = signal;
  }

  /** How often each cause left something unproven. */
  get causes(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#causes);
  }

  /** Asks ahead of the hashing, so that the way to the database costs no time of its own. */
  async *ahead(entries: AsyncIterable<VersionEntry>, depth: number): AsyncGenerator<Awaited> {
    const queue: Awaited[] = [];
    for await (const entry of entries) {
      queue.push({ entry, expected: this.#ask(entry) });
      const [first] = queue;
      if (queue.length > depth && first !== undefined) {
        queue.shift();
        yield first;
      }
    }
    yield* queue;
  }

  #ask({ path, version, artifacts }: VersionEntry): Map<string, Promise<Expectation>> {
    const expected = new Map<string, Promise<Expectation>>();
    for (const ext of ['mod', 'zip'] as const) {
      if (artifacts[ext] === undefined) continue;
      const key: HashedKey = { path, version, ext };
      const expectation = this.#judge.expect(key, { signal: this.#signal });
      expectation.catch(() => {});
      expected.set(ext, expectation);
    }
    return expected;
  }

  /** The mismatch, if there is one; a proof is recorded. Rejects with the signal's reason or StoreError. */
  async judge(checked: CheckedArtifact, expected: Awaited['expected']): Promise<MismatchFault | undefined> {
    const { key, h1, record } = checked;
    const expectation = await expected.get(key.ext);
    // .info has nothing that could prove it; what is rotten is told already.
    if (expectation === undefined || checked.faults.length > 0) return undefined;
    if (expectation.kind !== 'known') {
      if (expectation.kind === 'unproven' && expectation.why === 'off') this.exempt += 1;
      else this.#count(expectation.reason);
      return undefined;
    }
    if (h1 === undefined || expectation.h1 === h1) {
      this.proven += 1;
      await this.#store.setTrust(key, record.sha256, { proof: expectation.proof });
      return undefined;
    }
    return {
      module: key.path,
      version: key.version,
      artifact: key.ext,
      kind: 'mismatch',
      detail: `its hash is ${h1}, ${expectation.by} says ${expectation.h1}`,
      expected: expectation.h1,
      found: h1,
      by: expectation.by,
    };
  }

  #count(reason: string): void {
    this.unproven += 1;
    const cause = this.#causes.has(reason) || this.#causes.size < maxCauses ? reason : otherCauses;
    this.#causes.set(cause, (this.#causes.get(cause) ?? 0) + 1);
  }
}
