/**
 * The scrub: goes through the whole store in the background, again and again, at a pace that hits do not feel. What it
 * finds is treated by `treatment.ts`; here is only when it runs, and where it goes on.
 */
import type { Judge } from '../checksums/types.ts';
import type { ModulePath } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import { sleep } from '../lib/sleep.ts';
import type { Store } from '../store/store.ts';
import { toStoreError } from '../store/store-error.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ArtifactCheck, type ArtifactPaths } from './artifact-check.ts';
import { FileHasher, type Hasher } from './file-hasher.ts';
import type { Heal } from './heal.ts';
import { isWithinHours } from './hours.ts';
import { Pace } from './pace.ts';
import { PassKeeper } from './pass-keeper.ts';
import { Repair } from './repair.ts';
import { versionsAfter } from './resume.ts';
import { artifactCostBytes, Treatment, type TreatmentDeps } from './treatment.ts';
import type {
  ScrubCounts,
  ScrubEvents,
  ScrubOptions,
  ScrubPass,
  ScrubProgress,
  ScrubReport,
  ScrubState,
} from './types.ts';

export interface ScrubDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'versions' | 'withdraw' | 'renew' | 'setTrust'>;
  readonly paths: ArtifactPaths;
  /** Its own one: the scrub must not stand before a client's zip. */
  readonly zips: Pick<ZipVerifier, 'verify'>;
  readonly state: ScrubState;
  /** Names this process among those on the folder. */
  readonly instance: string;
  readonly events: EventBus<ScrubEvents>;
  /** Undefined: nothing is proven afterwards. */
  readonly judge?: Judge | undefined;
  /** Undefined: what is withdrawn stays in quarantine. */
  readonly heal?: Heal | undefined;
  /** Looked up each time, so that a reload holds at once. */
  options(): ScrubOptions;
  /** Default: a thread of its own. */
  readonly hasher?: (Hasher & { close(): Promise<void> }) | undefined;
}

export interface RunOptions {
  /** Hashes the tree of every zip as well. Default false. */
  readonly deep?: boolean;
  /** `sumdb`: asks what every .mod and .zip must be, proven before or not. Default `records`. */
  readonly against?: 'records' | 'sumdb';
  /** Of this module and those below it. Default: everything. */
  readonly under?: ModulePath | undefined;
  /** Withdraws and heals what is bad. Default false: it is only told. */
  readonly repair?: boolean;
  /** Bytes per second. Default 0: as fast as it goes. */
  readonly rateBytes?: number;
  /** Expectations asked in a second; 0: as fast as they come. Default 0. */
  readonly lookupsPerSecond?: number;
  /** Called after each version. */
  readonly onProgress?: (counts: ScrubCounts) => void;
  readonly signal: AbortSignal;
}

/** `waiting`: until the next pass is due; `paused`: in a pass, outside its hours; `elsewhere`: another process runs it. */
export type ScrubPhase = 'stopped' | 'waiting' | 'running' | 'paused' | 'elsewhere';

export interface ScrubStatus {
  readonly phase: ScrubPhase;
  /** Of the pass under way in this process. */
  readonly counts: ScrubCounts | undefined;
}

const defaultFirstAfterMs = 600_000;
const defaultLookupsPerSecond = 5;
/** How often hours, reloads and other processes are looked at while there is nothing to do. */
const lookMs = 60_000;
const othersMs = 15_000;
const afterFailureMs = 600_000;

export class Scrub {
  readonly #deps: ScrubDeps;
  readonly #hasher: Hasher & { close(): Promise<void> };
  readonly #treatment: TreatmentDeps;
  readonly #keeper: PassKeeper;
  #running: AbortController | undefined;
  /** The end of the last loop that was begun, also of one that was stopped since. */
  #ending: Promise<void> = Promise.resolve();
  #isOrdered = false;
  /** That nothing can be written was told, and nothing could be since. */
  #isRefusalTold = false;
  #wake = new AbortController();
  #phase: ScrubPhase = 'stopped';
  #current: Treatment | undefined;

