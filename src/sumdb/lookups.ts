/**
 * Lookups of module versions: from memory, from disk, else from the sources. What counts is that the record is in the
 * known tree; who brought it does not matter.
 */
import type { LRUCache } from 'lru-cache';
import type { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import { UpstreamError } from '../upstream/types.ts';
import type { Sources } from './ask.ts';
import { isSameHead, type KnownHead, type SignedHead } from './consistency.ts';
import { forkedError, offlineError } from './failure-text.ts';
import type { Heads } from './heads.ts';
import type { LaterChecks } from './later-checks.ts';
import { type Latest, readSignedHead } from './latest.ts';
import { recordHash } from './log/hash.ts';
import { LogError } from './log/log-error.ts';
import type { Verifier } from './log/note.ts';
import { formatRecord, maxLookupBytes } from './log/record.ts';
import { type Claimed, provenRecord, readClaim, recordMemory, type Wanted } from './records.ts';
import type { Rest } from './rest.ts';
import { SharedAsks } from './shared-asks.ts';
import { type ProvenRecord, type SumdbAsker, SumdbError, type SumdbEvents } from './types.ts';

export interface LookupsDeps {
  /** The database's name. */
  readonly name: string;
  readonly verifier: Verifier;
  readonly store: Pick<Store, 'keptSumdb' | 'keepSumdb'>;
  readonly events: EventBus<SumdbEvents>;
  readonly sources: Sources;
  readonly heads: Heads;
  readonly latest: Latest;
  readonly later: LaterChecks;
  readonly rest: Rest;
}

export interface Found {
  readonly record: ProvenRecord;
  /** It did not come from a source just now. */
  readonly isKept: boolean;
}

export class Lookups {
  readonly #deps: LookupsDeps;
  readonly #records: LRUCache<string, ProvenRecord> = recordMemory();
  readonly #asks = new SharedAsks<Found>();
  /** How often what was known has been forgotten. */
  #resets = 0;

  constructor(deps: LookupsDeps) {
    this.#deps = deps;
  }

  /** Proven before by this process. */
  inMemory({ operation }: Wanted): ProvenRecord | undefined {
    return this.#records.get(operation);
  }

  /** From disk, else from the sources, once for all who ask. Rejects with SumdbError, or the signal's reason. */
  find(wanted: Wanted, asker: SumdbAsker): Promise<Found> {
    return this.#asks.join(wanted.operation, asker, (all) => this.#find(wanted, all));
  }

  /** From disk, without asking anybody. Rejects with SumdbError `offline`, or the signal's reason. */
  async keptOnly(wanted: Wanted, asker: SumdbAsker): Promise<Found> {
    const kept = await this.#kept(wanted, { ...asker, storedOnly: true });
    if (kept === undefined) throw offlineError(this.#deps.name, wanted.operation);
    return kept;
  }

  /** Nothing that was proven counts any more. */
  forget(): void {
    this.#resets += 1;
    this.#records.clear();
  }

  async #find(wanted: Wanted, asker: SumdbAsker): Promise<Found> {
    const kept = await this.#kept(wanted, asker);
    if (kept !== undefined) return kept;
    const { fork } = this.#deps.heads;
    if (fork !== undefined) throw forkedError(this.#deps.name, fork);
    return this.#deps.rest.run(wanted.operation, asker, () => this.#fetch(wanted, asker));
  }

  /** What is on disk is a claim as good as any other: it must be proven under the known head. */
  async #kept(wanted: Wanted, asker: SumdbAsker): Promise<Found | undefined> {
    const { store, events } = this.#deps;
    const { operation } = wanted;
    const resets = this.#resets;
    const kept = await store.keptSumdb(this.#deps.name, operation).catch(() => undefined);
    if (kept === undefined) return undefined;
    try {
      const claimed = readClaim(kept.body, wanted);
      const known = await this.#knownWith(claimed.id, asker);
      // Beyond the known tree nothing can be said of it: a fresh answer brings a head that can.
      if (known === undefined) return undefined;
      if (await isIncluded(known, claimed, asker)) {
        return { record: this.#remember(wanted, claimed, known, resets), isKept: true };
      }
    } catch (error) {
      if (asker.signal.aborted) throw error;
      // Tiles that cannot be had say nothing about the record.
      if (error instanceof SumdbError) return undefined;
      if (!(error instanceof LogError)) throw error;
    }
    events.emit('rotten', { database: this.#deps.name, what: operation, isTrustLost: false });
    return undefined;
  }

  /** The known head, if its tree has record `id`; perhaps another process has a newer one. */
  async #knownWith(id: number, asker: SumdbAsker): Promise<KnownHead | undefined> {
    const { heads } = this.#deps;
    const has = (known: KnownHead | undefined) => known !== undefined && id < known.head.size;
    if (!has(heads.known)) await heads.refresh(asker, 0);
    return has(heads.known) ? heads.known : undefined;
  }

  async #fetch(wanted: Wanted, asker: SumdbAsker): Promise<Found> {
    const { operation } = wanted;
    const resets = this.#resets;
    const { value } = await this.#deps.sources.ask(
      {
        operation,
        limitBytes: maxLookupBytes,
        judge: (body, source) => this.#judge(wanted, body, source, asker),
      },
      asker,
    );
    const { claimed, known } = value;
    const record = this.#remember(wanted, claimed, known, resets);
    // A disk that does not take it is no failure of the lookup.
    await this.#deps.store
      .keepSumdb(this.#deps.name, operation, formatRecord(claimed.id, claimed.text))
      .catch(() => false);
    return { record, isKept: false };
  }

  /** Verifies one source's answer to a lookup. Throws LogError and UpstreamError for lies, else SumdbError. */
  async #judge(
    wanted: Wanted,
    body: Buffer,
    source: string,
    asker: SumdbAsker,
  ): Promise<{ claimed: Claimed; known: KnownHead }> {
    const claimed = readClaim(body, wanted);
    const signed = readSignedHead(claimed.note, this.#deps.verifier);
    if (claimed.id >= signed.head.size) {
      throw new LogError(
        'bad_record',
        `record ${claimed.id} is not in the tree of ${signed.head.size} records`,
      );
    }
    if (this.#deps.heads.known === undefined) await this.#begin(signed, source, asker);
    let known = this.#deps.heads.known;
    const isBeyond = known === undefined || claimed.id >= known.head.size;
    if (isBeyond) {
      await this.#deps.heads.advance(signed, source, asker, claimed.id);
      known = this.#deps.heads.known;
    }
    if (known === undefined) {
      throw new SumdbError(
        'unreachable',
        `what was known of ${this.#deps.name} was reset meanwhile; ask again`,
      );
    }
    // Of the same size they need no tile to be compared.
    if (signed.head.size === known.head.size) await this.#deps.heads.compare(signed, source, asker);
    await this.#assertIncluded(known, claimed, signed, source, asker);
    if (!isSameHead(signed, known)) this.#deps.later.add(signed, source);
    return { claimed, known };
  }

  /** Rejects as `#judge`. */
  async #assertIncluded(
    known: KnownHead,
    claimed: Claimed,
    signed: SignedHead,
    source: string,
    asker: SumdbAsker,
  ): Promise<void> {
    try {
      if (await isIncluded(known, claimed, asker)) return;
    } catch (error) {
      // Perhaps the tiles of the known tree cannot be had because the source has another history.
      if (error instanceof SumdbError) await this.#deps.heads.compare(signed, source, asker);
      throw error;
    }
    // Either the log has two histories, or the source has made up the record.
    await this.#deps.heads.compare(signed, source, asker);
    throw new UpstreamError(source, 'refused', `its record ${claimed.id} is not the one in the log`);
  }

  /** With the newest head that can be had, most later lookups need no move. */
  async #begin(signed: SignedHead, source: string, asker: SumdbAsker): Promise<void> {
    try {
      await this.#deps.latest.ask(asker);
    } catch (error) {
      if (asker.signal.aborted || !(error instanceof SumdbError) || error.code === 'forked') throw error;
      await this.#deps.heads.advance(signed, source, asker);
    }
  }

  #remember(wanted: Wanted, claimed: Claimed, known: KnownHead, resets: number): ProvenRecord {
    const record = provenRecord(wanted, claimed, known.head.size);
    if (resets === this.#resets) this.#records.set(wanted.operation, record);
    return record;
  }
}

async function isIncluded(known: KnownHead, { id, text }: Claimed, asker: SumdbAsker): Promise<boolean> {
  return (await known.tree.leafHash(id, asker)).equals(recordHash(text));
}
