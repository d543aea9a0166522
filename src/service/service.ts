/**
 * The composition root: builds every part from one configuration snapshot, wires events to the log, and returns
 * what starts, reloads and stops it. Nothing below reads the environment or the clock by itself.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { parseCanonicalVersion } from '../gomod/version.ts';
import { AccessLog } from '../http/access-log.ts';
import { type AdminSocket, listenAdmin } from '../http/admin.ts';
import { BufferPool } from '../http/buffer-pool.ts';
import { Handler } from '../http/handler.ts';
import { HotCache } from '../http/hot-cache.ts';
import { type Listening, listen } from '../http/server.ts';
import { Ingest, nameOf } from '../ingest/ingest.ts';
import { type IngestEvents, SourcesFailure } from '../ingest/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { ModferryError, messageOf } from '../lib/errors.ts';
import { EventBus } from '../lib/event-bus.ts';
import { ArtifactService } from '../proxy/artifact-service.ts';
import { LatestService } from '../proxy/latest-service.ts';
import { ListService } from '../proxy/list-service.ts';
import { LookAhead } from '../proxy/look-ahead.ts';
import { NegativeCache } from '../proxy/negative-cache.ts';
import { Proxy } from '../proxy/proxy.ts';
import { QueryService } from '../proxy/query-service.ts';
import type { Windows } from '../proxy/revalidating.ts';
import { SumdbService } from '../proxy/sumdb-service.ts';
import type { RequestContext } from '../proxy/types.ts';
import { ZipMemory } from '../proxy/zip-memory.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import { logEvents } from '../telemetry/event-log.ts';
import type { Logger } from '../telemetry/log.ts';
import type { GoEnv, OwnAddress } from '../upstream/decide-upstreams.ts';
import { type Plan, plainPlan } from '../upstream/plan.ts';
import type { AnswerClass, Upstream } from '../upstream/types.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { makePages } from './pages.ts';
import { buildUpstreamSet, type UpstreamSet } from './upstream-set.ts';

export interface ServiceInput {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  /** Working directory for relative paths. */
  readonly cwd: string;
  /** What this machine's Go says, asked by the caller ahead of time; a reload asks again. */
  readonly goEnv?: Promise<GoEnv | undefined>;
  /** Takes access-log text; resolves when it is written. */
  readonly writeAccess: (text: string) => Promise<void>;
  /** What the admin socket's reload does: the owner of the configuration loads it and calls `apply`. */
  readonly reload: () => Promise<object>;
}

/** What the start-up text says. */
export interface Started {
  readonly urls: readonly string[];
  readonly storeText: string;
  readonly downloadFolder: string;
  readonly upstreamNames: readonly string[];
  readonly upstreamOrigin: string;
  readonly end: string;
  readonly warnings: readonly string[];
}

/** Settings that only a restart can change. */
const fixedKeys = ['listen', 'dataDir', 'pathPrefix', 'server', 'memory', 'store', 'adminSocket'] as const;

/** The probe writes a file: whoever asks `/readyz` in a loop must not wear the disk. */
const probeEveryMs = 1_000;

/** Longer than a zip of Go's largest size takes over a slow link. */
const retiredForMs = 3_600_000;

export class Service {
  readonly #input: ServiceInput;
  readonly #store: FsStore;
  readonly #instanceId: string;
  readonly #events = new EventBus<IngestEvents>();
  readonly #verifier: ZipVerifier;
  readonly #ingest: Ingest;
  readonly #lists: ListService;
  readonly #latest: LatestService;
  readonly #queries: QueryService;
  readonly #lookAhead: LookAhead;
  readonly #negatives: NegativeCache;
  readonly #zips: ZipMemory;
  readonly #hot: HotCache;
  readonly #accessLog: AccessLog;
  readonly #handler: Handler;
  readonly #dataDir: string;
  readonly #ownAddresses: readonly OwnAddress[];
  #config: Config;
  #set: UpstreamSet;
  /** Sets replaced by a reload that may still have transfers under way. */
  readonly #retired = new Map<UpstreamSet, Timer>();
  #listening: Listening | undefined;
  #admin: AdminSocket | undefined;
  #draining = false;
  #probe: { atMs: number; writable: Promise<boolean> } | undefined;
  #revision = 1;
  #stopping: Promise<void> | undefined;
  readonly #startedAtMs: number;

