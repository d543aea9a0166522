/** Takes bad artifacts out of the store, and has the running modferry fetch them again. */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Evidence } from '../store/quarantine.ts';
import type { Store } from '../store/store.ts';
import type { Running } from './running.ts';
import type { CheckedArtifact, StoreFault } from './store-check.ts';
import type { MismatchFault } from './verify-proofs.ts';

export type RepairOutcome =
  /** Withdrawn, fetched again and good. */
  | { readonly outcome: 'healed'; readonly source: string }
  /** Withdrawn; fetched again by the next request. */
  | { readonly outcome: 'withdrawn'; readonly reason: string }
  /** Left as it is. */
  | { readonly outcome: 'left'; readonly reason: string };

/** A zip of Go's largest size comes over a slow link. */
const timeoutMs = 900_000;

export class VerifyRepair {
  readonly #store: Pick<Store, 'withdraw'>;
  readonly #running: Running;
  readonly #clock: Clock;

  constructor(store: Pick<Store, 'withdraw'>, running: Running, clock: Clock) {
    this.#store = store;
    this.#running = running;
    this.#clock = clock;
  }

  /** Rejects with StoreError when the file cannot be withdrawn. */
  async repair(
    checked: CheckedArtifact,
    faults: readonly (StoreFault | MismatchFault)[],
  ): Promise<RepairOutcome> {
    const { key, sha256 } = checked;
    const [first] = faults;
    if (first === undefined) return { outcome: 'left', reason: 'nothing is wrong with it' };
    // A disk that does not read now may read tomorrow: what it holds may be good.
    if (sha256 === undefined || faults.every(({ kind }) => kind === 'unreadable')) {
      return { outcome: 'left', reason: 'it could not be read; look at the disk first' };
    }
    // The zip itself is good: it is taken out only for somebody who fetches it at once.
    if (faults.every(({ kind }) => kind === 'ziphash') && !(await this.#isRunning())) {
      return { outcome: 'left', reason: 'its .ziphash is made again when modferry runs' };
    }
    const withdrawn = await this.#store.withdraw(key, this.#evidence(checked, first, sha256));
    if (withdrawn === undefined) return { outcome: 'left', reason: 'it changed or went away meanwhile' };
    return await this.#heal(checked);
  }

  async #isRunning(): Promise<boolean> {
    return (await this.#running.askIfAny('GET', '/status')) !== undefined;
  }

  async #heal({ key }: CheckedArtifact): Promise<RepairOutcome> {
    const { path, version, ext } = key;
    try {
      const answer = await this.#running.askIfAny('POST', '/heal', { path, version, ext }, { timeoutMs });
      if (answer === undefined) return { outcome: 'withdrawn', reason: 'no modferry is running' };
      const { outcome, source, reason } = answer;
      if (outcome === 'healed') {
        return { outcome, source: typeof source === 'string' ? source : 'an upstream' };
      }
      return { outcome: 'withdrawn', reason: typeof reason === 'string' ? reason : 'it could not be had' };
    } catch (error) {
      return { outcome: 'withdrawn', reason: messageOf(error) };
    }
  }

  #evidence(
    { key, record, sizeBytes, h1 }: CheckedArtifact,
    fault: StoreFault | MismatchFault,
    sha256: string,
  ): Evidence {
    const isMismatch = fault.kind === 'mismatch';
    const says = 'expected' in fault ? { expectedH1: fault.expected, expectedBy: fault.by } : undefined;
    return {
      key,
      cause: isMismatch ? 'mismatch' : 'rotten',
      source: isMismatch ? record.source : 'store',
      reason: fault.detail,
      sha256,
      sizeBytes,
      foundH1: h1,
      atMs: this.#clock.now(),
      ...(says ?? { expectedH1: record.h1, expectedSha256: record.sha256, expectedBy: 'record' }),
    };
  }
}
