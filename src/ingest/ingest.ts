/**
 * A miss: finds or starts the one fill of an artifact, and publishes what was verified. Who may ask what of whom
 * is decided above (`proxy/`); how to reach a source is decided below (`upstream/`).
 */
import { createHash } from 'node:crypto';
import { checkInfo, checkMod } from '../gomod/info-file.ts';
import { escapePath } from '../gomod/module-path.ts';
import type { ArtifactKey, ModulePath } from '../gomod/types.ts';
import { escapeVersion } from '../gomod/version.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { Semaphore } from '../lib/semaphore.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { PublishFacts, Store } from '../store/store.ts';
import type { Plan } from '../upstream/plan.ts';
import { readBody } from '../upstream/read-body.ts';
import { type AnswerClass, type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import { verdict, Walk } from '../upstream/walk.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipStreamCheck } from '../zip/zip-stream-check.ts';
import { goModHash } from './go-mod-hash.ts';
import { PassThrough } from './pass-through.ts';
import { isDiskFull, openSafeSink } from './safe-sink.ts';
import { MemoryBudget, type Sink } from './sink.ts';
import { type IngestEvents, type IngestOptions, SourcesFailure } from './types.ts';
import { type Follower, type VerifiedZip, ZipFill } from './zip-fill.ts';

export interface IngestDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly verifier: ZipVerifier;
  readonly events: EventBus<IngestEvents>;
  options(): IngestOptions;
  /** How a request for this module goes over the sources; private names see private sources only (ruling 3). */
  plan(path: ModulePath, answerClass: AnswerClass): Plan;
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
}

/** A verified .info or .mod, perhaps not published yet. */
export interface SmallFile {
  readonly body: Buffer;
  readonly sha256: string;
  readonly source: string;
  readonly verifiedAtMs: number;
}

type SmallKey = ArtifactKey & { ext: 'info' | 'mod' };

/** Asked when only look-ahead wants a zip and its length is known (undefined: not declared). */
export type AcceptZip = (declaredBytes: number | undefined) => boolean;

