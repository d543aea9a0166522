/**
 * A miss: finds or starts the one fill of an artifact, and publishes what was verified. Who may ask what of whom
 * is decided above (`proxy/`); how to reach a source is decided below (`upstream/`).
 */

import type { HashedKey, Judge } from '../checksums/types.ts';
import { escapePath } from '../gomod/module-path.ts';
import type { ArtifactKey, ModulePath } from '../gomod/types.ts';
import { escapeVersion } from '../gomod/version.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadline } from '../lib/deadline.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { Store } from '../store/store.ts';
import type { Plan } from '../upstream/plan.ts';
import type { AnswerClass } from '../upstream/types.ts';
import { Walk } from '../upstream/walk.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipStreamCheck } from '../zip/zip-stream-check.ts';
import type { ZipTarget } from '../zip/zip-types.ts';
import { Admission } from './admission.ts';
import type { Follower } from './follower.ts';
import { PassThrough } from './pass-through.ts';
import { planWithout } from './plan-without.ts';
import { provenJudge } from './proven-judge.ts';
import { Proving } from './proving.ts';
import { Publisher } from './publisher.ts';
import { openSafeSink } from './safe-sink.ts';
import { MemoryBudget } from './sink.ts';
import { fetchSmall, type SmallFile, type SmallKey } from './small-fill.ts';
import { failureOf } from './source-failure.ts';
import { type IngestEvents, type IngestOptions, SourcesFailure } from './types.ts';
import { ZipFill } from './zip-fill.ts';

export interface IngestDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly verifier: ZipVerifier;
  /** What .mod and .zip must be. */
  readonly judge: Judge;
  readonly events: EventBus<IngestEvents>;
  options(): IngestOptions;
  /** How a request for this module goes over the sources; private names see private sources only (ruling 3). */
  plan(path: ModulePath, answerClass: AnswerClass, isBackground: boolean): Plan;
  isPrivate(path: ModulePath): boolean;
  /** Stored, or listed by any source before (ruling 1). */
  knownToExist(key: ArtifactKey): Promise<boolean>;
  /** A line for the client when every source said absent, e.g. that `direct` is its own next entry (ruling 4). */
  absenceHint(path: ModulePath): string | undefined;
  readonly shareInMemoryBytes: number;
}

/** Who asks: its request id travels upstream, its priority orders the queue. */
export interface Asker {
  readonly signal: AbortSignal;
  readonly requestId?: string;
  readonly background?: boolean;
  readonly via?: readonly string[];
  /** Sources are told the latest of all askers of a fill. None once the first bytes are there. Default: none. */
  readonly deadlineAtMs?: Deadline | undefined;
}

/** Asked when only look-ahead wants a zip and its length is known (undefined: not declared). */
export type AcceptZip = (declaredBytes: number | undefined) => boolean;

