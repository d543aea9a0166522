/**
 * The upstreams of the snapshot in force, watched: their records, which outlive a reload, the planner over them, the
 * prober, and what operators ordered. Everybody who asks an upstream gets the plan from here.
 */
import type { Config } from '../config/snapshot.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Explained } from '../health/plan/explained.ts';
import { latencyBoundMs } from '../health/plan/latency-bound.ts';
import { Planner, type PlanRequest } from '../health/plan/planner.ts';
import type { Candidate } from '../health/plan/standing.ts';
import type { ProbeTarget } from '../health/probe/probe.ts';
import { type ProbeResult, Prober } from '../health/probe/prober.ts';
import { UpstreamRecord } from '../health/record/upstream-record.ts';
import { WatchedUpstream } from '../health/record/watched-upstream.ts';
import type { Controls, HealthEvents, HealthOptions, UpstreamFigures } from '../health/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { EventBus } from '../lib/event-bus.ts';
import type { Route } from '../route/types.ts';
import type { Plan } from '../upstream/plan.ts';
import type { AnswerClass, Upstream } from '../upstream/types.ts';
import { ControlsFile } from './controls-file.ts';
import { DatabaseAddresses } from './database-addresses.ts';
import type { UpstreamMember, UpstreamSet } from './upstream-set.ts';

export interface MirrorsDeps {
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly events: EventBus<HealthEvents>;
  /** Absolute: where orders are kept. */
  readonly dataDir: string;
  config(): Config;
  /** After each change of what operators ordered, by whomever, and when a mode has ended by itself. */
  onControls(before: Controls, after: Controls): void;
}

/** One upstream of the set in force. */
interface Watched {
  readonly member: UpstreamMember;
  readonly record: UpstreamRecord;
  readonly upstream: WatchedUpstream;
  readonly candidate: Candidate;
  readonly target: ProbeTarget;
}

/** Behind every level that an upstream can have. */
const lastLevel = 10;
/** Ruling 19: a repository that is cloned for the first time may take minutes. */
const directHopeMs = 600_000;
/** Records of upstreams that left the configuration are kept this many, for when they come back. */
const maxRecords = 200;

export class Mirrors {
  readonly #deps: MirrorsDeps;
  readonly #planner: Planner;
  readonly #databaseAddresses: DatabaseAddresses;
  readonly #prober: Prober;
  readonly #controlsFile: ControlsFile;
  readonly #records = new Map<string, UpstreamRecord>();
  readonly #unsubscribe: () => void;
  #set: UpstreamSet;
  #watched: readonly Watched[] = [];
  /** The repositories themselves; undefined: they are off. */
  #direct: Candidate | undefined;
  /** Who may be asked, by name of the route. */
  #sources: ReadonlyMap<string, readonly Candidate[]> = new Map();
  #options: HealthOptions;
  #optionsOf: Config;

