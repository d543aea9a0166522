/** One artifact after another: checked, proven where that is due, and repaired. Counts as it goes. */
import type { HashedKey, Judge } from '../checksums/types.ts';
import type { ArtifactExt, ArtifactKey } from '../gomod/types.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ArtifactRecord, Store, VersionEntry } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import { ZipError } from '../zip/zip-types.ts';
import type { ArtifactCheck, CheckedArtifact } from './artifact-check.ts';
import type { Pace } from './pace.ts';
import { type Repair, type Repaired, reasonOfFaults, type Suspicion } from './repair.ts';
import { noCounts, type ScrubCounts, type ScrubEvents } from './types.ts';

export interface TreatmentDeps {
  readonly store: Pick<Store, 'setTrust'>;
  readonly check: ArtifactCheck;
  readonly repair: Repair;
  /** Undefined: nothing is proven. */
  readonly judge?: Judge | undefined;
  readonly events: EventBus<ScrubEvents>;
}

export interface TreatmentOptions {
  readonly deep: boolean;
  /** `sumdb`: asks for every .mod and .zip; `records`: for those that have no proof. */
  readonly against: 'records' | 'sumdb';
  /** False: told only; proofs are recorded all the same. */
  readonly isRepairing: boolean;
  readonly signal: AbortSignal;
  /** Looked up each time: the rate may change on the way. */
  pace(): Pace;
  readonly lookups: Pace;
  /** Waited for before each artifact. */
  gate?(): Promise<void>;
}

/** Opening a file and reading its record cost about as much as reading so many bytes. */
export const artifactCostBytes = 4_096;

const exts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];

export class Treatment {
  readonly #deps: TreatmentDeps;
  readonly #options: TreatmentOptions;
  readonly #counts: { -readonly [Name in keyof ScrubCounts]: number };

  /** `counts`: what an interrupted pass had reached. */
  constructor(deps: TreatmentDeps, options: TreatmentOptions, counts: ScrubCounts = noCounts) {
    this.#deps = deps;
    this.#options = options;
    this.#counts = { ...counts };
  }

  get counts(): ScrubCounts {
    return { ...this.#counts };
  }

  /** Rejects with the signal's reason, or an error that concerns more than this version. */
  async version({ path, version, artifacts }: VersionEntry): Promise<void> {
    for (const ext of exts) {
      const record = artifacts[ext];
      if (record === undefined) continue;
      await this.#options.gate?.();
      await this.#artifact({ path, version, ext }, record);
    }
  }

  async #artifact(key: ArtifactKey, record: ArtifactRecord): Promise<void> {
    const { signal, deep } = this.#options;
    const pace = this.#options.pace();
    await pace.take(artifactCostBytes, signal);
    let left = record.sizeBytes;
    const grant = async (stepBytes: number): Promise<void> => {
      const bytes = Math.max(0, Math.min(stepBytes, left));
      left -= bytes;
      await this.#options.pace().take(bytes, signal);
    };
    // The tree of a zip is a second pass over it.
    if (deep && key.ext === 'zip') await pace.take(record.sizeBytes, signal);
    const options = { deep, signal, ...(pace.isLimited ? { grant } : {}) };
    const checked = await this.#deps.check.check(key, record, options);
    if (checked === undefined) return;
    this.#counts.artifacts += 1;
    this.#counts.bytes += checked.sizeBytes;
    await this.#treat(key, checked);
  }