  private constructor(
    input: ServiceInput,
    store: FsStore,
    set: UpstreamSet,
    facts: { instanceId: string; dataDir: string; ownAddresses: readonly OwnAddress[] },
  ) {
    const { config, clock, log } = input;
    this.#input = input;
    this.#store = store;
    this.#set = set;
    this.#config = config;
    this.#instanceId = facts.instanceId;
    this.#dataDir = facts.dataDir;
    this.#ownAddresses = facts.ownAddresses;
    this.#startedAtMs = clock.now();
    this.#verifier = new ZipVerifier({ threads: 1 });
    this.#negatives = new NegativeCache(clock);
    this.#zips = new ZipMemory(config.memory.hotZipBytes, config.memory.hotZipMaxItemBytes);
    this.#hot = new HotCache(config.memory.hotSmallBytes);
    const sources = {
      plan: (path: ModulePath, answerClass: AnswerClass) => this.#plan(this.#upstreamsFor(path), answerClass),
      isPrivate: (path: ModulePath) => this.#set.isPrivate(path),
      absenceHint: () => this.#absenceHint(),
      pathIsKnown: (path: ModulePath) => this.#pathIsKnown(path),
      onChanged: (path: ModulePath) => this.#hot.forgetMutable(path),
    };
    this.#ingest = new Ingest({
      ...sources,
      clock,
      store,
      verifier: this.#verifier,
      events: this.#events,
      options: () => ingestOptions(this.#config),
      knownToExist: (key) => this.#knownToExist(key.path, key.version),
      shareInMemoryBytes: config.memory.hotZipMaxItemBytes,
    });
    const current = (): Config => this.#config;
    // Read at each use, so that a reload changes them.
    const limits = {
      infoBytes: () => current().ingest.limits.infoBytes,
      listBytes: () => current().ingest.limits.listBytes,
    };
    this.#lists = new ListService({
      ...sources,
      clock,
      store,
      windows: (path) => this.#windows(path, this.#config.freshness.listMs),
      limits,
    });
    this.#lookAhead = new LookAhead({
      ingest: this.#ingest,
      store,
      options: () => this.#config.lookAhead,
      allowed: (path) => !this.#set.isPrivate(path) && this.#set.upstreams.length > 0,
    });
    const artifacts = new ArtifactService({
      ingest: this.#ingest,
      store,
      lists: this.#lists,
      lookAhead: this.#lookAhead,
      negatives: this.#negatives,
      zips: this.#zips,
      freshness: () => this.#config.freshness,
      requireSources: (path) => this.#requireSources(path),
      onWithdrawn: (path, version, source) => this.#events.emit('withdrawn', { path, version, source }),
    });
    this.#latest = new LatestService({
      ...sources,
      limits,
      clock,
      store,
      lists: this.#lists,
      windows: (path) => this.#windows(path, this.#config.freshness.listMs),
      artifact: (path, version, ext, signal) => artifacts.bytes({ path, version, ext }, innerContext(signal)),
    });
    this.#queries = new QueryService({
      ...sources,
      limits,
      clock,
      store,
      windows: (path) => this.#windows(path, this.#config.freshness.queryMs),
    });
    const sumdb = new SumdbService({
      clock,
      databases: () => this.#set.sumdbs,
      plan: () => this.#plan(this.#set.upstreams, 'meta'),
      directPlan: (direct) => this.#plan([direct], 'meta'),
      isPrivate: (path) => this.#set.isOutsideSumdb(path),
    });
    const proxy = new Proxy({
      clock,
      artifacts,
      lists: this.#lists,
      latest: this.#latest,
      queries: this.#queries,
      sumdb,
      negatives: this.#negatives,
      freshness: () => this.#config.freshness,
      isPrivate: (path) => this.#set.isPrivate(path),
      requireSources: (path) => this.#requireSources(path),
    });
    this.#accessLog = new AccessLog(config.log.access, clock, input.writeAccess);
    this.#handler = new Handler({
      clock,
      proxy,
      hot: this.#hot,
      accessLog: this.#accessLog,
      pool: new BufferPool(),
      instanceId: facts.instanceId,
      pathPrefix: config.pathPrefix,
      idleWriteMs: config.server.idleWriteTimeoutMs,
      negativeMaxAgeS: () => Math.floor(this.#config.freshness.negativeListMs / 1000),
      page: makePages({
        version: input.version,
        pathPrefix: config.pathPrefix,
        fallbackUrl: () => this.#listening?.urls[0] ?? 'http://localhost:8080',
        privatePatterns: () => this.#set.privatePatterns,
        isReady: () => this.#isReady(),
      }),
      onUnexpected: (error, id) =>
        log.error({ id, reason: messageOf(error), err: error }, 'a request failed unexpectedly'),
    });
    logEvents(this.#events, log, clock);
    this.#events.on('published', ({ key }) => {
      this.#hot.forgetMutable(key.path);
      this.#negatives.forget(key.path);
      this.#lists.restore(key.path, key.version);
    });
    this.#events.on('conflict', ({ key }) => {
      this.#hot.clear();
      this.#zips.forget(nameOf(key));
    });
    this.#events.on('withheld', ({ key }) => this.#zips.forget(nameOf(key)));
    for (const failed of ['passedThrough', 'publishFailed'] as const) {
      this.#events.on(failed, ({ key }) => {
        if (key.ext === 'zip') this.#zips.forget(nameOf(key));
      });
    }
    store.onPurge((event) => this.#purged(event.path, event.version));
  }

  /** Opens the store, finds the upstreams, listens. Rejects with a ModferryError that says what to do. */
  static async start(input: ServiceInput): Promise<{ service: Service; started: Started }> {
    const { config } = input;
    const dataDir = resolve(input.cwd, config.dataDir);
    const instanceId = randomBytes(6).toString('hex');
    const ownAddresses = config.listen.map((target) => ({ ...target, pathPrefix: config.pathPrefix }));
    const store = await openFsStore({
      folder: dataDir,
      clock: input.clock,
      stopAt: config.store.stopAtRatio,
    });
    try {
      const set = await buildUpstreamSet({
        config,
        env: input.env,
        instanceId,
        version: input.version,
        dataDir,
        ownAddresses,
        ...(input.goEnv === undefined ? {} : { goEnv: input.goEnv }),
      });
      const service = new Service(input, store, set, { instanceId, dataDir, ownAddresses });
      try {
        await service.#listen();
      } catch (error) {
        await service.#closeParts();
        throw error;
      }
      return { service, started: service.#started() };
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /**
   * Puts a new snapshot in force between requests; the caller serialises. Rejects when it cannot be provisioned,
   * and the old one goes on. Resolves to the keys that only a restart can change.
   */
  async apply(config: Config): Promise<{ restartNeededFor: string[] }> {
    const set = await buildUpstreamSet({
      config,
      env: this.#input.env,
      instanceId: this.#instanceId,
      version: this.#input.version,
      dataDir: this.#dataDir,
      ownAddresses: this.#ownAddresses,
    });
    const restartNeededFor: string[] = fixedKeys.filter(
      (key) => JSON.stringify(config[key]) !== JSON.stringify(this.#config[key]),
    );
    const { concurrency, passThroughMemoryBytes } = this.#config.ingest;
    if (config.ingest.concurrency !== concurrency) restartNeededFor.push('ingest.concurrency');
    if (config.ingest.passThroughMemoryBytes !== passThroughMemoryBytes) {
      restartNeededFor.push('ingest.pass_through_memory');
    }
    const before = this.#set;
    const kept = Object.fromEntries(fixedKeys.map((key) => [key, this.#config[key]]));
    this.#config = { ...config, ...kept };
    this.#set = set;
    this.#revision += 1;
    // What may be answered, and by whom, may have changed: ready answers are made anew.
    this.#hot.clear();
    this.#negatives.clear();
    this.#input.log.level = config.log.level;
    this.#accessLog.mode = config.log.access;
    for (const warning of set.warnings) this.#input.log.warn({ reason: warning }, 'configuration warning');
    this.#retire(before);
    return { restartNeededFor };
  }

  /** Transfers under way end on the old clients, so these are not closed at once; idle sockets end by themselves. */
  #retire(set: UpstreamSet): void {
    const close = (): void => {
      if (this.#retired.delete(set)) void set.close().catch(() => {});
    };
    this.#retired.set(set, this.#input.clock.setTimeout(close, retiredForMs));
  }

  /** Drains: `/readyz` says 503 at once, transfers under way may end within the drain time. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** For a second signal: cuts what is left. */
  cut(): void {
    this.#listening?.destroy();
  }

  async status(): Promise<object> {
    const space = await this.#store.space().catch(() => undefined);
    const memory = process.memoryUsage();
    return {
      version: this.#input.version,
      instance: this.#instanceId,
      pid: process.pid,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      revision: this.#revision,
      urls: this.#listening?.urls ?? [],
      draining: this.#draining,
      store: { description: this.#store.description, ...space },
      upstreams: this.#set.upstreams.map(({ name, isPrivate, stopsOnError }) => ({
        name,
        private: isPrivate,
        stopsOnError,
      })),
      upstreamOrigin: this.#set.origin,
      fills: this.#ingest.activeFills,
      lookAhead: this.#lookAhead.counts,
      memory: { rssBytes: memory.rss, hotSmallBytes: this.#hot.bytes, hotZipBytes: this.#zips.bytes },
      accessLinesDropped: this.#accessLog.dropped,
    };
  }

  async purge(ask: { module: string; version?: string }): Promise<object> {
    const path = parseModulePath(ask.module);
    if (ask.version === undefined) return this.#store.purge({ path });
    const version = parseCanonicalVersion(path, ask.version);
    if (version === undefined) {
      throw new ModferryError('invalid_version', `"${ask.version}" is not a canonical version of ${path}`);
    }
    return this.#store.purge({ path, version });
  }

  async #listen(): Promise<void> {
    const { config } = this.#input;
    const { server } = config;
    this.#listening = await listen(
      config.listen,
      {
        maxConnections: server.maxConnections,
        headersTimeoutMs: server.headersTimeoutMs,
        requestTimeoutMs: server.requestTimeoutMs,
        keepAliveMs: server.keepAliveMs,
        maxHeaderBytes: server.maxHeaderBytes,
        idleMs: Math.max(server.keepAliveMs, server.idleWriteTimeoutMs),
      },
      (request, response) => this.#handler.handle(request, response),
    );
    await this.#openAdmin();
  }

  async #openAdmin(): Promise<void> {
    const { adminSocket } = this.#config;
    const folder = this.#store.instanceFolder;
    if (adminSocket === 'off' || (adminSocket === 'auto' && folder === undefined)) return;
    const path =
      adminSocket === 'auto' ? join(folder as string, 'admin.sock') : resolve(this.#input.cwd, adminSocket);
    try {
      await mkdir(resolve(path, '..'), { recursive: true });
      this.#admin = await listenAdmin(path, {
        status: () => this.status(),
        purge: (ask) => this.purge(ask),
        reload: () => this.#input.reload(),
      });
    } catch (error) {
      // A path too long for a socket, or a file system without them: everything else works.
      this.#input.log.warn({ path, reason: messageOf(error) }, 'no admin socket');
    }
  }

  #started(): Started {
    return {
      urls: (this.#listening?.urls ?? []).map((url) => `${url}${this.#config.pathPrefix}`),
      storeText: this.#store.description,
      downloadFolder: join(this.#dataDir, 'download'),
      upstreamNames: this.#set.upstreams.map(({ name }) => name),
      upstreamOrigin: this.#set.origin,
      end: this.#set.end,
      warnings: [...this.#store.warnings, ...this.#set.warnings],
    };
  }

  async #stop(): Promise<void> {
    const { drainMs, drainWaitMs } = this.#config.server;
    this.#draining = true;
    if (drainWaitMs > 0) await this.#sleep(drainWaitMs);
    const drained = this.#listening?.drain() ?? Promise.resolve();
    await Promise.race([drained, this.#sleep(drainMs)]);
    this.#listening?.destroy();
    await this.#closeParts();
  }

  async #closeParts(): Promise<void> {
    this.#lookAhead.close();
    await this.#ingest.close();
    await this.#admin?.close();
    await this.#verifier.close();
    await this.#set.close();
    for (const [set, timer] of this.#retired) {
      timer.cancel();
      await set.close();
    }
    await this.#store.close();
    await this.#accessLog.flush();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((done) => {
      this.#input.clock.setTimeout(done, ms);
    });
  }

  async #isReady(): Promise<{ ready: boolean; reason: string }> {
    if (this.#draining) return { ready: false, reason: 'stopping' };
    const now = this.#input.clock.monotonic();
    if (this.#probe === undefined || now - this.#probe.atMs > probeEveryMs) {
      this.#probe = { atMs: now, writable: this.#store.writable() };
    }
    // A store that can only be read still serves what it has; not being able to write is said, not fatal.
    const reason = (await this.#probe.writable) ? 'ready' : 'ready (store is read-only or full)';
    return { ready: true, reason };
  }

  #plan(upstreams: readonly Upstream[], answerClass: AnswerClass): Plan {
    const { firstByteMs, lastHopeMs } = this.#config.timeouts;
    return plainPlan({ upstreams, answerClass, firstByteMs: firstByteMs[answerClass], lastHopeMs });
  }

  #upstreamsFor(path: ModulePath): readonly Upstream[] {
    const { upstreams, isPrivate } = this.#set;
    return isPrivate(path) ? upstreams.filter((upstream) => upstream.isPrivate) : upstreams;
  }

  #requireSources(path: ModulePath): void {
    if (this.#upstreamsFor(path).length > 0) return;
    if (this.#set.isPrivate(path)) {
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

  /** Ruling 4: `direct` is not ours yet; the client's own list goes on there. */
  #absenceHint(): string | undefined {
    return this.#set.end === 'direct' ? "direct is the client's own next entry" : undefined;
  }

  /** Ruling 1 speaks of the path: seen to exist when any source has listed it or something of it is stored. */
  async #pathIsKnown(path: ModulePath): Promise<boolean> {
    if (await this.#lists.isKnown(path)) return true;
    const stored = await this.#store.completeVersions(path).catch(() => []);
    return stored.length > 0;
  }

  async #knownToExist(path: ModulePath, version: Version): Promise<boolean> {
    for (const ext of ['info', 'mod', 'zip'] as const) {
      if (await this.#store.has({ path, version, ext }).catch(() => false)) return true;
    }
    return this.#pathIsKnown(path);
  }

  #windows(path: string, publicFreshMs: number): Windows {
    const { privateMs, staleWhileRevalidateMs, staleIfErrorMs } = this.#config.freshness;
    return {
      freshMs: this.#set.isPrivate(path) ? privateMs : publicFreshMs,
      staleMs: staleWhileRevalidateMs,
      errorMs: staleIfErrorMs,
    };
  }

  #purged(path: ModulePath, version: Version | undefined): void {
    this.#hot.clear();
    this.#zips.forget(version === undefined ? `${path}@` : `${path}@${version}.`);
    this.#negatives.forget(path);
    this.#lists.forget(path);
    this.#latest.forget(path);
    this.#queries.forget(path);
    this.#lookAhead.forget();
  }
}

function ingestOptions(config: Config) {
  const { ingest, timeouts } = config;
  return {
    holdMs: ingest.holdMs,
    tailBytes: ingest.tailBytes,
    firstByteMs: timeouts.firstByteMs,
    lastHopeMs: timeouts.lastHopeMs,
    limits: ingest.limits,
    concurrency: ingest.concurrency,
    passThroughMemoryBytes: ingest.passThroughMemoryBytes,
  };
}

/** A request of our own making, e.g. the go.mod that decides @latest. */
function innerContext(signal: AbortSignal): RequestContext {
  return { id: 'inner', client: '', signal, storedOnly: false, revalidate: false, wholeOnly: true, via: [] };
}
