/** What is done about a stored artifact that is not what it should be: withdrawn and fetched again, or recorded anew. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { SuspectCause } from '../store/quarantine.ts';
import type { Store, Trust } from '../store/store.ts';
import type { CheckedArtifact } from './artifact-check.ts';
import type { Heal, HealResult } from './heal.ts';

export interface RepairDeps {
  readonly store: Pick<Store, 'withdraw' | 'renew'>;
  readonly clock: Clock;
  /** Undefined: nobody can be asked, what is withdrawn stays in quarantine. */
  readonly heal?: Heal | undefined;
}

export interface Suspicion {
  readonly cause: SuspectCause & ('rotten' | 'mismatch');
  /** One sentence. */
  readonly reason: string;
  readonly expectedH1: string | undefined;
  /** `record`, `sum.golang.org #123`, `go.sum LABEL`. */
  readonly expectedBy: string;
}

/** What became of it. `gone`: somebody purged or healed it meanwhile. */
export type Repaired =
  | { readonly outcome: 'healed'; readonly source: string }
  | { readonly outcome: 'quarantined'; readonly id: string; readonly reason: string }
  | { readonly outcome: 'gone' };

export class Repair {
  readonly #deps: RepairDeps;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
  }

  /** Takes it out of what is served, then asks the sources. Rejects with StoreError, or the signal's reason. */
  async replace(
    key: ArtifactKey,
    { record, sha256, sizeBytes, h1 }: CheckedArtifact,
    { cause, reason, expectedH1, expectedBy }: Suspicion,
    signal: AbortSignal,
  ): Promise<Repaired> {
    const { store, clock, heal } = this.#deps;
    const entry = await store.withdraw(key, {
      key,
      cause,
      source: 'store',
      reason: cause === 'mismatch' ? `${reason}; it came from ${record.source}` : reason,
      sha256: sha256 ?? record.sha256,
      sizeBytes,
      expectedH1,
      foundH1: h1,
      expectedSha256: cause === 'rotten' ? record.sha256 : undefined,
      expectedBy,
      atMs: clock.now(),
    });
    if (entry === undefined) return { outcome: 'gone' };
    const expected = { sha256: cause === 'rotten' ? record.sha256 : '', h1: expectedH1 };
    const result: HealResult =
      heal === undefined
        ? { outcome: 'failed', reason: 'no source may be asked' }
        : await heal(key, expected, signal);
    if (result.outcome === 'healed') return result;
    return { outcome: 'quarantined', id: entry.id, reason: result.reason };
  }

  /**
   * Good content of which something wrong is recorded: record, `.ziphash` and list are written as for a new file, and
   * the file stays where it is. False when somebody was first, or another file stands there. Rejects with StoreError,
   * e.g. on a full disk.
   */
  async renew(key: ArtifactKey, { record, sha256, h1 }: CheckedArtifact): Promise<boolean> {
    if (sha256 === undefined) return false;
    return await this.#deps.store.renew(key, {
      sha256,
      ...(h1 === undefined ? {} : { h1 }),
      ...trustFor(record, h1),
    });
  }
}

/** A proof is of an `h1:` hash: it holds for the same one, and whatever else is recorded must be proven again. */
function trustFor(record: CheckedArtifact['record'], h1: string | undefined): Trust {
  if (record.proof !== undefined)
    return record.h1 === h1 ? { proof: record.proof } : { unproven: 'unreachable' };
  return record.unproven === undefined ? {} : { unproven: record.unproven };
}

/** One sentence of a check's faults. */
export function reasonOfFaults({ faults }: CheckedArtifact): string {
  return faults.length === 0 ? 'it is not what was published' : faults.map(({ detail }) => detail).join('; ');
}