  constructor(deps: MirrorsDeps, set: UpstreamSet) {
    this.#deps = deps;
    this.#set = set;
    this.#optionsOf = deps.config();
    this.#options = healthOptions(this.#optionsOf);
    this.#controlsFile = new ControlsFile(deps.dataDir, deps.clock, (before, after) =>
      deps.onControls(before, after),
    );
    this.#planner = new Planner({
      clock: deps.clock,
      random: deps.random,
      events: deps.events,
      options: () => this.#healthOptions(),
      controls: () => this.controls,
    });
    this.#databaseAddresses = new DatabaseAddresses({
      clock: deps.clock,
      random: deps.random,
      events: deps.events,
      options: () => this.#healthOptions(),
      controls: () => this.controls,
    });
    this.#prober = new Prober({
      clock: deps.clock,
      random: deps.random,
      events: deps.events,
      options: () => this.#healthOptions().probe,
      targets: () => this.#watched.map(({ target }) => target),
      isPaused: () => this.isOffline(),
    });
    this.#unsubscribe = deps.events.on('state', ({ upstream, to }) => {
      if (to === 'suspect') this.#prober.poke(upstream);
    });
    this.adopt(set);
  }

  /** Reads what was ordered before, and begins to probe. */
  async open(): Promise<void> {
    await this.#controlsFile.open();
    this.#prober.start();
  }

  close(): void {
    this.#unsubscribe();
    this.#prober.stop();
    this.#controlsFile.close();
  }

  /** A reload: upstreams that stay keep what is known of them. */
  adopt(set: UpstreamSet): void {
    this.#set = set;
    this.#watched = set.members.map((member) => this.#watch(member));
    const { routes } = set.routes;
    const builtIn = set.builtIn.map((upstream) => this.#unwatched(upstream));
    this.#direct = builtIn.find(({ upstream }) => upstream.name === 'direct');
    this.#sources = new Map(routes.map((route) => [route.name, this.#sourcesOf(route, builtIn)]));
    this.#planner.keepRoutes(new Set(routes.map(({ name }) => name)));
    const known = new Set(this.#watched.map(({ record }) => record));
    for (const [key, record] of this.#records) {
      if (this.#records.size <= maxRecords) break;
      if (!known.has(record)) this.#records.delete(key);
    }
  }

  get controls(): Controls {
    return this.#controlsFile.current;
  }

  isOffline(): boolean {
    return this.controls.mode === 'offline';
  }

  hasSources(path: ModulePath): boolean {
    return this.#candidates(this.#set.routes.of(path)).length > 0;
  }

  /** False: every source of this module (none: of public ones) is out, rests, or has an open breaker. */
  mayAnswer(path: ModulePath | undefined): boolean {
    return !this.#planner.unavailableFor(this.#candidates(this.#routeOf(path)));
  }

  /** Without a path: for what belongs to no module, such as a checksum database. */
  plan(path: ModulePath | undefined, answerClass: AnswerClass, isBackground = false): Plan {
    if (!isBackground) this.#prober.noteTraffic();
    return this.#planner.plan(this.#request(path, answerClass, isBackground));
  }

  /** To an own address of a checksum database. */
  directPlan(address: Upstream): Plan {
    return this.#databaseAddresses.plan(address);
  }

  /** Whom a request would ask now. Changes nothing. */
  explain(path: ModulePath, answerClass: AnswerClass): { route: string; sources: Explained[] } {
    const request = this.#request(path, answerClass, false);
    return { route: this.#routeOf(path).name, sources: this.#planner.explain(request) };
  }

  figures(): UpstreamFigures[] {
    const { takenOut, pinned } = this.controls;
    const routes = [...this.#sources].flatMap(([name, sources]) => (sources.length > 0 ? [name] : []));
    return this.#watched.map(({ member, record, upstream }) =>
      record.figures({
        url: member.url,
        isPrivate: upstream.isPrivate,
        level: member.level,
        weight: member.weight,
        queued: member.upstream.queued ?? 0,
        isTakenOut: takenOut.includes(record.name),
        isPinned: pinned === record.name,
        favouriteOf: routes.filter((route) => this.#planner.favourite(route) === record.name),
        isModferry: upstream.parent !== undefined,
      }),
    );
  }

  /** Rejects with ModferryError `bad_order`, or `controls_file` when it holds for this process only. */
  async order(order: Readonly<Record<string, unknown>>): Promise<Controls> {
    if (order['mode'] === 'direct' && this.#direct === undefined) {
      const message = 'mode direct needs repositories, and direct.enabled is false in the configuration';
      throw new ModferryError('bad_order', message);
    }
    return this.#controlsFile.order(
      order,
      this.#watched.map(({ record }) => record.name),
    );
  }

  /** One upstream or all: breakers closed, suspicion and pauses forgotten. Returns how many. */
  clear(name: string | undefined): number {
    const chosen = this.#watched.filter(({ record }) => name === undefined || record.name === name);
    if (name !== undefined && chosen.length === 0) {
      const names = this.#watched.map(({ record }) => record.name).join(', ');
      throw new ModferryError('unknown_upstream', `there is no upstream "${name}"; there are: ${names}`);
    }
    for (const { record } of chosen) record.clear();
    return chosen.length;
  }

  probeNow(name: string | undefined): Promise<ProbeResult[]> {
    return this.#prober.probeNow(name);
  }

  #request(path: ModulePath | undefined, answerClass: AnswerClass, isBackground: boolean): PlanRequest {
    const route = this.#routeOf(path);
    // A checksum database is asked through upstreams in every mode; repositories know nothing of it.
    const upstreams =
      path === undefined ? this.#watched.map(({ candidate }) => candidate) : this.#candidates(route);
    return {
      route: route.isPrivate ? 'private' : 'public',
      routeName: route.name,
      upstreams,
      answerClass,
      isBackground,
      ...(upstreams.some(({ upstream }) => upstream.name === 'direct') ? { lastHopeMs: directHopeMs } : {}),
      ...(path === undefined ? {} : { modulePath: path }),
    };
  }

  /** What belongs to no module goes the way of everything that no route names. */
  #routeOf(path: ModulePath | undefined): Route {
    const { routes } = this.#set;
    return path === undefined ? routes.last : routes.of(path);
  }

  #candidates(route: Route): readonly Candidate[] {
    const sources = this.#sources.get(route.name) ?? [];
    if (this.controls.mode !== 'direct' || this.#direct === undefined) return sources;
    // A private route that does not name its repositories keeps its own sources: the order is about mirrors.
    const isMeant = !route.isPrivate || sources.some(({ upstream }) => upstream.name === 'direct');
    return isMeant ? [this.#direct] : sources;
  }

  /** In the order of the route; those that a route does not name in the order of the configuration. */
  #sourcesOf(route: Route, builtIn: readonly Candidate[]): readonly Candidate[] {
    const upstreams = this.#watched.map(({ candidate }) => candidate);
    if (route.sources === undefined) {
      if (route.isPrivate) return upstreams.filter(({ upstream }) => upstream.isPrivate);
      if (this.#direct === undefined || !this.#set.endsDirect) return upstreams;
      // As `,direct` in GOPROXY: when nobody has it.
      return [...upstreams, { ...this.#direct, level: lastLevel, isLastResort: true }];
    }
    const allowed = [...upstreams, ...builtIn].filter(
      ({ upstream }) => !route.isPrivate || upstream.isPrivate,
    );
    const named = route.sources.flatMap(
      (name) => allowed.find(({ upstream }) => upstream.name === name) ?? [],
    );
    // A repository is not cloned because a mirror before it is slow.
    const first = named.findIndex((candidate) => upstreams.includes(candidate));
    return named.map((candidate, place) =>
      first >= 0 && place > first && candidate.upstream.name === 'direct'
        ? { ...candidate, isLastResort: true }
        : candidate,
    );
  }

  /** A source that stands for many hosts, or for none: one of them that fails says nothing of the others. */
  #unwatched(upstream: Upstream): Candidate {
    const { clock, random } = this.#deps;
    const health = new UpstreamRecord({
      name: upstream.name,
      clock,
      random,
      events: new EventBus(),
      options: () => this.#healthOptions(),
      latencyBoundMs: () => undefined,
    });
    return { upstream, health, level: 1, weight: 100, isProbed: true };
  }

  #watch(member: UpstreamMember): Watched {
    const { clock, events } = this.#deps;
    const { upstream: inner } = member;
    const record = this.#recordOf(member);
    const upstream = new WatchedUpstream({
      inner,
      health: record,
      clock,
      events,
      isOffline: () => this.isOffline(),
      isAskedAnyway: () => this.controls.pinned === inner.name || this.controls.isFrozen,
    });
    const candidate: Candidate = {
      upstream,
      health: record,
      level: member.level,
      weight: member.weight,
      get isModferry() {
        return upstream.parent !== undefined;
      },
      get isProbed() {
        return target.probe !== 'off';
      },
      get failoverMs() {
        return upstream.parent?.failoverMs;
      },
    };
    const isProbing = (): boolean => this.#deps.config().health.probe.isEnabled;
    const takenOut = (): readonly string[] => this.controls.takenOut;
    const target: ProbeTarget = {
      name: inner.name,
      upstream: inner,
      get probe() {
        if (takenOut().includes(inner.name)) return 'off';
        // One that has a probe of its own wants it.
        return member.probe ?? (isProbing() ? undefined : 'off');
      },
      isModferry: () => inner.parent !== undefined,
      // The inner one remembers it by itself.
      noteParent: () => {},
      health: record,
    };
    return { member, record, upstream, candidate, target };
  }

  #recordOf(member: UpstreamMember): UpstreamRecord {
    const { name } = member.upstream;
    const key = `${name} ${member.url}`;
    let record = this.#records.get(key);
    if (record === undefined) {
      record = new UpstreamRecord({
        name,
        clock: this.#deps.clock,
        random: this.#deps.random,
        events: this.#deps.events,
        options: () => this.#healthOptions(),
        latencyBoundMs: () => this.#latencyBoundMs(),
        beatenIsSuspectAfterMs: () => Math.max(1_000, this.#latencyBoundMs() ?? 0),
        onDoubt: () => this.#prober.poke(name),
      });
      this.#records.set(key, record);
    }
    return record;
  }

  #latencyBoundMs(): number | undefined {
    return latencyBoundMs(
      this.#watched.map(({ record }) => record),
      this.#healthOptions(),
    );
  }

  #healthOptions(): HealthOptions {
    const config = this.#deps.config();
    if (config !== this.#optionsOf) {
      this.#optionsOf = config;
      this.#options = healthOptions(config);
    }
    return this.#options;
  }
}

export function healthOptions(config: Config): HealthOptions {
  const { health, breaker, retry, hedge, timeouts, strategy } = config;
  return {
    ...health,
    breaker,
    retry,
    hedge,
    strategy,
    firstByteMs: timeouts.firstByteMs,
    firstByteFloorMs: timeouts.firstByteFloorMs,
    lastHopeMs: timeouts.lastHopeMs,
  };
}
