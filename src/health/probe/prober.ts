/**
 * Probes every upstream in turn, so that its health is known before a request has to find out: often while it is ill,
 * seldom while nobody asks anything of modferry. One timer for all; one probe at a time for each.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import type { EventBus } from '../../lib/event-bus.ts';
import { UpstreamError, type UpstreamErrorCode } from '../../upstream/types.ts';
import type { HealthEvents, HealthOptions } from '../types.ts';
import { type ProbeTarget, probeOnce, questionFor } from './probe.ts';

export interface ProberDeps {
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly events: EventBus<HealthEvents>;
  options(): HealthOptions['probe'];
  /** Read in each round: a reload may add and remove some. Names are unique. */
  targets(): readonly ProbeTarget[];
  /** True in offline mode, when nothing may be dialled. */
  isPaused(): boolean;
}

/** What one probe found, for who asked for it by hand. */
export interface ProbeResult {
  readonly name: string;
  /** `ok`, `absent` and `gone` are good; `skipped`: it was not asked. */
  readonly code: UpstreamErrorCode | 'ok';
  /** To the status line; of a failure: until it was clear. */
  readonly tookMs: number;
  /** Empty when good. */
  readonly message: string;
}

interface Entry {
  /** Monotonic; undefined before its first probe. */
  startedAtMs: number | undefined;
  /** Monotonic: a probe wanted at this time, whatever the interval. */
  wantedAtMs: number | undefined;
  /** Drawn with each probe, so that many modferries do not ask in step: 0.8 to 1.2. */
  stretch: number;
  running: { readonly controller: AbortController; readonly result: Promise<ProbeResult> } | undefined;
}

/** The first probes are spread over this time. */
const spreadMs = 100;
/** Without a client's miss for this long modferry is idle. */
const idleAfterMs = 60_000;
/** A poked upstream is probed at most once in this time. */
const pokeEveryMs = 1_000;
/** New targets, the end of a pause, and whatever changes by time alone are noticed within this. */
const maxSleepMs = 1_000;

export class Prober {
  readonly #deps: ProberDeps;
  readonly #entries = new Map<string, Entry>();
  #timer: Timer | undefined;
  #isStarted = false;
  #isStopped = false;
  #trafficAtMs: number;

  constructor(deps: ProberDeps) {
    this.#deps = deps;
    this.#trafficAtMs = deps.clock.monotonic();
  }