export class Ingest {
  readonly #deps: IngestDeps;
  readonly #small = new Map<string, SharedWork<SmallFile | 'stored'>>();
  readonly #zips = new Map<string, ZipFill>();
  /** Those that a client waits for: what began as look-ahead is then fetched whatever its size. */
  readonly #realAskers = new WeakSet<ZipFill>();
  readonly #admission: Admission;
  #joins = 0;
  readonly #memory: MemoryBudget;
  readonly #publisher: Publisher;
  readonly #unsubscribe: () => void;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#admission = new Admission(deps);
    this.#memory = new MemoryBudget(deps.options().passThroughMemoryBytes);
    this.#publisher = new Publisher(deps.store, deps.events);
    this.#unsubscribe = deps.store.onPurge(({ path, version, ext }) => {
      // One file was taken out because it was bad: a fill under way is what brings a good one.
      if (ext === undefined) this.cancelMatching(path, version);
    });
  }

  /** Fills of client requests that wait for their place. */
  get waiting(): number {
    return this.#admission.waiting;
  }

  /** How many askers found the fill they wanted under way, since the start. */
  get joins(): number {
    return this.#joins;
  }

  get activeFills(): number {
    return this.#small.size + this.#zips.size;
  }

  isFilling(key: ArtifactKey): boolean {
    const name = nameOf(key);
    return this.#small.has(name) || this.#zips.has(name);
  }

  /**
   * The .info or .mod of a canonical version, fetched and verified. `stored`: another process published it
   * meanwhile. Rejects with SourcesFailure, or the asker's abort reason.
   */
  async small(key: SmallKey, asker: Asker): Promise<SmallFile | 'stored'> {
    const name = nameOf(key);
    let work = this.#small.get(name);
    if (work === undefined || work.cancelled) {
      const started: SharedWork<SmallFile | 'stored'> = new SharedWork((signal, deadlineAtMs) =>
        this.#fillSmall(key, signal, { ...asker, deadlineAtMs }, () => {
          if (this.#small.get(name) === started) this.#small.delete(name);
        }),
      );
      work = started;
      this.#small.set(name, started);
    } else {
      this.#joins += 1;
    }
    return work.join(asker.signal, asker.deadlineAtMs);
  }

  /** A follower of the zip's fill, which starts if there is none. Leave it exactly once. */
  zip(key: ArtifactKey, asker: Asker, accept: AcceptZip = () => true): Follower {
    const name = nameOf(key);
    let fill = this.#zips.get(name);
    if (fill === undefined || fill.cancelled) {
      const started: ZipFill = this.#startZip(
        key,
        asker,
        (bytes) => this.#realAskers.has(started) || accept(bytes),
      );
      fill = started;
      this.#zips.set(name, started);
      void started.settled.then(() => {
        if (this.#zips.get(name) === started) this.#zips.delete(name);
      });
    } else {
      this.#joins += 1;
    }
    if (asker.background !== true) this.#realAskers.add(fill);
    return fill.join(asker.deadlineAtMs);
  }

  /**
   * The zip for one client only, proven while it passes, when neither disk nor memory can take it (ruling 15).
   * Resolves when its first bytes may be sent. Close it exactly once. Rejects with SourcesFailure.
   */
  async passThrough(key: ArtifactKey, asker: Asker): Promise<PassThrough> {
    const options = this.#deps.options();
    const { limits, tailBytes } = options;
    const release = await this.#admission.slot(key.path, asker.signal, asker.background === true);
    const { clock, events } = this.#deps;
    const startedAtMs = clock.monotonic();
    const walk = this.#openWalk(key, asker.signal, asker);
    const proving = this.#openProving({ ...key, ext: 'zip' }, asker.signal, asker);
    const body = new PassThrough({
      walk,
      clock,
      pace: options,
      tailBytes,
      limitBytes: limits.zipBytes,
      newJudge: (answer) =>
        provenJudge(
          new ZipStreamCheck({
            path: key.path,
            version: key.version,
            limits: { zipBytes: limits.zipBytes, inflatedBytes: limits.inflatedBytes },
          }),
          proving,
          answer,
        ),
      failure: async () => proving.verdict(walk.outcomes) ?? (await this.#failure(key, walk)),
      onRefused: (source, reason) => events.emit('refused', { key, source, reason }),
      onClose: () => {
        release();
        proving.close();
        const source = body.isProven ? body.source : undefined;
        const tookMs = clock.monotonic() - startedAtMs;
        events.emit('fetched', { key, source, outcomes: walk.outcomes, tookMs });
      },
    });
    try {
      await body.open();
      return body;
    } catch (error) {
      body.close();
      throw error;
    }
  }

  cancelMatching(path: ModulePath, version?: string): void {
    const prefix = version === undefined ? `${path}@` : `${path}@${version}.`;
    const reason = new Error('purged');
    // Out of the maps as well: what is verified and being published can no longer be cancelled, but must not be
    // joined by who asks after the purge.
    for (const [name, work] of this.#small) {
      if (!name.startsWith(prefix)) continue;
      work.cancel(reason);
      this.#small.delete(name);
    }
    for (const [name, fill] of this.#zips) {
      if (!name.startsWith(prefix)) continue;
      fill.cancel(reason);
      this.#zips.delete(name);
    }
  }

  /** Waits for publications under way, then stops what is left. For the drain at shutdown. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#publisher.idle();
    const reason = new Error('modferry is stopping');
    for (const work of this.#small.values()) work.cancel(reason);
    for (const fill of this.#zips.values()) fill.cancel(reason);
    await Promise.allSettled([...this.#zips.values()].map((fill) => fill.settled));
  }

  async #fillSmall(
    key: SmallKey,
    signal: AbortSignal,
    asker: Asker,
    done: () => void,
  ): Promise<SmallFile | 'stored'> {
    let handedOver = false;
    let release: (() => void) | undefined;
    let releaseClaim: (() => Promise<void>) | undefined;
    try {
      release = await this.#admission.slot(key.path, signal, asker.background === true);
      const claim = await this.#admission.claim(key, signal);
      if (claim === 'stored') return 'stored';
      releaseClaim = claim;
      const { clock, events } = this.#deps;
      const file = await fetchSmall({
        key,
        proving:
          key.ext === 'mod'
            ? this.#openProving({ ...key, ext: 'mod' }, signal, asker, () => release?.())
            : undefined,
        walk: this.#openWalk(key, signal, asker),
        signal,
        clock,
        options: this.#deps.options(),
        failure: (walk) => this.#failure(key, walk),
        onRefused: (source, reason) => events.emit('refused', { key, source, reason }),
        onFetched: (event) => events.emit('fetched', { key, ...event }),
      });
      signal.throwIfAborted();
      handedOver = true;
      const onPublished = async (): Promise<void> => {
        release?.();
        done();
        await releaseClaim?.().catch(() => {});
      };
      void this.#publisher.small(key, file, asker.background === true, onPublished);
      return file;
    } catch (error) {
      if (!signal.aborted || error instanceof SourcesFailure) throw error;
      throw new SourcesFailure('cancelled', `the fetch was stopped: ${messageOf(signal.reason)}`);
    } finally {
      if (!handedOver) {
        release?.();
        done();
        await releaseClaim?.().catch(() => {});
      }
    }
  }

  #startZip(key: ArtifactKey, asker: Asker, accept: AcceptZip): ZipFill {
    const { store, verifier, clock, events } = this.#deps;
    const options = this.#deps.options();
    let release: (() => void) | undefined;
    let releaseClaim: (() => Promise<void>) | undefined;
    const target: ZipTarget = {
      path: key.path,
      version: key.version,
      limits: { zipBytes: options.limits.zipBytes, inflatedBytes: options.limits.inflatedBytes },
    };
    const deadlineAtMs: Deadline = () => fill.deadlineAtMs;
    const fill = new ZipFill(key, {
      clock,
      options,
      shareInMemoryBytes: this.#deps.shareInMemoryBytes,
      openWalk: (signal, without) => this.#openWalk(key, signal, { ...asker, deadlineAtMs }, without),
      claim: async (signal) => {
        release = await this.#admission.slot(key.path, signal, asker.background === true);
        const claim = await this.#admission.claim(key, signal);
        if (claim === 'stored') return 'stored';
        releaseClaim = claim;
        return 'ours';
      },
      accept,
      openSink: (capacityBytes) =>
        openSafeSink({
          store,
          key,
          capacityBytes,
          budget: this.#memory,
          onDiskFull: (reason) => events.emit('passedThrough', { key, reason }),
        }),
      verify: (input, signal) => verifier.verify({ ...input, ...target, extraRules: 'report', signal }),
      openStream: (staged) => verifier.openStream(target, staged),
      openProving: (signal) =>
        this.#openProving({ ...key, ext: 'zip' }, signal, { ...asker, deadlineAtMs }, () => release?.()),
      publish: (sink, zip) => this.#publisher.zip(key, sink, zip, asker.background === true),
      failure: (walk) => this.#failure(key, walk),
      onRefused: (source, reason) => events.emit('refused', { key, source, reason }),
      onTakeOver: (event) => events.emit('takeOver', { key, ...event }),
      onFetched: (event) => events.emit('fetched', { key, ...event }),
    });
    void fill.settled.then(async () => {
      release?.();
      await releaseClaim?.().catch(() => {});
    });
    return fill;
  }

  #openWalk(key: ArtifactKey, signal: AbortSignal, asker: Asker, without?: ReadonlySet<string>): Walk {
    const answerClass = key.ext === 'zip' ? 'zip' : 'meta';
    const plan = this.#deps.plan(key.path, answerClass, asker.background === true);
    return new Walk({
      plan: without === undefined ? plan : planWithout(plan, without),
      // Every source of a private module must have its say (ruling 1).
      isKnown: async () => this.#deps.isPrivate(key.path) || (await this.#deps.knownToExist(key)),
      modulePath: key.path,
      target: targetOf(key),
      answerClass,
      signal,
      clock: this.#deps.clock,
      priority: asker.background === true ? 'low' : 'normal',
      ...(asker.requestId === undefined ? {} : { requestId: asker.requestId }),
      ...(asker.via === undefined ? {} : { via: asker.via }),
      deadlineAtMs: asker.deadlineAtMs,
    });
  }

  /** `onWaiting`: gives back the place among the fetches, for nothing is fetched any more. */
  #openProving(key: HashedKey, signal: AbortSignal, asker: Asker, onWaiting?: () => void): Proving {
    const { judge, clock, events, store } = this.#deps;
    const { requestId, via, deadlineAtMs } = asker;
    return new Proving(
      { key, judge, clock, events, quarantine: store.quarantine, ...(onWaiting && { onWaiting }) },
      { signal, requestId, via, deadlineAtMs },
    );
  }

  async #failure(key: ArtifactKey, { outcomes }: Pick<Walk, 'outcomes'>): Promise<SourcesFailure> {
    return failureOf(outcomes, {
      path: key.path,
      knownToExist: await this.#deps.knownToExist(key),
      isPrivate: this.#deps.isPrivate(key.path),
      hint: this.#deps.absenceHint(key.path),
      what: `${key.path}@${key.version}.${key.ext}`,
    });
  }
}

export function targetOf(key: ArtifactKey): string {
  return `/${escapePath(key.path)}/@v/${escapeVersion(key.version)}.${key.ext}`;
}

export function nameOf(key: ArtifactKey): string {
  return `${key.path}@${key.version}.${key.ext}`;
}
