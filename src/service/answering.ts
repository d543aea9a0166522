/**
 * Everything between a checked request and a reply, built once from the store and functions that read the snapshot in
 * force: ingest, the use cases, their memories, and what must be forgotten when something changes.
 */
import type { Config } from '../config/snapshot.ts';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import { HotCache } from '../http/hot-cache.ts';
import { Ingest, nameOf } from '../ingest/ingest.ts';
import { type IngestEvents, SourcesFailure } from '../ingest/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { ArtifactService } from '../proxy/artifact-service.ts';
import { LatestService } from '../proxy/latest-service.ts';
import { ListService } from '../proxy/list-service.ts';
import { LookAhead } from '../proxy/look-ahead.ts';
import { NegativeCache } from '../proxy/negative-cache.ts';
import { Ownership } from '../proxy/ownership.ts';
import { Proxy } from '../proxy/proxy.ts';
import { QueryService } from '../proxy/query-service.ts';
import type { Windows } from '../proxy/revalidating.ts';
import { SumdbService } from '../proxy/sumdb-service.ts';
import type { RequestContext } from '../proxy/types.ts';
import { ZipMemory } from '../proxy/zip-memory.ts';
import type { Registry, Tombstone } from '../publish/types.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import type { AnswerClass } from '../upstream/types.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import type { Mirrors } from './mirrors.ts';
import type { Prover } from './prover.ts';
import type { UpstreamSet } from './upstream-set.ts';

export interface AnsweringDeps {
  readonly clock: Clock;
  readonly store: FsStore;
  readonly events: EventBus<IngestEvents>;
  readonly mirrors: Mirrors;
  readonly prover: Prover;
  readonly registry: Pick<Registry, 'tombstoneOf'>;
  /** Read at each use, so that a reload changes them. */
  config(): Config;
  set(): UpstreamSet;
}

/** How long an asker waits for a refresh when something older is kept. */
const staleWaitMs = 2_000;
/** Proofs found afterwards come in a row, and their ready answers are dropped together. */
const provenTogetherMs = 1_000;
/** Of more, all answers are dropped. */
const maxProvenTogether = 5_000;

export class Answering {
  readonly proxy: Proxy;
  readonly ingest: Ingest;
  readonly lookAhead: LookAhead;
  readonly hot: HotCache;
  readonly zips: ZipMemory;
  readonly negatives: NegativeCache;
  readonly #deps: AnsweringDeps;
  readonly verifier: ZipVerifier;
  readonly #lists: ListService;
  readonly #ownership: Ownership;
  readonly #latest: LatestService;
  readonly #queries: QueryService;
  #provenTimer: Timer | undefined;
  #provenNames = new Set<string>();