export class Ingest {
  readonly #deps: IngestDeps;
  readonly #small = new Map<string, SharedWork<SmallFile | 'stored'>>();
  readonly #zips = new Map<string, ZipFill>();
  readonly #slots: Semaphore;
  readonly #memory: MemoryBudget;
  readonly #publishing = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    const options = deps.options();
    this.#slots = new Semaphore(options.concurrency, options.concurrency * 4);
    this.#memory = new MemoryBudget(options.passThroughMemoryBytes);
    this.#unsubscribe = deps.store.onPurge((event) => this.cancelMatching(event.path, event.version));
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
      const started: SharedWork<SmallFile | 'stored'> = new SharedWork((signal) =>
        this.#fillSmall(key, signal, asker, () => {
          if (this.#small.get(name) === started) this.#small.delete(name);
        }),
      );
      work = started;
      this.#small.set(name, started);
    }
    return work.join(asker.signal);
  }

  /** A follower of the zip's fill, which starts if there is none. Leave it exactly once. */
  zip(key: ArtifactKey, asker: Asker, accept: AcceptZip = () => true): Follower {
    const name = nameOf(key);
    let fill = this.#zips.get(name);
    if (fill === undefined || fill.cancelled) {
      const started = this.#startZip(key, asker, (bytes) => this.#realAskers.has(name) || accept(bytes));
      fill = started;
      this.#zips.set(name, started);
      void started.settled.then(() => {
        if (this.#zips.get(name) === started) {
          this.#zips.delete(name);
          this.#realAskers.delete(name);
        }
      });
    }
    if (asker.background !== true) this.#realAskers.add(name);
    return fill.join();
  }

  /**
   * The zip for one client only, proven while it passes, when neither disk nor memory can take it (ruling 15).
   * Resolves when its first bytes may be sent. Close it exactly once. Rejects with SourcesFailure.
   */
  async passThrough(key: ArtifactKey, asker: Asker): Promise<PassThrough> {
    const { limits, tailBytes } = this.#deps.options();
    const release = await this.#slot(asker.signal, asker);
    const body = new PassThrough({
      walk: this.#openWalk(key, asker.signal, asker),
      tailBytes,
      limitBytes: limits.zipBytes,
      newJudge: () =>
        new ZipStreamCheck({
          path: key.path,
          version: key.version,
          limits: { zipBytes: limits.zipBytes, inflatedBytes: limits.inflatedBytes },
        }),
      failure: (walk) => this.#failure(key, walk),
      onRefused: (source, reason) => this.#deps.events.emit('refused', { key, source, reason }),
      onClose: release,
    });
    try {
      await body.open();
      return body;
    } catch (error) {
      body.close();
      throw error;
    }
  }

  /** Zips that a client waits for: what began as look-ahead is then fetched whatever its size. */
  readonly #realAskers = new Set<string>();

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
    while (this.#publishing.size > 0) await Promise.all(this.#publishing);
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
      release = await this.#slot(signal, asker);
      const claim = await this.#claim(key, signal);
      if (claim === 'stored') return 'stored';
      releaseClaim = claim;
      const file = await this.#fetchSmall(key, signal, asker);
      signal.throwIfAborted();
      handedOver = true;
      const publishing = this.#publishSmall(key, file, asker).then(async () => {
        this.#publishing.delete(publishing);
        release?.();
        done();
        await releaseClaim?.().catch(() => {});
      });
      this.#publishing.add(publishing);
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

  async #fetchSmall(key: SmallKey, signal: AbortSignal, asker: Asker): Promise<SmallFile> {
    const { limits } = this.#deps.options();
    const walk = this.#openWalk(key, signal, asker);
    try {
      for (;;) {
        const answer = await walk.next();
        if (answer === undefined) throw await this.#failure(key, walk);
        try {
          const limitBytes = key.ext === 'info' ? limits.infoBytes : limits.modBytes;
          const body = await this.#readSmall(answer, limitBytes);
          if (key.ext === 'info') checkInfo(key.path, key.version, body);
          else checkMod(body);
          return {
            body,
            sha256: createHash('sha256').update(body).digest('hex'),
            source: answer.upstream,
            verifiedAtMs: this.#deps.clock.now(),
          };
        } catch (error) {
          if (signal.aborted) throw error;
          const reason = messageOf(error);
          walk.refuse(answer, error instanceof UpstreamError ? error.code : 'refused', reason);
          this.#deps.events.emit('refused', { key, source: answer.upstream, reason });
        }
      }
    } catch (error) {
      if (error instanceof SourcesFailure) throw error;
      if (signal.aborted) throw new SourcesFailure('cancelled', 'the fetch was stopped', walk.outcomes);
      throw error;
    } finally {
      walk.close();
    }
  }

  /** A small body has one deadline: a source that drips must not hold a slot for days (ruling 19 means big ones). */
  async #readSmall(answer: UpstreamAnswer, limitBytes: number): Promise<Buffer> {
    let late = false;
    const timer = this.#deps.clock.setTimeout(() => {
      late = true;
      answer.cancel();
    }, this.#deps.options().lastHopeMs);
    try {
      return await readBody(answer, limitBytes);
    } catch (error) {
      if (!late) throw error;
      throw new UpstreamError(answer.upstream, 'timeout', 'its answer did not end in time');
    } finally {
      timer.cancel();
    }
  }

  async #publishSmall(key: SmallKey, file: SmallFile, asker: Asker): Promise<void> {
    const { store } = this.#deps;
    let staged: Awaited<ReturnType<Store['stage']>> | undefined;
    try {
      staged = await store.stage(key);
      await staged.write([file.body]);
      const facts: PublishFacts = {
        sha256: file.sha256,
        source: file.source,
        ...(key.ext === 'mod' ? { h1: goModHash(file.body) } : {}),
      };
      this.#report(key, await staged.publish(facts), file.source, file.body.length, asker);
    } catch (error) {
      this.#publishFailed(key, error);
    } finally {
      await staged?.close();
    }
  }

  #report(
    key: ArtifactKey,
    result: Awaited<ReturnType<Awaited<ReturnType<Store['stage']>>['publish']>>,
    source: string,
    sizeBytes: number,
    asker: Asker,
  ): void {
    const { events } = this.#deps;
    if (result.outcome === 'conflict') {
      events.emit('conflict', {
        key,
        storedSha256: result.record.sha256,
        offeredSha256: result.offered,
        source,
      });
    } else {
      events.emit('published', { key, sizeBytes, source, byLookAhead: asker.background === true });
    }
  }

  #publishFailed(key: ArtifactKey, error: unknown): void {
    const code = error instanceof ModferryError ? error.code : (errnoOf(error) ?? 'unknown');
    if (code === 'purged') {
      this.#deps.events.emit('withheld', { key });
      return;
    }
    const message = messageOf(error);
    if (isDiskFull(error)) this.#deps.events.emit('passedThrough', { key, reason: message });
    else this.#deps.events.emit('publishFailed', { key, code, message });
  }

  #startZip(key: ArtifactKey, asker: Asker, accept: AcceptZip): ZipFill {
    const { store, verifier, clock, events } = this.#deps;
    const options = this.#deps.options();
    let release: (() => void) | undefined;
    let releaseClaim: (() => Promise<void>) | undefined;
    const fill = new ZipFill(key, {
      clock,
      options,
      shareInMemoryBytes: this.#deps.shareInMemoryBytes,
      openWalk: (signal) => this.#openWalk(key, signal, asker),
      claim: async (signal) => {
        release = await this.#slot(signal, asker);
        const claim = await this.#claim(key, signal);
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
      verify: (input, signal) =>
        verifier.verify({
          ...input,
          path: key.path,
          version: key.version,
          limits: {
            zipBytes: options.limits.zipBytes,
            inflatedBytes: options.limits.inflatedBytes,
          },
          signal,
        }),
      publish: (sink, zip) => this.#publishZip(key, sink, zip, asker),
      failure: (walk) => this.#failure(key, walk),
      onRefused: (source, reason) => events.emit('refused', { key, source, reason }),
    });
    void fill.settled.then(async () => {
      release?.();
      await releaseClaim?.().catch(() => {});
    });
    return fill;
  }

  async #publishZip(key: ArtifactKey, sink: Sink, zip: VerifiedZip, asker: Asker): Promise<void> {
    const staged = sink.staged;
    if (staged === undefined) return;
    const publishing = staged
      .publish({ sha256: zip.sha256, h1: zip.h1, source: zip.source })
      .then((result) => this.#report(key, result, zip.source, zip.sizeBytes, asker))
      .catch((error: unknown) => this.#publishFailed(key, error))
      .finally(() => this.#publishing.delete(publishing));
    this.#publishing.add(publishing);
    await publishing;
  }

  async #slot(signal: AbortSignal, asker: Asker): Promise<() => void> {
    // Look-ahead bounds itself. In this queue a client that joins its fill would wait behind all other clients.
    if (asker.background === true) return () => {};
    const patience = new AbortController();
    const timer = this.#deps.clock.setTimeout(() => patience.abort(), this.#deps.options().lastHopeMs);
    let release: (() => void) | undefined;
    try {
      const either = AbortSignal.any([signal, patience.signal]);
      release = await this.#slots.acquire(either);
    } catch (error) {
      if (!patience.signal.aborted || signal.aborted) throw error;
    } finally {
      timer.cancel();
    }
    if (release === undefined) {
      throw new SourcesFailure('overload', 'too many fetches are waiting; ask again in a few seconds');
    }
    return release;
  }

  /** Resolves to the claim's release, or `stored` when another process finished the fill. */
  async #claim(key: ArtifactKey, signal: AbortSignal): Promise<(() => Promise<void>) | 'stored'> {
    for (;;) {
      let claim: Awaited<ReturnType<Store['claim']>>;
      try {
        claim = await this.#deps.store.claim(key);
      } catch {
        // The claim only saves work: without it (full disk, read-only folder) we may fetch twice.
        return async () => {};
      }
      if (claim.holder === 'us') {
        // The holder before us may have published between our look in the store and our claim.
        if (!(await this.#isStored(key))) return claim.release.bind(claim);
        await claim.release();
        return 'stored';
      }
      if ((await claim.wait(signal)) === 'published') return 'stored';
    }
  }

  /** Whole, not just there: a rotten file is what this fill may heal. */
  async #isStored(key: ArtifactKey): Promise<boolean> {
    const file = await this.#deps.store.open(key).catch(() => undefined);
    await file?.close();
    return file !== undefined;
  }

  #openWalk(key: ArtifactKey, signal: AbortSignal, asker: Asker): Walk {
    const answerClass = key.ext === 'zip' ? 'zip' : 'meta';
    return new Walk({
      plan: this.#deps.plan(key.path, answerClass),
      modulePath: key.path,
      target: targetOf(key),
      answerClass,
      signal,
      clock: this.#deps.clock,
      priority: asker.background === true ? 'low' : 'normal',
      ...(asker.requestId === undefined ? {} : { requestId: asker.requestId }),
      ...(asker.via === undefined ? {} : { via: asker.via }),
    });
  }

  async #failure(key: ArtifactKey, walk: Walk): Promise<SourcesFailure> {
    return failureOf(walk.outcomes, {
      path: key.path,
      knownToExist: await this.#deps.knownToExist(key),
      isPrivate: this.#deps.isPrivate(key.path),
      hint: this.#deps.absenceHint(key.path),
      what: `${key.path}@${key.version}.${key.ext}`,
    });
  }
}

/** The failure that the outcomes of one walk amount to (ruling 1). */
export function failureOf(
  outcomes: Walk['outcomes'],
  facts: {
    path: ModulePath;
    knownToExist: boolean;
    isPrivate: boolean;
    hint: string | undefined;
    what: string;
  },
): SourcesFailure {
  const { kind, partial } = verdict(outcomes, {
    knownToExist: facts.knownToExist,
    isPrivate: facts.isPrivate,
  });
  if (outcomes.some((outcome) => outcome.code === 'loop') && kind !== 'absent' && kind !== 'gone') {
    return new SourcesFailure('loop', 'an upstream leads back to this server', outcomes);
  }
  const text =
    kind === 'absent' || kind === 'gone'
      ? `${facts.what}: not found${facts.hint === undefined ? '' : ` (${facts.hint})`}`
      : `${facts.what}: no source could answer`;
  return new SourcesFailure(kind, text, outcomes, { partial });
}

export function targetOf(key: ArtifactKey): string {
  return `/${escapePath(key.path)}/@v/${escapeVersion(key.version)}.${key.ext}`;
}

export function nameOf(key: ArtifactKey): string {
  return `${key.path}@${key.version}.${key.ext}`;
}