  async #treat(key: ArtifactKey, checked: CheckedArtifact): Promise<void> {
    const reason = reasonOfFaults(checked);
    if (checked.verdict === 'unreadable') {
      // It may be whole again after a remount or on another disk: nothing is taken out that nobody has seen.
      this.#counts.unreadable += 1;
      this.#deps.events.emit('unreadable', { key, reason });
      return;
    }
    if (checked.verdict === 'rotten') {
      const expectedH1 = checked.record.h1;
      await this.#replace(key, checked, { cause: 'rotten', reason, expectedH1, expectedBy: 'record' });
      return;
    }
    if (checked.verdict === 'renew' && !(await this.#renew(key, checked, reason))) return;
    await this.#prove(key, checked);
  }

  /** False: nothing more to be said of it now. */
  async #renew(key: ArtifactKey, checked: CheckedArtifact, reason: string): Promise<boolean> {
    if (this.#options.isRepairing) {
      try {
        if (!(await this.#deps.repair.renew(key, checked))) return false;
      } catch (error) {
        // A full disk: the content is good and stays as it is.
        if (!(error instanceof StoreError)) throw error;
        this.#deps.events.emit('stuck', { key, reason: `${reason}; ${messageOf(error)}` });
        return false;
      }
    }
    this.#counts.renewed += 1;
    this.#deps.events.emit('renewed', { key, reason });
    return true;
  }

  async #prove(key: ArtifactKey, checked: CheckedArtifact): Promise<void> {
    const { judge } = this.#deps;
    const { against, signal, lookups } = this.#options;
    const { record, sha256 } = checked;
    if (judge === undefined || !isHashed(key) || sha256 === undefined) return;
    if (against === 'records' && record.proof !== undefined) return;
    await lookups.take(1, signal);
    const expectation = await judge.expect(key, { signal, background: true });
    if (expectation.kind !== 'known') {
      const isOff = expectation.kind === 'unproven' && expectation.why === 'off';
      // Nobody was asked.
      if (isOff) lookups.giveBack(1);
      else if (record.proof === undefined) this.#counts.unproven += 1;
      return;
    }
    const h1 = checked.h1 ?? (await this.#treeHash(key, record));
    if (h1 === undefined) return;
    const { h1: expectedH1, by, proof } = expectation;
    if (h1 === expectedH1) {
      if (record.proof !== undefined && record.h1 === h1) return;
      if (!(await this.#deps.store.setTrust(key, sha256, { proof }))) return;
      this.#counts.proven += 1;
      this.#deps.events.emit('proven', { key, by });
      return;
    }
    const reason = `its hash is ${h1}, ${by} says ${expectedH1}`;
    const suspicion = { cause: 'mismatch', reason, expectedH1, expectedBy: by } as const;
    // An operator released it knowing that.
    if (record.proof?.by === 'operator') {
      this.#counts.mismatched += 1;
      return;
    }
    await this.#replace(key, { ...checked, h1 }, suspicion);
  }

  /** Undefined: it went, or nobody can read it, since its bytes were hashed. */
  async #treeHash(key: ArtifactKey, record: ArtifactRecord): Promise<string | undefined> {
    const { signal } = this.#options;
    await this.#options.pace().take(record.sizeBytes, signal);
    try {
      return await this.#deps.check.treeHash(key, signal);
    } catch (error) {
      if (error instanceof ZipError && error.code !== 'verifier_closed') return undefined;
      throw error;
    }
  }

  async #replace(key: ArtifactKey, checked: CheckedArtifact, suspicion: Suspicion): Promise<void> {
    const { events, repair } = this.#deps;
    const { cause, reason } = suspicion;
    const repaired = this.#options.isRepairing ? await this.#try(repair, key, checked, suspicion) : 'told';
    if (repaired === 'stuck' || (repaired !== 'told' && repaired.outcome === 'gone')) return;
    this.#counts[cause === 'rotten' ? 'rotten' : 'mismatched'] += 1;
    events.emit('rotten', { key, reason, cause });
    if (repaired === 'told') return;
    if (repaired.outcome === 'healed') {
      this.#counts.healed += 1;
      events.emit('healed', { key, source: repaired.source });
    } else {
      this.#counts.quarantined += 1;
      events.emit('quarantined', { key, id: repaired.id, reason: repaired.reason });
    }
  }

  /** A store that takes no withdrawal now must not keep the pass from the rest. */
  async #try(
    repair: Repair,
    key: ArtifactKey,
    checked: CheckedArtifact,
    suspicion: Suspicion,
  ): Promise<Repaired | 'stuck'> {
    try {
      return await repair.replace(key, checked, suspicion, this.#options.signal);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#deps.events.emit('stuck', { key, reason: `${suspicion.reason}; ${messageOf(error)}` });
      return 'stuck';
    }
  }
}

function isHashed(key: ArtifactKey): key is HashedKey {
  return key.ext !== 'info';
}