  constructor(deps: AnsweringDeps) {
    this.#deps = deps;
    const { clock, store, events, mirrors, prover } = deps;
    const { memory } = deps.config();
    this.verifier = new ZipVerifier({ threads: 1 });
    this.negatives = new NegativeCache(clock);
    this.zips = new ZipMemory(memory.hotZipBytes, memory.hotZipMaxItemBytes);
    this.hot = new HotCache(memory.hotSmallBytes);
    const unpublished = (path: ModulePath, version: Version): string | undefined =>
      textOf(deps.registry.tombstoneOf(path, version));
    const sources = {
      plan: (path: ModulePath, answerClass: AnswerClass, isBackground = false) =>
        mirrors.plan(path, answerClass, isBackground),
      isPrivate: (path: ModulePath) => deps.set().isPrivate(path),
      isSourceOf: (path: ModulePath, source: string) => this.#isSourceOf(path, source),
      isUnpublished: (path: ModulePath, version: string) =>
        unpublished(path, version as Version) !== undefined,
      unpublished,
      absenceHint: () => this.#absenceHint(),
      pathIsKnown: (path: ModulePath) => this.#pathIsKnown(path),
      onChanged: (path: ModulePath) => this.hot.forgetMutable(path),
      isOffline: () => mirrors.isOffline(),
      mayAnswer: (path: ModulePath) => mirrors.mayAnswer(path),
      patienceMs: () => staleWaitMs,
    };
    const limits = {
      infoBytes: () => deps.config().ingest.limits.infoBytes,
      listBytes: () => deps.config().ingest.limits.listBytes,
    };
    const listWindows = (path: string): Windows => this.#windows(path, 'list');
    this.ingest = new Ingest({
      ...sources,
      clock,
      store,
      verifier: this.verifier,
      judge: prover.judge,
      events,
      options: () => ingestOptions(deps.config()),
      knownToExist: (key) => this.#knownToExist(key.path, key.version),
      shareInMemoryBytes: memory.hotZipMaxItemBytes,
    });
    this.#lists = new ListService({ ...sources, clock, store, windows: listWindows, limits });
    this.lookAhead = new LookAhead({
      ingest: this.ingest,
      store,
      options: () => deps.config().lookAhead,
      allowed: (path) => !deps.set().isPrivate(path) && deps.set().members.length > 0,
      isOffline: () => mirrors.isOffline(),
    });
    const artifacts = new ArtifactService({
      ingest: this.ingest,
      store,
      lists: this.#lists,
      lookAhead: this.lookAhead,
      negatives: this.negatives,
      zips: this.zips,
      freshness: () => deps.config().freshness,
      requireSources: (path) => this.#requireSources(path),
      isOffline: () => mirrors.isOffline(),
      onWithdrawn: (path, version, source) => events.emit('withdrawn', { path, version, source }),
    });
    this.#latest = new LatestService({
      ...sources,
      limits,
      clock,
      store,
      lists: this.#lists,
      windows: listWindows,
      artifact: (path, version, ext, signal) => artifacts.bytes({ path, version, ext }, innerContext(signal)),
    });
    this.#queries = new QueryService({
      ...sources,
      limits,
      clock,
      store,
      windows: (path) => this.#windows(path, 'query'),
    });
    const sumdb = new SumdbService({
      clock,
      store,
      databases: () => prover.entries,
      isOffline: () => mirrors.isOffline(),
      mayAnswer: () => mirrors.mayAnswer(undefined),
      patienceMs: () => staleWaitMs,
      plan: () => mirrors.plan(undefined, 'meta'),
      directPlan: (direct) => mirrors.directPlan(direct),
      isPrivate: (path) => deps.set().checksums.isOutside(path),
      privateAnswer: () => deps.config().checksums.privateLookup,
    });
    this.#ownership = new Ownership({
      store,
      isNeeded: (path) => deps.set().isPrivate(path),
      isSourceOf: (path, source) => this.#isSourceOf(path, source),
      onRemoved: (path, version, source) => events.emit('disowned', { path, version, source }),
    });
    this.proxy = new Proxy({
      clock,
      store,
      isOffline: () => mirrors.isOffline(),
      artifacts,
      lists: this.#lists,
      latest: this.#latest,
      queries: this.#queries,
      sumdb,
      negatives: this.negatives,
      freshness: () => deps.config().freshness,
      settle: (path) => this.#ownership.settle(path),
      unpublished,
      freshMs: (path, what) => this.#freshMs(path, what),
      requireSources: (path) => this.#requireSources(path),
    });
    this.#subscribe();
    store.onPurge((event) => this.#purged(event.path, event.version));
    store.onTrust((key) => this.proven(key));
    store.onOutdated((path) => {
      void this.expire(path);
      void this.expireQueries(path);
    });
  }

  /** What is under way and kept, for metrics. */
  get figures() {
    return {
      fills: this.ingest.activeFills,
      queued: this.ingest.waiting,
      joins: this.ingest.joins,
      lookAhead: this.lookAhead.counts,
      negatives: this.negatives.size,
    };
  }

  /** The module's list and @latest are out of date: whoever asks next waits for the sources. */
  async expire(path: ModulePath): Promise<void> {
    await Promise.all([this.#lists.expire(path), this.#latest.expire(path)]);
    this.hot.forgetMutable(path);
    this.negatives.forget(path);
  }

  /** The same for its branches, tags and commit prefixes. */
  async expireQueries(path: ModulePath): Promise<void> {
    await this.#queries.expire(path);
    this.hot.forgetMutable(path);
    this.negatives.forget(path);
  }

  /**
   * After a reload: routes may be others, so what is known of modules that are private now is looked at anew. What is
   * known of the rest stays: where the disk takes nothing, memory has all there is of it.
   */
  adopt(): void {
    this.forgetAnswers();
    this.#ownership.forget();
    const isPrivate = (path: ModulePath): boolean => this.#deps.set().isPrivate(path);
    for (const answers of [this.#lists, this.#latest, this.#queries]) answers.clear(isPrivate);
  }

  /** After a change: what may be answered, and by whom, may have changed, so ready answers are made anew. */
  forgetAnswers(): void {
    this.hot.clear();
    this.negatives.clear();
  }

  /** What is recorded of a stored artifact changed, e.g. it is proven now, and its ready answer says otherwise. */
  proven(key: ArtifactKey): void {
    if (this.#provenNames.size < maxProvenTogether) this.#provenNames.add(nameOf(key));
    this.#provenTimer ??= this.#deps.clock.setTimeout(() => this.#forgetProven(), provenTogetherMs);
  }

  /** Waits for publications under way. */
  async close(): Promise<void> {
    this.#provenTimer?.cancel();
    this.lookAhead.close();
    await this.ingest.close();
    await this.verifier.close();
  }

  #forgetProven(): void {
    this.#provenTimer = undefined;
    const names = this.#provenNames;
    this.#provenNames = new Set();
    if (names.size === maxProvenTogether) {
      this.hot.clear();
      this.zips.forget('');
      return;
    }
    this.hot.forgetArtifacts(names);
    for (const name of names) this.zips.forget(name);
  }

  #subscribe(): void {
    const { events } = this.#deps;
    events.on('published', ({ key }) => {
      this.hot.forgetMutable(key.path);
      this.negatives.forget(key.path);
      this.#lists.restore(key.path, key.version);
    });
    events.on('conflict', ({ key }) => {
      this.hot.clear();
      this.zips.forget(nameOf(key));
    });
    events.on('withheld', ({ key }) => this.zips.forget(nameOf(key)));
    for (const failed of ['passedThrough', 'publishFailed'] as const) {
      events.on(failed, ({ key }) => {
        if (key.ext === 'zip') this.zips.forget(nameOf(key));
      });
    }
  }

  #purged(path: ModulePath, version: Version | undefined): void {
    this.hot.clear();
    this.zips.forget(version === undefined ? `${path}@` : `${path}@${version}.`);
    this.negatives.forget(path);
    this.#lists.forget(path);
    this.#latest.forget(path);
    this.#queries.forget(path);
    this.lookAhead.forget();
  }

  #requireSources(path: ModulePath): void {
    const { mirrors } = this.#deps;
    if (mirrors.hasSources(path)) return;
    if (this.#deps.set().isPrivate(path)) {
      throw new SourcesFailure(
        'not_fetched',
        `${path} is private here and no private upstream is configured; it is never asked of a public one`,
      );
    }
    const hint = this.#absenceHint();
    throw new SourcesFailure(
      'not_fetched',
      `${path}: no upstream is configured, only what is stored is served${hint === undefined ? '' : ` (${hint})`}`,
    );
  }

  /** Ruling 4: where `direct` ends the list and is not asked here, the client's own list goes on there. */
  #absenceHint(): string | undefined {
    const { end, endsDirect, direct } = this.#deps.set();
    const isOurs = endsDirect && direct !== undefined;
    return end === 'direct' && !isOurs ? "direct is the client's own next entry" : undefined;
  }

  /** Ruling 1 speaks of the path: seen to exist when any source has listed it or something of it is stored. */
  async #pathIsKnown(path: ModulePath): Promise<boolean> {
    if (await this.#lists.isKnown(path)) return true;
    return this.#deps.store.holdsAnyOf(path).catch(() => false);
  }

  async #knownToExist(path: ModulePath, version: Version): Promise<boolean> {
    for (const ext of ['info', 'mod', 'zip'] as const) {
      if (await this.#deps.store.has({ path, version, ext }).catch(() => false)) return true;
    }
    return this.#pathIsKnown(path);
  }

  /** What a source of another time said or sent of a private module counts no more: it may be anybody's. */
  #isSourceOf(path: string, source: string): boolean {
    const route = this.#deps.set().routes.of(path);
    return !route.isPrivate || route.sources?.includes(source) === true || ownSources.has(source);
  }

  #freshMs(path: string, what: 'list' | 'query'): number {
    const route = this.#deps.set().routes.of(path);
    const { listMs, queryMs, privateMs } = this.#deps.config().freshness;
    return route.freshMs[what] ?? (route.isPrivate ? privateMs : what === 'list' ? listMs : queryMs);
  }

  #windows(path: string, what: 'list' | 'query'): Windows {
    const { staleWhileRevalidateMs, staleIfErrorMs } = this.#deps.config().freshness;
    return {
      freshMs: this.#freshMs(path, what),
      staleMs: staleWhileRevalidateMs,
      errorMs: staleIfErrorMs,
    };
  }
}

