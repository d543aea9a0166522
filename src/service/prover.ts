/**
 * What proves modules: the clients of the checksum databases that one configuration means, the imported go.sum lines,
 * and the judge that ingest asks.
 */
import { type ChecksumEvents, Checksums } from '../checksums/checksums.ts';
import type { TrustedSums } from '../checksums/trusted-sums.ts';
import type { Judge } from '../checksums/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { SumdbEntry } from '../proxy/sumdb-service.ts';
import type { Store } from '../store/store.ts';
import { Database } from '../sumdb/database.ts';
import { officialName } from '../sumdb/official.ts';
import type { DatabaseSpec, SumdbDatabase, SumdbEvents, SumdbFigures } from '../sumdb/types.ts';
import type { Plan } from '../upstream/plan.ts';
import type { Upstream } from '../upstream/types.ts';
import type { UpstreamSet } from './upstream-set.ts';

export interface ProverDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly trusted: Pick<TrustedSums, 'find' | 'ready'>;
  readonly sumdb: EventBus<SumdbEvents>;
  readonly checksums: EventBus<ChecksumEvents>;
  /** Over the upstreams that may offer `/sumdb/`. */
  plan(): Plan;
  directPlan(direct: Upstream): Plan;
  isOffline(): boolean;
}

type Entry = SumdbEntry & {
  readonly verifierKey: string | undefined;
  readonly database: Database | undefined;
};

export class Prover {
  readonly judge: Judge;
  readonly #deps: ProverDeps;
  #entries: readonly Entry[] = [];
  /** Of the configuration before this one: fills under way may still wait for them. */
  #retired: readonly Database[] = [];
  #proving: SumdbDatabase | undefined;
  #set: UpstreamSet;

  constructor(deps: ProverDeps, set: UpstreamSet) {
    this.#deps = deps;
    this.#set = set;
    this.adopt(set);
    this.judge = new Checksums({
      clock: deps.clock,
      events: deps.checksums,
      trusted: async (path, version, ext) => {
        await deps.trusted.ready;
        return deps.trusted.find(path, version, ext);
      },
      database: () => this.#proving,
      toolchainDatabase: () => this.#proving ?? this.#required(officialName),
      mode: (path) => this.#set.checksums.mode(path),
    });
  }

  /**
   * After a reload. A database whose name and key are what they were goes on with what it knows: the store may not have
   * taken all of it.
   */
  adopt(set: UpstreamSet): void {
    const before = this.#entries;
    for (const database of this.#retired) database.close();
    this.#set = set;
    this.#entries = set.databases.map(({ name, verifierKey, direct }) => {
      const same = before.find((entry) => entry.name === name && entry.verifierKey === verifierKey);
      same?.database?.adopt(direct);
      if (same !== undefined) return { ...same, direct };
      const database = verifierKey === undefined ? undefined : this.#open({ name, verifierKey, direct });
      return { name, verifierKey, direct, database };
    });
    const kept = new Set(this.#proven);
    this.#retired = before.flatMap(({ database }) =>
      database === undefined || kept.has(database) ? [] : [database],
    );
    this.#proving = set.proving === undefined ? undefined : this.#required(set.proving);
  }

  /** For `/sumdb/`. */
  get entries(): readonly SumdbEntry[] {
    return this.#entries;
  }

  /** Name of the database that proves modules; undefined: switched off. */
  get provingName(): string | undefined {
    return this.#set.proving;
  }

  get figures(): readonly SumdbFigures[] {
    return this.#proven.map(({ figures }) => figures);
  }

  /** What the admin socket tells of each database. */
  async describe(): Promise<object[]> {
    const asker = { signal: new AbortController().signal, storedOnly: true };
    return Promise.all(
      this.#proven.map(async (database) => {
        const [head, fork] = await Promise.all([database.head(asker, Infinity), database.fork()]);
        return {
          ...database.figures,
          treeSize: head?.treeSize ?? null,
          confirmedAt: head === undefined ? null : new Date(head.confirmedAtMs).toISOString(),
          provesModules: database.name === this.#set.proving,
          ...(fork === undefined ? {} : { fork }),
        };
      }),
    );
  }

  /** An operator's order. Rejects with ModferryError `absent`, StoreError. */
  async reset(name: string, reason: string): Promise<void> {
    await this.#required(name).reset(reason);
  }

  /** Gives up what goes on behind replies. Idempotent. */
  close(): void {
    for (const database of [...this.#retired, ...this.#proven]) database.close();
  }

  #open(spec: DatabaseSpec): Database {
    const { clock, store, sumdb: events } = this.#deps;
    const database = new Database({
      spec,
      clock,
      store,
      events,
      plan: () => this.#deps.plan(),
      directPlan: (upstream) => this.#deps.directPlan(upstream),
      isOffline: () => this.#deps.isOffline(),
    });
    void database.open();
    return database;
  }

  get #proven(): readonly Database[] {
    return this.#entries.flatMap(({ database }) => (database === undefined ? [] : [database]));
  }

  #required(name: string): Database {
    const found = this.#proven.find((database) => database.name === name);
    if (found !== undefined) return found;
    const known = this.#proven.map((database) => database.name).join(', ');
    throw new ModferryError('absent', `there is no checksum database ${name} here; there are ${known}`);
  }
}
