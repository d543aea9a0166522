/**
 * What the quarantine holds, in memory: enough to find the suspects of an artifact and the oldest of all without
 * reading the folder. Some 300 bytes an entry; the folder's bounds bound it.
 */
import type { StoredEntry } from './quarantine-entry.ts';

/** One `{id}.json`, and what is beside it. */
export interface Slot {
  readonly id: string;
  /** Tells the evidence's file from the one that takes its place. */
  readonly stamp: string;
  /** Undefined: nobody can read the evidence. */
  readonly facts: SlotFacts | undefined;
  /** Undefined: there are no bytes. */
  readonly bytesSize: number | undefined;
}

export interface SlotFacts {
  /** `keyText` of the artifact. */
  readonly artifact: string;
  readonly atMs: number;
  readonly firstAtMs: number;
  /** What the evidence says of the bytes. */
  readonly sizeBytes: number;
  /** It was stored here, and what came of that is still open. */
  readonly isUnsettled: boolean;
}

export interface QuarantineBounds {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** What goes: whole entries, and the bytes of others. */
export interface Excess {
  readonly entries: readonly string[];
  readonly bytes: readonly string[];
}

/** Trimming goes so far below the bounds, so that not every suspect at the bound trims again. */
const trimTo = 0.9;

export function factsOf(entry: StoredEntry, artifact: string): SlotFacts {
  const { atMs, firstAtMs, sizeBytes, source, settled } = entry;
  return { artifact, atMs, firstAtMs, sizeBytes, isUnsettled: source === 'store' && settled !== true };
}

export class QuarantineIndex {
  readonly #slots = new Map<string, Slot>();
  readonly #byArtifact = new Map<string, Set<string>>();
  #totalBytes = 0;

  get size(): number {
    return this.#slots.size;
  }

  get(id: string): Slot | undefined {
    return this.#slots.get(id);
  }

  put(slot: Slot): void {
    this.delete(slot.id);
    this.#slots.set(slot.id, slot);
    this.#totalBytes += slot.bytesSize ?? 0;
    if (slot.facts === undefined) return;
    const { artifact } = slot.facts;
    const ids = this.#byArtifact.get(artifact) ?? new Set();
    this.#byArtifact.set(artifact, ids.add(slot.id));
  }

  delete(id: string): void {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    this.#slots.delete(id);
    this.#totalBytes -= slot.bytesSize ?? 0;
    if (slot.facts === undefined) return;
    const ids = this.#byArtifact.get(slot.facts.artifact);
    ids?.delete(id);
    if (ids?.size === 0) this.#byArtifact.delete(slot.facts.artifact);
  }

  /** Readable ones of one artifact, newest first. */
  of(artifact: string): string[] {
    return this.#newestFirst([...(this.#byArtifact.get(artifact) ?? [])]);
  }

  /** All readable ones, newest first. */
  all(): string[] {
    return this.#newestFirst([...this.#slots.keys()]);
  }

  /** Those that were stored here and are not told settled; `concerns` is asked with the artifact's `keyText`. */
  unsettled(concerns: (artifact: string) => boolean): string[] {
    const ids: string[] = [];
    for (const { id, facts } of this.#slots.values()) {
      if (facts?.isUnsettled === true && concerns(facts.artifact)) ids.push(id);
    }
    return ids;
  }

  isBeyond({ maxBytes, maxEntries }: QuarantineBounds): boolean {
    return this.#slots.size > maxEntries || this.#totalBytes > maxBytes;
  }

  /**
   * The oldest bytes go first, then the oldest entries. What nobody can read counts as older than everything, and
   * `newest` as younger, whatever its evidence says of the time. Empty within the bounds.
   */
  excess(bounds: QuarantineBounds, newest: string | undefined): Excess {
    const entries: string[] = [];
    const bytes: string[] = [];
    if (!this.isBeyond(bounds)) return { entries, bytes };
    const { maxBytes, maxEntries } = bounds;
    let tooMany = this.size > maxEntries ? this.size - Math.ceil(maxEntries * trimTo) : 0;
    const wantedBytes = this.#totalBytes > maxBytes ? maxBytes * trimTo : maxBytes;
    let totalBytes = this.#totalBytes;
    const ageOf = ({ id, facts }: Slot): number => (id === newest ? Infinity : (facts?.atMs ?? -1));
    for (const slot of [...this.#slots.values()].sort((one, other) => ageOf(one) - ageOf(other))) {
      // One that fits the bound but not the part of it that is left free stays.
      const enoughBytes = slot.id === newest ? maxBytes : wantedBytes;
      if (tooMany > 0) {
        entries.push(slot.id);
        tooMany -= 1;
      } else if (totalBytes <= enoughBytes) break;
      else if (slot.bytesSize !== undefined) bytes.push(slot.id);
      totalBytes -= slot.bytesSize ?? 0;
    }
    return { entries, bytes };
  }

  #newestFirst(ids: string[]): string[] {
    const slots = ids.flatMap((id) => {
      const facts = this.#slots.get(id)?.facts;
      return facts === undefined ? [] : [{ id, ...facts }];
    });
    slots.sort(
      (one, other) =>
        other.atMs - one.atMs || other.firstAtMs - one.firstAtMs || (one.id < other.id ? -1 : 1),
    );
    return slots.map(({ id }) => id);
  }
}
