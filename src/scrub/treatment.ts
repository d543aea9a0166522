/** One artifact after another: checked, proven where that is due, and repaired. Counts as it goes. */
import type { Expectation, HashedKey, Judge } from '../checksums/types.ts';
import type { ArtifactExt, ArtifactKey } from '../gomod/types.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ArtifactRecord, Proof, Store, VersionEntry } from '../store/store.ts';
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
  /**
   * `sumdb`: asks for every .mod and .zip; `records`: for those that have no proof, or one that can be taken back (a
   * trusted go.sum line).
   */
  readonly against: 'records' | 'sumdb';
  /** False: told only; proofs are recorded all the same. */
  readonly isRepairing: boolean;
  readonly signal: AbortSignal;
  /** Looked up each time: the rate may change on the way. */
  pace(): Pace;
  readonly lookups: Pace;
  /** Waited for before each artifact. */
  gate?(): Promise<void>;
  /** Told of each artifact that was there. */
  onTreated?(treated: Treated): void;
}

/** What was found of one artifact, and what was done about it. */
export interface Treated {
  readonly key: ArtifactKey;
  readonly checked: Pick<CheckedArtifact, 'verdict' | 'sizeBytes' | 'faults'>;
  /** Undefined: nobody says that it should be something else. */
  readonly mismatch?: Mismatch | undefined;
  /** Undefined: nobody was asked, or its content is no longer what was asked about. */
  readonly proof?: ProofState | undefined;
  /** Undefined: there was nothing to do, or nothing may be done. */
  readonly remedy?: Remedy | undefined;
}

export interface Mismatch {
  readonly expectedH1: string;
  readonly foundH1: string;
  /** Who says so. */
  readonly by: string;
  /** One sentence. */
  readonly reason: string;
}

export type ProofState =
  | { readonly state: 'proven' }
  /** Checksums are off for it. */
  | { readonly state: 'exempt' }
  /** An operator released it, knowing that it is not what it should be. */
  | { readonly state: 'released' }
  | { readonly state: 'unproven'; readonly reason: string };