  constructor(deps: ScrubDeps) {
    this.#deps = deps;
    this.#hasher = deps.hasher ?? new FileHasher();
    this.#treatment = {
      ...deps,
      check: new ArtifactCheck({ ...deps, hasher: this.#hasher }),
      repair: new Repair(deps),
    };
    this.#keeper = new PassKeeper({
      ...deps,
      onBeat: (counts) => deps.events.emit('progress', counts),
    });
  }

  get status(): ScrubStatus {
    return { phase: this.#phase, counts: this.#current?.counts };
  }

  /** Runs in the background from now on. Idempotent. */
  start(): void {
    if (this.#running !== undefined) return;
    const controller = new AbortController();
    // One that was stopped may still be giving its right up.
    this.#ending = this.#ending
      .then(() => this.#loop(controller.signal))
      .catch((error: unknown) => {
        if (!controller.signal.aborted) this.#deps.events.emit('failed', { reason: messageOf(error) });
      })
      .finally(() => {
        this.#phase = 'stopped';
      });
    this.#running = controller;
  }

  /** An operator's order: a pass begins now, or the one under way goes on, whatever the hours. Starts when stopped. */
  startNow(): void {
    this.#isOrdered = true;
    this.#isRefusalTold = false;
    this.start();
    this.#wake.abort();
  }

  /** Stops after the block it is at; where it was is kept. Resolves when it has stopped. Idempotent. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#isOrdered = false;
    running?.abort(new Error('the scrub was stopped'));
    await this.#ending;
  }

  /** Stops for good. */
  async close(): Promise<void> {
    await this.stop();
    await this.#hasher.close();
  }

  /**
   * One check now, beside whatever runs in the background, told by the same events. Rejects with StoreError, or the
   * signal's reason.
   */
  async runOnce(options: RunOptions): Promise<ScrubReport> {
    const { clock, store, events } = this.#deps;
    const { deep = false, against = 'records', repair = false, signal } = options;
    const pace = new Pace(clock, options.rateBytes ?? 0);
    const treatment = new Treatment(this.#treatment, {
      deep,
      against,
      isRepairing: repair,
      signal,
      pace: () => pace,
      lookups: new Pace(clock, options.lookupsPerSecond ?? 0),
    });
    const startedAtMs = clock.monotonic();
    events.emit('started', { resumed: false });
    for await (const entry of store.versions(options.under)) {
      signal.throwIfAborted();
      await treatment.version(entry);
      options.onProgress?.(treatment.counts);
    }
    const report = { ...treatment.counts, tookMs: Math.round(clock.monotonic() - startedAtMs) };
    events.emit('finished', report);
    return report;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { state } = this.#deps;
    this.#phase = 'waiting';
    await this.#nap(this.#deps.options().firstAfterMs ?? defaultFirstAfterMs, signal);
    for (;;) {
      signal.throwIfAborted();
      let isElsewhere: boolean;
      try {
        isElsewhere = await this.#once(signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#isOrdered = false;
        this.#tellFailure(error);
        this.#phase = 'waiting';
        await this.#nap(afterFailureMs, signal);
        continue;
      }
      const progress = await state.read().catch(() => ({}));
      await this.#nap(isElsewhere ? othersMs : this.#untilDueMs(progress), signal);
    }
  }

  /** A folder that can only be read stays so for long: once is enough, until an order or a pass that began. */
  #tellFailure(error: unknown): void {
    const { code, message } = toStoreError(error, 'write the progress of the scrub');
    if (code !== 'read_only') {
      this.#deps.events.emit('failed', { reason: messageOf(error) });
      return;
    }
    if (!this.#isRefusalTold) this.#deps.events.emit('failed', { reason: `nothing is scrubbed: ${message}` });
    this.#isRefusalTold = true;
  }

  /**
   * One pass, or none when it is not the time or not ours. Resolves to whether another process runs it. Rejects when
   * the store cannot be walked.
   */
  async #once(signal: AbortSignal): Promise<boolean> {
    this.#phase = 'waiting';
    if (!this.#isAllowed()) return false;
    const pass = new AbortController();
    const claimed = await this.#keeper.claim(
      (progress) => this.#isOrdered || this.#untilDueMs(progress) === 0,
      () => pass.abort(new Error('another process goes on with the scrub')),
    );
    if (claimed === undefined) {
      const { holder } = await this.#deps.state.read();
      if (holder !== undefined) this.#phase = 'elsewhere';
      return holder !== undefined;
    }
    this.#isRefusalTold = false;
    const both = AbortSignal.any([signal, pass.signal]);
    try {
      await this.#pass(claimed, both);
      return false;
    } catch (error) {
      await this.#keeper.release().catch(() => {});
      if (!pass.signal.aborted) throw error;
      this.#phase = 'elsewhere';
      return true;
    } finally {
      this.#current = undefined;
    }
  }

  async #pass(
    { pass, isResumed }: { readonly pass: ScrubPass; readonly isResumed: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, store, events } = this.#deps;
    const pace = this.#livePace();
    const treatment = new Treatment(
      this.#treatment,
      {
        deep: false,
        against: 'records',
        isRepairing: true,
        signal,
        pace,
        lookups: new Pace(clock, this.#deps.options().lookupsPerSecond ?? defaultLookupsPerSecond),
        gate: () => this.#untilAllowed(signal),
      },
      pass.counts,
    );
    this.#current = treatment;
    this.#phase = 'running';
    events.emit('started', { resumed: isResumed });
    const skipped = (): Promise<void> => pace().take(artifactCostBytes, signal);
    for await (const entry of versionsAfter(store, pass.cursor, skipped)) {
      await treatment.version(entry);
      await this.#keeper.advance({ path: entry.path, version: entry.version }, treatment.counts);
      signal.throwIfAborted();
    }
    const report = { ...treatment.counts, tookMs: Math.max(0, clock.now() - pass.startedAtMs) };
    this.#isOrdered = false;
    await this.#keeper.finish(report);
    events.emit('finished', report);
    this.#phase = 'waiting';
  }

  /** The rate in force, through reloads. */
  #livePace(): () => Pace {
    let rateBytes = this.#deps.options().rateBytes;
    let pace = new Pace(this.#deps.clock, rateBytes);
    return () => {
      const wanted = this.#deps.options().rateBytes;
      if (wanted !== rateBytes) {
        rateBytes = wanted;
        pace = new Pace(this.#deps.clock, rateBytes);
      }
      return pace;
    };
  }

  #isAllowed(): boolean {
    return this.#isOrdered || isWithinHours(this.#deps.options().hours, this.#deps.clock.now());
  }

  async #untilAllowed(signal: AbortSignal): Promise<void> {
    if (this.#isAllowed()) return;
    this.#phase = 'paused';
    // In short naps rather than one long one: clocks are put on and back.
    while (!this.#isAllowed()) await this.#nap(lookMs, signal);
    this.#phase = 'running';
  }

  /** 0: now. Never longer than one look. */
  #untilDueMs({ pass, last }: ScrubProgress): number {
    if (!this.#isAllowed()) return lookMs;
    if (pass !== undefined || last === undefined) return 0;
    const now = this.#deps.clock.now();
    const sinceMs = now - last.finishedAtMs;
    // In the future by more than clocks differ: nobody knows when it was.
    if (sinceMs < -lookMs) return 0;
    return Math.min(lookMs, Math.max(0, this.#deps.options().everyMs - sinceMs));
  }

  /** Sleeps, at most until an order comes. Rejects with the signal's reason. */
  async #nap(delayMs: number, signal: AbortSignal): Promise<void> {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    if (this.#isOrdered && this.#phase !== 'elsewhere') return;
    await sleep(this.#deps.clock, Math.max(1, delayMs), AbortSignal.any([signal, this.#wake.signal])).catch(
      () => signal.throwIfAborted(),
    );
  }
}
