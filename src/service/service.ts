/**
 * The composition root: builds every part from one configuration snapshot, wires events to the log, and returns
 * what starts, reloads and stops it. Nothing below reads the environment or the clock by itself.
 */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { AuditEntry } from '../audit/types.ts';
import { TrustedSums } from '../checksums/trusted-sums.ts';
import type { Config } from '../config/snapshot.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Controls } from '../health/types.ts';
import { AccessLog } from '../http/access-log.ts';
import type { AdminSocket } from '../http/admin.ts';
import { BufferPool } from '../http/buffer-pool.ts';
import { Handler } from '../http/handler.ts';
import type { Listening } from '../http/server.ts';
import { messageOf } from '../lib/errors.ts';
import { newHotCounters } from '../proxy/request-events.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import type { History } from '../telemetry/history.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import {
  controlEvents,
  reloadedEvent,
  reloadRefusedEvent,
  startedEvent,
  stoppedEvent,
} from '../telemetry/service-events.ts';
import type { OwnAddress } from '../upstream/decide-upstreams.ts';
import { adminActions } from './admin-actions.ts';
import { openAdminSocket } from './admin-socket.ts';
import { Answering } from './answering.ts';
import { audited } from './audited-actions.ts';
import { builtInSources } from './built-in-sources.ts';
import { newBuses } from './buses.ts';
import { Entrance } from './entrance.ts';
import { changedFixed, withFixed } from './fixed-settings.ts';
import { LastFetches } from './last-fetches.ts';
import { listenAs } from './listening.ts';
import { Mirrors } from './mirrors.ts';
import { makePages } from './pages.ts';
import { Prover } from './prover.ts';
import { onPush } from './pushes.ts';
import { Readiness } from './readiness.ts';
import { RetiredSets } from './retired-sets.ts';
import type { ServiceInput, Started } from './service-input.ts';
import { statusOf } from './status.ts';
import { measure, tell } from './telling.ts';
import { Upkeep } from './upkeep.ts';
import { openUploads, type Uploads } from './uploads.ts';
import { buildUpstreamSet, type UpstreamSet } from './upstream-set.ts';

export class Service {
  readonly #input: ServiceInput;
  readonly #store: FsStore;
  readonly #instanceId: string;
  readonly #buses = newBuses();
  readonly #history: History;
  readonly #metrics: Metrics;
  readonly #mirrors: Mirrors;
  readonly #trusted: TrustedSums;
  readonly #prover: Prover;
  readonly #upkeep: Upkeep;
  readonly #lastFetches: LastFetches;
  readonly #answering: Answering;
  readonly #accessLog: AccessLog;
  readonly #handler: Handler;
  readonly #dataDir: string;
  readonly #ownAddresses: readonly OwnAddress[];
  #config: Config;
  #set: UpstreamSet;
  readonly #entrance: Entrance;
  readonly #uploads: Uploads;
  readonly #retired: RetiredSets;
  #listening: Listening | undefined;
  #admin: AdminSocket | undefined;
  readonly #readiness: Readiness;
  #revision = 1;
  #stopping: Promise<void> | undefined;
  readonly #startedAtMs: number;