export type Remedy =
  | Exclude<Repaired, { readonly outcome: 'gone' }>
  /** Recorded anew. */
  | { readonly outcome: 'renewed' }
  | { readonly outcome: 'left'; readonly reason: string };

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
  async version({ path, version, artifacts, unreadable }: VersionEntry): Promise<void> {
    for (const ext of exts) {
      const record = artifacts[ext];
      const reason = unreadable?.[ext];
      if (reason !== undefined) {
        this.#counts.unreadable += 1;
        const key = { path, version, ext };
        this.#deps.events.emit('unreadable', { key, reason });
        this.#options.onTreated?.({ key, checked: unreadableAs(reason), remedy: this.#left(lookAtDisk) });
      }
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
    const found = await this.#treat(key, checked);
    this.#options.onTreated?.({ key, checked, ...found });
  }

  async #treat(key: ArtifactKey, checked: CheckedArtifact): Promise<Found> {
    const reason = reasonOfFaults(checked);
    if (checked.verdict === 'unreadable') {
      // It may be whole again after a remount or on another disk: nothing is taken out that nobody has seen.
      this.#counts.unreadable += 1;
      this.#deps.events.emit('unreadable', { key, reason });
      return { remedy: this.#left(lookAtDisk) };
    }
    if (checked.verdict === 'rotten') {
      const expectedH1 = checked.record.h1;
      return await this.#replace(key, checked, { cause: 'rotten', reason, expectedH1, expectedBy: 'record' });
    }
    if (checked.verdict !== 'renew') return await this.#prove(key, checked);
    const remedy = await this.#renew(key, checked, reason);
    if (remedy?.outcome === 'left') return { remedy };
    return { remedy, ...(await this.#prove(key, checked)) };
  }

  #left(reason: string): Remedy | undefined {
    return this.#options.isRepairing ? { outcome: 'left', reason } : undefined;
  }

  async #renew(key: ArtifactKey, checked: CheckedArtifact, reason: string): Promise<Remedy | undefined> {
    const { isRepairing } = this.#options;
    if (isRepairing) {
      try {
        if (!(await this.#deps.repair.renew(key, checked))) return this.#left(wentAway);
      } catch (error) {
        // A full disk: the content is good and stays as it is.
        if (!(error instanceof StoreError)) throw error;
        this.#deps.events.emit('stuck', { key, reason: `${reason}; ${messageOf(error)}` });
        return this.#left(messageOf(error));
      }
    }
    this.#counts.renewed += 1;
    this.#deps.events.emit('renewed', { key, reason });
    return isRepairing ? { outcome: 'renewed' } : undefined;
  }

  async #prove(key: ArtifactKey, checked: CheckedArtifact): Promise<Found> {
    const { judge } = this.#deps;
    const { against, signal, lookups } = this.#options;
    const { record, sha256 } = checked;
    if (judge === undefined || !isHashed(key) || sha256 === undefined) return {};
    // A line of a go.sum may have been taken back since.
    const isFinal = record.proof !== undefined && record.proof.by !== 'go.sum';
    if (against === 'records' && isFinal) return {};
    await lookups.take(1, signal);
    const expectation = await judge.expect(key, { signal });
    if (expectation.kind !== 'known') return await this.#goWithout(key, record, sha256, expectation);
    const h1 = checked.h1 ?? (await this.#treeHash(key, record));
    if (h1 === undefined) return {};
    const { h1: expectedH1, by, proof } = expectation;
    if (h1 === expectedH1) {
      if (record.h1 !== h1 || !isAsGood(record.proof, proof)) {
        if (!(await this.#deps.store.setTrust(key, sha256, { proof }))) return {};
        this.#counts.proven += 1;
        this.#deps.events.emit('proven', { key, by });
      }
      return { proof: { state: 'proven' } };
    }
    // An operator released it knowing that.
    if (record.proof?.by === 'operator') {
      this.#counts.mismatched += 1;
      return { proof: { state: 'released' } };
    }
    const reason = `its hash is ${h1}, ${by} says ${expectedH1}`;
    const suspicion = { cause: 'mismatch', reason, expectedH1, expectedBy: by } as const;
    const mismatch = { expectedH1, foundH1: h1, by, reason };
    return { mismatch, ...(await this.#replace(key, { ...checked, h1 }, suspicion)) };
  }

  /** Nothing proves it. A line that did is gone by now, and what was published by it waits for another proof. */
  async #goWithout(
    key: HashedKey,
    { proof }: ArtifactRecord,
    sha256: string,
    expectation: Exclude<Expectation, { readonly kind: 'known' }>,
  ): Promise<Found> {
    const isOff = expectation.kind === 'unproven' && expectation.why === 'off';
    // Nobody was asked.
    if (isOff) this.#options.lookups.giveBack(1);
    else if (proof === undefined || proof.by === 'go.sum') this.#counts.unproven += 1;
    if (proof?.by === 'go.sum' && expectation.cause !== 'unread') {
      await this.#deps.store.setTrust(key, sha256, { unproven: isOff ? 'off' : 'unreachable' });
    }
    return { proof: isOff ? { state: 'exempt' } : { state: 'unproven', reason: expectation.reason } };
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

  async #replace(key: ArtifactKey, checked: CheckedArtifact, suspicion: Suspicion): Promise<Found> {
    const { events, repair } = this.#deps;
    const { cause, reason } = suspicion;
    let repaired: Repaired | undefined;
    if (this.#options.isRepairing) {
      try {
        repaired = await repair.replace(key, checked, suspicion, this.#options.signal);
      } catch (error) {
        // A store that takes no withdrawal now must not keep the pass from the rest.
        if (!(error instanceof StoreError)) throw error;
        events.emit('stuck', { key, reason: `${reason}; ${messageOf(error)}` });
        return { remedy: this.#left(messageOf(error)) };
      }
    }
    if (repaired?.outcome === 'gone') return { remedy: this.#left(wentAway) };
    this.#counts[cause === 'rotten' ? 'rotten' : 'mismatched'] += 1;
    events.emit('rotten', { key, reason, cause });
    if (repaired?.outcome === 'healed') {
      this.#counts.healed += 1;
      events.emit('healed', { key, source: repaired.source });
    } else if (repaired !== undefined) {
      this.#counts.quarantined += 1;
      events.emit('quarantined', { key, id: repaired.id, reason: repaired.reason });
    }
    return { remedy: repaired };
  }
}

type Found = Omit<Treated, 'key' | 'checked'>;

const lookAtDisk = 'it could not be read; look at the disk first';
const wentAway = 'it changed or went away meanwhile';

function unreadableAs(detail: string): Treated['checked'] {
  return { verdict: 'unreadable', sizeBytes: 0, faults: [{ kind: 'unreadable', detail }] };
}

/** The database's proof goes before that of a trusted line, and the operator's word stands. */
function isAsGood(recorded: Proof | undefined, found: Proof): boolean {
  if (recorded?.by !== 'go.sum') return recorded !== undefined;
  return found.by === 'go.sum' && found.label === recorded.label;
}

function isHashed(key: ArtifactKey): key is HashedKey {
  return key.ext !== 'info';
}