function textOf(stone: Tombstone | undefined): string | undefined {
  if (stone === undefined) return undefined;
  const at = new Date(stone.atMs).toISOString().slice(0, 10);
  return `${stone.path}@${stone.version} was unpublished on ${at}: ${stone.reason}`;
}

/** What an operator or nobody brought. `unknown`: the record was lost, and uploads may be among those. */
const ownSources: ReadonlySet<string> = new Set(['published', 'import', 'unknown', 'operator']);

function ingestOptions(config: Config) {
  const { ingest, timeouts } = config;
  return {
    holdMs: ingest.holdMs,
    tailBytes: ingest.tailBytes,
    firstByteMs: timeouts.firstByteMs,
    lastHopeMs: timeouts.lastHopeMs,
    idleMs: timeouts.idleMs,
    minRateBytes: timeouts.minRateBytes,
    limits: ingest.limits,
    concurrency: ingest.concurrency,
    passThroughMemoryBytes: ingest.passThroughMemoryBytes,
  };
}

/** A request of our own making, e.g. the go.mod that decides @latest. */
function innerContext(signal: AbortSignal): RequestContext {
  return {
    id: 'inner',
    client: '',
    signal,
    storedOnly: false,
    revalidate: false,
    wholeOnly: true,
    noHold: false,
    via: [],
  };
}