  /** Begins with a probe of each upstream. Idempotent; not after `stop`. */
  start(): void {
    if (this.#isStarted || this.#isStopped) return;
    this.#isStarted = true;
    this.#trafficAtMs = this.#deps.clock.monotonic();
    this.#round();
  }

  /** Gives up probes under way, which then tell nothing; no timer is left. Idempotent and final. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const [name, { running }] of this.#entries) {
      running?.controller.abort(new UpstreamError(name, 'aborted', 'modferry is stopping'));
    }
    this.#entries.clear();
  }

  /** A client asked for something that was not stored. Cheap. */
  noteTraffic(): void {
    this.#trafficAtMs = this.#deps.clock.monotonic();
  }

  /** This upstream has just become suspect: it is probed at once, at most once a second. */
  poke(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || this.#isStopped) return;
    const now = this.#deps.clock.monotonic();
    const soonest = Math.max(now, (entry.startedAtMs ?? Number.NEGATIVE_INFINITY) + pokeEveryMs);
    entry.wantedAtMs = Math.min(entry.wantedAtMs ?? soonest, soonest);
    this.#arm();
  }

  /**
   * Probes all upstreams, or one, now, also while it rests, and resolves to what was found. A probe already under
   * way is joined. Throws ModferryError `unknown_upstream`.
   */
  async probeNow(name?: string): Promise<ProbeResult[]> {
    const all = this.#deps.targets();
    const targets = name === undefined ? all : all.filter((target) => target.name === name);
    if (name !== undefined && targets.length === 0) {
      const names = all.map((target) => target.name).join(', ');
      throw new ModferryError('unknown_upstream', `no upstream is called "${name}"; there are: ${names}`);
    }
    return Promise.all(targets.map((target) => this.#probeByHand(target)));
  }

  async #probeByHand(target: ProbeTarget): Promise<ProbeResult> {
    const why = this.#skipReason(target);
    if (why !== undefined) return { name: target.name, code: 'skipped', tookMs: 0, message: why };
    const entry = this.#entryOf(target.name);
    return entry.running?.result ?? this.#begin(entry, target);
  }

  #skipReason(target: ProbeTarget): string | undefined {
    if (this.#isStopped) return 'modferry is stopping';
    if (this.#deps.isPaused()) return 'offline mode: nothing is asked';
    return target.probe === 'off' ? 'it is not probed: taken out, or probes are off' : undefined;
  }

  #round(): void {
    const targets = this.#deps.targets();
    const names = new Set(targets.map(({ name }) => name));
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name);
    const now = this.#deps.clock.monotonic();
    const mayAsk = !this.#deps.isPaused();
    for (const target of targets) {
      target.health.tick();
      const entry = this.#entryOf(target.name);
      if (mayAsk && entry.running === undefined && this.#dueAtMs(entry, target) <= now) {
        void this.#begin(entry, target);
      }
    }
    this.#arm();
  }

  /** Sets the one timer to what comes next. */
  #arm(): void {
    if (!this.#isStarted || this.#isStopped) return;
    this.#timer?.cancel();
    const now = this.#deps.clock.monotonic();
    let sleepMs = maxSleepMs;
    if (!this.#deps.isPaused()) {
      for (const target of this.#deps.targets()) {
        const entry = this.#entryOf(target.name);
        if (entry.running !== undefined) continue;
        sleepMs = Math.min(sleepMs, Math.max(0, this.#dueAtMs(entry, target) - now));
      }
    }
    this.#timer = this.#deps.clock.setTimeout(() => this.#round(), sleepMs);
  }

  /** Monotonic; infinite for what is never probed. */
  #dueAtMs(entry: Entry, { probe, health }: ProbeTarget): number {
    if (probe === 'off') return Number.POSITIVE_INFINITY;
    const { startedAtMs, wantedAtMs = Number.POSITIVE_INFINITY, stretch } = entry;
    const regularAtMs =
      startedAtMs === undefined ? Number.POSITIVE_INFINITY : startedAtMs + this.#everyMs(health) * stretch;
    // It asked for a pause: probes keep to that too.
    return Math.max(Math.min(wantedAtMs, regularAtMs), health.restUntilMs ?? 0);
  }

  #everyMs({ state, breaker }: ProbeTarget['health']): number {
    const { everyMs, idleEveryMs, outEveryMs } = this.#deps.options();
    if (state === 'suspect' || state === 'out' || breaker !== 'closed') return outEveryMs;
    return this.#deps.clock.monotonic() - this.#trafficAtMs >= idleAfterMs ? idleEveryMs : everyMs;
  }

  #entryOf(name: string): Entry {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      const { clock, random } = this.#deps;
      entry = {
        startedAtMs: undefined,
        wantedAtMs: clock.monotonic() + random() * spreadMs,
        stretch: 1,
        running: undefined,
      };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  #begin(entry: Entry, target: ProbeTarget): Promise<ProbeResult> {
    const { clock, random } = this.#deps;
    entry.startedAtMs = clock.monotonic();
    entry.wantedAtMs = undefined;
    entry.stretch = 0.8 + 0.4 * random();
    const controller = new AbortController();
    const result = this.#probe(entry, target, controller);
    entry.running = { controller, result };
    return result;
  }

  async #probe(entry: Entry, target: ProbeTarget, controller: AbortController): Promise<ProbeResult> {
    const { clock, events } = this.#deps;
    const { timeoutMs, ...general } = this.#deps.options();
    const question = questionFor(target, general);
    const seen = await probeOnce(target, question, { clock, timeoutMs, controller });
    entry.running = undefined;
    const { code, tookMs, message = '' } = seen;
    const result = { name: target.name, code, tookMs, message };
    if (this.#isStopped) return result;
    const { parent } = target.upstream;
    if (parent !== undefined) target.noteParent?.(parent);
    target.health.observe(seen);
    events.emit('probe', { upstream: target.name, code, tookMs, message });
    // What it just turned out to be is asked in its own way, not only after a whole interval.
    const isNewParent = !question.isReadiness && questionFor(target, general).isReadiness;
    if (isNewParent) entry.wantedAtMs = clock.monotonic();
    this.#arm();
    return result;
  }
}
