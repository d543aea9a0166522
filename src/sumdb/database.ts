/**
 * The client of one checksum database whose key is known. Whoever brings an answer, and wherever it was kept, it
 * counts only once its place in the signed log was proven.
 * @see https://go.dev/ref/mod#checksum-database
 */
import type { ModulePath, Version } from '../gomod/types.ts';
import { reasonOf } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Store } from '../store/store.ts';
import type { Plan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import { Sources } from './ask.ts';
import type { SignedHead } from './consistency.ts';
import { offlineError } from './failure-text.ts';
import { Heads } from './heads.ts';
import { LaterChecks } from './later-checks.ts';
import { Latest } from './latest.ts';
import { parseVerifierKey } from './log/note.ts';
import { maxTreeSize } from './log/stored-index.ts';
import { tilePath } from './log/tile.ts';
import { Lookups } from './lookups.ts';
import { wantedOf } from './records.ts';
import { Rest } from './rest.ts';
import { fullWidth, Tiles, tileHeight } from './tiles.ts';
import {
  type DatabaseSpec,
  type ForkEvidence,
  type ProvenRecord,
  type SumdbAsker,
  type SumdbDatabase,
  SumdbError,
  type SumdbEvents,
  type SumdbFigures,
  type SumdbHead,
  type SumdbTile,
  type TileWish,
} from './types.ts';

export interface DatabaseDeps {
  readonly spec: DatabaseSpec;
  readonly clock: Clock;
  readonly store: Pick<
    Store,
    'keptSumdb' | 'keepSumdb' | 'keptLookups' | 'readSumdbState' | 'swapSumdbState'
  >;
  /** Over the upstreams that may offer `/sumdb/`; its `lastHopeMs` should leave the database 30 s to fetch a module. */
  plan(): Plan;
  /** To one of the database's own addresses. */
  directPlan(direct: Upstream): Plan;
  readonly events: EventBus<SumdbEvents>;
  /** True: nobody is asked. */
  isOffline(): boolean;
}

/** For tiles beyond the known tree the head is asked for at most this often. */
const latestPauseMs = 1000;

export class Database implements SumdbDatabase {
  readonly name: string;
  readonly #deps: DatabaseDeps;
  readonly #sources: Sources;
  readonly #tiles: Tiles;
  readonly #heads: Heads;
  readonly #rest: Rest;
  readonly #later: LaterChecks;
  readonly #closed = new AbortController();
  readonly #latest: Latest;
  readonly #lookups: Lookups;
  readonly #counts = { kept: 0, fetched: 0, failed: 0 };
  /** Monotonic. */
  #latestAtMs = Number.NEGATIVE_INFINITY;

  /** Throws LogError `bad_key` for a verifier key that is none. Asks nobody yet. */
  constructor(deps: DatabaseDeps) {
    const { spec, clock, store, events } = deps;
    const { name } = spec;
    this.name = name;
    this.#deps = deps;
    const verifier = parseVerifierKey(spec.verifierKey);
    this.#sources = new Sources({
      name,
      direct: spec.direct,
      clock,
      events,
      plan: () => deps.plan(),
      directPlan: (direct) => deps.directPlan(direct),
      onAnswered: () => this.#rest.answered(),
    });
    this.#tiles = new Tiles({
      name,
      sources: this.#sources,
      store,
      events,
      isOffline: () => deps.isOffline(),
    });
    this.#heads = new Heads({
      name,
      verifier,
      clock,
      store,
      tiles: this.#tiles,
      events,
      onForgotten: () => this.#forgotten(),
    });
    this.#rest = new Rest({
      name,
      clock,
      trial: (signal) => this.#latest.ask({ signal: AbortSignal.any([signal, this.#closed.signal]) }),
    });
    this.#later = new LaterChecks((signed, source) => this.#checkLater(signed, source));
    this.#latest = new Latest({ sources: this.#sources, heads: this.#heads, verifier });
    this.#lookups = new Lookups({
      name,
      verifier,
      store,
      events,
      sources: this.#sources,
      heads: this.#heads,
      latest: this.#latest,
      later: this.#later,
      rest: this.#rest,
    });
  }

  get figures(): SumdbFigures {
    return {
      name: this.name,
      treeSize: this.#heads.known?.head.size,
      isForked: this.#heads.fork !== undefined,
      lookups: { ...this.#counts },
      tilesFetched: this.#tiles.fetched,
      refused: this.#sources.refused,
    };
  }

  async lookup(path: ModulePath, version: Version, asker: SumdbAsker): Promise<ProvenRecord> {
    if (asker.signal.aborted) throw reasonOf(asker.signal);
    const wanted = wantedOf(path, version);
    const inMemory = this.#lookups.inMemory(wanted);
    if (inMemory !== undefined) {
      this.#counts.kept += 1;
      return inMemory;
    }
    try {
      await this.#heads.refresh(asker);
      const { record, isKept } = this.#mayAsk(asker)
        ? await this.#lookups.find(wanted, asker)
        : await this.#lookups.keptOnly(wanted, asker);
      this.#counts[isKept ? 'kept' : 'fetched'] += 1;
      return record;
    } catch (error) {
      if (error instanceof SumdbError) this.#counts.failed += 1;
      throw error;
    }
  }

  async head(asker: SumdbAsker, maxAgeMs: number): Promise<SumdbHead | undefined> {
    if (asker.signal.aborted) throw reasonOf(asker.signal);
    await this.#withoutFailing(asker, () => this.#heads.refresh(asker));
    const known = this.#heads.known;
    const isYoung = known !== undefined && this.#deps.clock.now() - known.confirmedAtMs <= maxAgeMs;
    if (
      !isYoung &&
      this.#mayAsk(asker) &&
      this.#heads.fork === undefined &&
      (await this.#rest.mayAsk(asker))
    ) {
      await this.#withoutFailing(asker, () => this.#latest.ask(asker));
    }
    const found = this.#heads.known;
    if (found === undefined) return undefined;
    return { note: found.note, treeSize: found.head.size, confirmedAtMs: found.confirmedAtMs };
  }

  async tile(wish: TileWish, asker: SumdbAsker): Promise<SumdbTile> {
    if (asker.signal.aborted) throw reasonOf(asker.signal);
    if (!isSane(wish)) {
      const { level, n, width } = wish;
      throw new SumdbError(
        'absent',
        `no tree of ${this.name} has a tile of level ${level}, number ${n}, width ${width}; check the path that was asked`,
      );
    }
    await this.#heads.refresh(asker);
    const proven = await this.#provenTile(wish, asker);
    if (proven !== undefined) return proven;
    const tile = { ...wish, height: tileHeight };
    if (!this.#mayAsk(asker)) throw offlineError(this.name, tilePath(tile));
    const nowMs = this.#deps.clock.monotonic();
    if (
      nowMs - this.#latestAtMs >= latestPauseMs &&
      this.#heads.fork === undefined &&
      (await this.#rest.mayAsk(asker))
    ) {
      this.#latestAtMs = nowMs;
      await this.#withoutFailing(asker, () => this.#latest.ask(asker));
      const newer = await this.#provenTile(wish, asker);
      if (newer !== undefined) return newer;
    }
    const { data, source } = await this.#tiles.unproven(tile, asker);
    return { bytes: data, isProven: false, source };
  }

  /** Rejects with SumdbError `unreachable` when the store could never be read. */
  async fork(): Promise<ForkEvidence | undefined> {
    await this.#heads.refresh({ signal: new AbortController().signal, storedOnly: true });
    return this.#heads.fork;
  }

  async reset(reason: string): Promise<void> {
    await this.#heads.reset();
    this.#deps.events.emit('reset', { database: this.name, reason });
  }

  /** Reads what is kept, so that the figures tell of it before anybody has asked. Never rejects. */
  async open(): Promise<void> {
    await this.#heads.refresh({ signal: this.#closed.signal, storedOnly: true }).catch(() => {});
  }

  /**
   * After a reload: the database's own addresses from now on. What is known of the log stays, be it in the store or
   * not; what was learnt of sources, and failures, are forgotten.
   */
  adopt(direct: readonly Upstream[]): void {
    this.#sources.adopt(direct);
    this.#rest.clear();
  }

  /** Resolves when nothing goes on behind replies. */
  idle(): Promise<void> {
    return this.#later.idle();
  }

  /** Gives up what goes on behind replies. Idempotent. */
  close(): void {
    this.#later.clear();
    this.#closed.abort(new Error('the server is stopping'));
  }

  #mayAsk(asker: SumdbAsker): boolean {
    return asker.storedOnly !== true && !this.#deps.isOffline();
  }

  async #checkLater(signed: SignedHead, source: string): Promise<void> {
    if (this.#heads.fork !== undefined) return;
    await this.#heads.compare(signed, source, { signal: this.#closed.signal });
  }

  async #provenTile(wish: TileWish, asker: SumdbAsker): Promise<SumdbTile | undefined> {
    const got = await this.#heads.known?.tree.tile(wish, asker);
    return got === undefined ? undefined : { bytes: got.data, isProven: true, source: got.source };
  }

  /** For what an answer does not depend on. Rejects only with the reason of the asker's signal. */
  async #withoutFailing(asker: SumdbAsker, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (asker.signal.aborted || !(error instanceof SumdbError)) throw error;
    }
  }

  #forgotten(): void {
    this.#lookups.forget();
    this.#later.clear();
    this.#rest.clear();
  }
}

/** A tree that is counted here may have it. */
function isSane({ level, n, width }: TileWish): boolean {
  return (
    Number.isInteger(level) &&
    level >= 0 &&
    level <= 63 &&
    Number.isSafeInteger(n) &&
    n >= 0 &&
    Number.isInteger(width) &&
    width >= 1 &&
    width <= fullWidth &&
    (n * fullWidth + width) * fullWidth ** level <= maxTreeSize
  );
}