  private constructor(
    input: ServiceInput,
    store: FsStore,
    set: UpstreamSet,
    entry: { readonly entrance: Entrance; readonly uploads: Uploads },
    facts: {
      instanceId: string;
      dataDir: string;
      ownAddresses: readonly OwnAddress[];
    },
  ) {
    const { config, clock, log } = input;
    this.#input = input;
    this.#store = store;
    this.#set = set;
    this.#config = config;
    this.#entrance = entry.entrance;
    this.#uploads = entry.uploads;
    this.#instanceId = facts.instanceId;
    this.#dataDir = facts.dataDir;
    this.#ownAddresses = facts.ownAddresses;
    this.#startedAtMs = clock.now();
    this.#readiness = new Readiness(clock, store);
    this.#retired = new RetiredSets(clock);
    this.#history = tell(this.#buses, { clock, log, ...facts });
    // In the background: a million lines take seconds, and nothing that is stored waits for them.
    this.#trusted = TrustedSums.start(facts.dataDir, clock, this.#buses.checksums);
    this.#mirrors = new Mirrors(
      {
        clock,
        random: Math.random,
        events: this.#buses.health,
        dataDir: facts.dataDir,
        config: () => this.#config,
        onControls: (before, after) => this.#controlsChanged(before, after),
      },
      set,
    );
    this.#lastFetches = new LastFetches(this.#buses.ingest, clock);
    this.#prover = new Prover(
      {
        clock,
        store,
        trusted: this.#trusted,
        sumdb: this.#buses.sumdb,
        checksums: this.#buses.checksums,
        plan: () => this.#mirrors.plan(undefined, 'meta'),
        directPlan: (direct) => this.#mirrors.directPlan(direct),
        isOffline: () => this.#mirrors.isOffline(),
      },
      set,
    );
    this.#answering = new Answering({
      clock,
      store,
      events: this.#buses.ingest,
      mirrors: this.#mirrors,
      prover: this.#prover,
      registry: entry.uploads.registry,
      config: () => this.#config,
      set: () => this.#set,
    });
    const hotCounters = newHotCounters();
    this.#upkeep = new Upkeep({
      clock,
      store,
      buses: this.#buses,
      answering: this.#answering,
      prover: this.#prover,
      trusted: this.#trusted,
      dataDir: facts.dataDir,
      instanceId: facts.instanceId,
      config: () => this.#config,
      routes: () => this.#set.routes,
      log,
    });
    this.#metrics = measure(this.#buses, {
      hot: hotCounters,
      databases: () => this.#prover.figures,
      now: () => clock.now(),
      figures: () => this.#mirrors.figures(),
      routeKind: (name) =>
        this.#set.routes.routes.some((route) => route.name === name && !route.isPrivate)
          ? 'public'
          : 'private',
      space: () => store.space(),
      service: () => ({
        ...this.#answering.figures,
        version: input.version,
        nodeVersion: process.version,
        mode: this.#mirrors.controls.mode,
        revision: this.#revision,
        eventWriteErrors: this.#history.writeErrors,
      }),
    });
    this.#accessLog = new AccessLog(config.log.access, clock, input.writeAccess);
    this.#handler = new Handler({
      clock,
      proxy: this.#answering.proxy,
      hot: this.#answering.hot,
      hotCounters,
      gate: this.#entrance.gate,
      uploads: this.#entrance.uploads,
      api: this.#entrance.api,
      requests: this.#buses.requests,
      accessLog: this.#accessLog,
      pool: new BufferPool(),
      instanceId: facts.instanceId,
      pathPrefix: config.pathPrefix,
      idleWriteMs: config.server.idleWriteTimeoutMs,
      version: input.version,
      negativeMaxAgeS: () => Math.floor(this.#config.freshness.negativeListMs / 1000),
      provenance: () => this.#config.checksums.headers,
      page: makePages({
        version: input.version,
        pathPrefix: config.pathPrefix,
        fallbackUrl: () =>
          this.#listening?.urls.find((url) => !url.startsWith('unix:')) ?? 'http://localhost:8080',
        // Names of private modules are for those who may know that they are there.
        privatePatterns: (request) => this.#entrance.shownPatterns(request, this.#set.routes),
        isReady: () => this.#readiness.look(),
        metrics: () => this.#metrics.text(),
        failoverMs: () => this.#config.timeouts.firstByteMs.meta + 1_000,
      }),
      onUnexpected: (error, id) =>
        log.error({ id, reason: messageOf(error), err: error }, 'a request failed unexpectedly'),
    });
  }

  /** Opens the store, finds the upstreams, listens. Rejects with a ModferryError that says what to do. */
  static async start(input: ServiceInput): Promise<{ service: Service; started: Started }> {
    const { config } = input;
    const dataDir = resolve(input.cwd, config.dataDir);
    const instanceId = randomBytes(6).toString('hex');
    const ownAddresses = config.listen
      .filter(({ socket }) => socket === undefined)
      .map(({ host, port }) => ({ host, port, pathPrefix: config.pathPrefix }));
    const store = await openFsStore({
      folder: dataDir,
      clock: input.clock,
      stopAt: config.store.stopAtRatio,
      quarantineBytes: config.quarantine.maxBytes,
      quarantineEntries: config.quarantine.maxEntries,
    });
    let service: Service | undefined;
    const inForce = (): Config => (service === undefined ? config : service.#config);
    const opened: { close(): Promise<void> }[] = [store];
    try {
      const uploads = await openUploads({
        store,
        clock: input.clock,
        dataDir,
        config: inForce,
        onChanged: (path) => {
          if (service !== undefined) void service.#answering.expire(path);
        },
      });
      opened.push(uploads);
      const set = await buildUpstreamSet({
        config,
        env: input.env,
        instanceId,
        version: input.version,
        dataDir,
        ownAddresses,
        builtIn: builtInSources({
          input,
          store,
          dataDir,
          config,
          registry: uploads.registry,
          onEvent: (event) => {
            if (service !== undefined) service.#history.note(event);
          },
        }),
        ...(input.goEnv === undefined ? {} : { goEnv: input.goEnv }),
      });
      opened.push(set);
      const entrance = await Entrance.open(
        {
          clock: input.clock,
          log: input.log,
          cwd: input.cwd,
          dataDir,
          instanceId,
          config: inForce,
          hasSources: (path) => service !== undefined && service.#mirrors.hasSources(path as ModulePath),
          onPush: onPush({
            store,
            answering: () => (service === undefined ? undefined : service.#answering),
            direct: () => (service === undefined ? undefined : service.#set.direct),
          }),
        },
        uploads.registry,
        set.routes,
        set.outbound,
      );
      opened.push(entrance);
      service = new Service(input, store, set, { entrance, uploads }, { instanceId, dataDir, ownAddresses });
      // From here on it closes its parts itself.
      opened.length = 0;
      try {
        await service.#mirrors.open();
        await service.#listen();
        service.#upkeep.start();
        void service.#entrance.resumeDeliveries();
      } catch (error) {
        await service.#closeParts();
        throw error;
      }
      return { service, started: service.#started() };
    } catch (error) {
      for (const part of opened.toReversed()) await part.close();
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
      builtIn: builtInSources({
        input: this.#input,
        store: this.#store,
        dataDir: this.#dataDir,
        config,
        registry: this.#uploads.registry,
        onEvent: (event) => this.#history.note(event),
      }),
    });
    const admit = await this.#entrance
      .prepare(config, set.routes, set.outbound)
      .catch(async (error: unknown) => {
        await set.close();
        throw error;
      });
    const restartNeededFor = changedFixed(this.#config, config);
    const before = this.#set;
    this.#config = withFixed(this.#config, config);
    this.#set = set;
    admit();
    this.#mirrors.adopt(set);
    this.#prover.adopt(set);
    this.#revision += 1;
    this.#answering.adopt();
    this.#upkeep.adopt();
    this.#input.log.level = config.log.level;
    this.#accessLog.mode = config.log.access;
    await this.#listening?.reloadCertificates();
    for (const warning of [...set.warnings, ...this.#entrance.warnings])
      this.#input.log.warn({ reason: warning }, 'configuration warning');
    this.#retired.add(before);
    this.#history.note(reloadedEvent(this.#revision));
    this.#noteRules({ result: 'ok', data: { revision: this.#revision, restartNeededFor } });
    return { restartNeededFor };
  }

  /** The configuration was not taken; for the history and the audit. */
  noteRefused(reason: string): void {
    this.#history.note(reloadRefusedEvent(reason));
    this.#noteRules({ result: 'refused', reason });
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

  status(): Promise<object> {
    return statusOf({
      store: this.#store,
      mirrors: this.#mirrors,
      answering: this.#answering,
      prover: this.#prover,
      trustedLines: this.#trusted.size,
      config: this.#config,
      facts: {
        version: this.#input.version,
        instance: this.#instanceId,
        startedAt: new Date(this.#startedAtMs).toISOString(),
        revision: this.#revision,
        urls: this.#listening?.urls ?? [],
        draining: this.#readiness.isDraining,
        upstreamOrigin: this.#set.origin,
        accessLinesDropped: this.#accessLog.dropped,
      },
    });
  }

  /** By signal, changed file or admin socket: whoever did it may do what this process may. */
  #noteRules(what: Pick<AuditEntry, 'result' | 'reason' | 'data'>): void {
    this.#entrance.audit.note({ action: 'rules', who: 'local', from: 'local', ...what });
  }

  async #listen(): Promise<void> {
    this.#listening = await listenAs(this.#input.config, this.#input, (request, response) =>
      this.#handler.handle(request, response),
    );
    await this.#openAdmin();
  }

  async #openAdmin(): Promise<void> {
    const { cwd, log, clock } = this.#input;
    const place = { setting: this.#config.adminSocket, cwd, instanceFolder: this.#store.instanceFolder };
    this.#admin = await openAdminSocket(place, log, () =>
      audited(
        {
          ...this.#entrance.actions,
          ...adminActions({
            status: () => this.status(),
            reload: () => this.#input.reload(),
            clock,
            store: this.#store,
            registry: this.#uploads.registry,
            mirrors: this.#mirrors,
            answering: this.#answering,
            prover: this.#prover,
            upkeep: this.#upkeep,
            lastFetches: this.#lastFetches,
          }),
        },
        this.#entrance.audit,
      ),
    );
  }

  #started(): Started {
    const names = this.#set.members.map(({ upstream }) => upstream.name);
    this.#history.note(startedEvent(this.#input.version, names));
    return {
      urls: (this.#listening?.urls ?? []).map((url) =>
        url.startsWith('unix:') ? url : `${url}${this.#config.pathPrefix}`,
      ),
      storeText: this.#store.description,
      downloadFolder: join(this.#dataDir, 'download'),
      upstreamNames: names,
      upstreamOrigin: this.#set.origin,
      end: this.#set.end,
      warnings: [...this.#store.warnings, ...this.#set.warnings, ...this.#entrance.warnings],
    };
  }

  async #stop(): Promise<void> {
    const { drainMs, drainWaitMs } = this.#config.server;
    this.#readiness.isDraining = true;
    if (drainWaitMs > 0) await this.#sleep(drainWaitMs);
    const drained = this.#listening?.drain() ?? Promise.resolve();
    await Promise.race([drained, this.#sleep(drainMs)]);
    this.#listening?.destroy();
    await this.#closeParts();
  }

  async #closeParts(): Promise<void> {
    this.#mirrors.close();
    await this.#upkeep.close();
    await this.#answering.close();
    this.#prover.close();
    await this.#admin?.close();
    await this.#entrance.close();
    await this.#uploads.close();
    await this.#set.close();
    await this.#retired.close();
    this.#history.note(stoppedEvent());
    await this.#history.close();
    this.#metrics.close();
    await this.#store.close();
    await this.#accessLog.flush();
  }

  #controlsChanged(before: Controls, after: Controls): void {
    for (const event of controlEvents(before, after, this.#input.clock.now())) this.#history.note(event);
    if (before.mode !== after.mode) {
      // Ready answers were made under the other mode.
      this.#answering.forgetAnswers();
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((done) => {
      this.#input.clock.setTimeout(done, ms);
    });
  }
}
