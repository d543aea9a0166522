/**
 * Mutable answers with a freshness (design rule 4): fresh ones are served, stale ones are served and refreshed
 * behind the reply, older ones wait a short while for the refresh, and when sources fail, are too slow or cannot be
 * expected to answer at all, the last known one is served. Offline nothing is refreshed.
 */
import { LRUCache } from 'lru-cache';
import { SourcesFailure } from '../ingest/types.ts';
import { raceAbort } from '../lib/abort.ts';
import type { Deadline } from '../lib/deadline.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { Hope, type HopeDeps } from './hope.ts';
import { offlineFailure } from './without-sources.ts';

export interface Known<Value> {
  readonly value: Value;
  /** When a source last confirmed it, wall clock. */
  readonly confirmedAtMs: number;
}

export interface Windows {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly errorMs: number;
}

export interface RevalidatingDeps<Value> extends HopeDeps {
  readonly maxEntries: number;
  windows(key: string): Windows;
  /** From the store, after a restart. */
  load(key: string): Promise<Known<Value> | undefined>;
  /** Asks the sources. Rejects when no source gave an answer. */
  fetch(key: string, signal: AbortSignal, origin: AskOrigin): Promise<Value>;
  /** Keeps a confirmed answer; failures to do so are not the asker's. */
  save(key: string, known: Known<Value>): void;
  /** True for errors after which the last known answer must not be served. */
  isFinal?(error: unknown): boolean;
  /** True: no source may be asked. */
  isOffline(): boolean;
  /** How long an asker waits for a refresh when there is a last known answer. */
  patienceMs(): number;
}

/** The client request behind a fetch: its id and its way here travel on, and until when it is waited for. */
export interface AskOrigin {
  readonly requestId?: string;
  readonly via?: readonly string[];
  /** Of a fetch: the latest of its askers. Default: none. */
  readonly deadlineAtMs?: Deadline | undefined;
}

export interface Ask extends AskOrigin {
  readonly signal: AbortSignal;
  /** `no-cache`. */
  readonly revalidate: boolean;
}

export interface Answer<Value> extends Known<Value> {
  readonly state: 'fresh' | 'stale' | 'error';
  /** True when sources were asked for this very reply. */
  readonly asked: boolean;
  /** The failure behind `error`; undefined while nobody has failed yet. */
  readonly failure?: unknown;
}

/** What is kept under one key, and how the last refresh ended. For who explains it. */
export interface Kept<Value> extends Known<Value> {
  readonly state: 'fresh' | 'stale' | 'error' | 'expired';
  readonly isRefreshing: boolean;
  /** How the last refresh failed; undefined when it did not. */
  readonly failure: unknown;
}

interface Slot<Value> {
  known: Known<Value> | undefined;
  work: SharedWork<Known<Value>> | undefined;
  startedAtMs: number;
  failedAtMs: number;
  failure: unknown;
  /** Somebody who must know has said that what is known is out of date. */
  isOutdated: boolean;
}

/** `no-cache` starts at most one refresh per key in this time (ruling 7). */
const coalesceMs = 5_000;
const sharedFailureMs = 1_000;
/** After a failed refresh the last known answer is served this long without asking again. */
export const failurePauseMs = 10_000;

export class Revalidating<Value extends object> {
  readonly #deps: RevalidatingDeps<Value>;
  readonly #slots: LRUCache<string, Slot<Value>>;
  readonly #hope: Hope;

  constructor(deps: RevalidatingDeps<Value>) {
    this.#deps = deps;
    this.#slots = new LRUCache({ max: deps.maxEntries });
    this.#hope = new Hope(deps);
  }

  /** What is known without asking any source. */
  async peek(key: string): Promise<Known<Value> | undefined> {
    return (await this.#slot(key)).known;
  }

  /** What is known and how good it still is, without asking any source. */
  async inspect(key: string): Promise<Kept<Value> | undefined> {
    const slot = await this.#slot(key);
    if (slot.known === undefined) return undefined;
    const { freshMs, staleMs, errorMs } = this.#deps.windows(key);
    const ageMs = this.#ageMs(slot.known);
    const state =
      ageMs < freshMs ? 'fresh' : ageMs < freshMs + staleMs ? 'stale' : ageMs < errorMs ? 'error' : 'expired';
    return { ...slot.known, state, isRefreshing: running(slot) !== undefined, failure: slot.failure };
  }

  /**
   * Rejects with the fetch's error when nothing usable is known, with SourcesFailure `not_fetched` when that is so
   * offline, or with the signal's reason.
   */
  async get(key: string, ask: Ask): Promise<Answer<Value>> {
    const slot = await this.#slot(key);
    const ready = this.#ready(key, slot, ask);
    if (ready !== undefined) return ready;
    if (this.#deps.isOffline()) throw offlineFailure(key);
    // Whoever asks right after a failure shares it: a burst of askers must not become a burst of questions.
    const sinceFailureMs = this.#deps.clock.monotonic() - slot.failedAtMs;
    if (slot.known === undefined && running(slot) === undefined && sinceFailureMs < sharedFailureMs) {
      throw slot.failure;
    }
    const work = running(slot) ?? this.#start(key, slot, originOf(ask));
    try {
      const known = await this.#joined(key, slot, work, ask);
      if (known === 'late') return { ...lastOf(slot), asked: true };
      return { ...known, state: 'fresh', asked: true };
    } catch (error) {
      if (ask.signal.aborted) throw error;
      if (!this.#isUsable(key, slot) || this.#deps.isFinal?.(error) === true) throw error;
      return { ...lastOf(slot), asked: true, failure: error };
    }
  }

  /** Changes what is known without a new confirmation, e.g. by an answer that came late. Nothing known: no change. */
  amend(key: string, change: (value: Value) => Value): void {
    const slot = this.#slots.get(key);
    if (slot?.known === undefined) return;
    slot.known = { ...slot.known, value: change(slot.known.value) };
    this.#deps.save(key, slot.known);
  }

  /** Starts a refresh behind the scenes unless offline, or one is under way, has just failed, or is not needed. */
  refresh(key: string): void {
    if (this.#deps.isOffline()) return;
    void this.#slot(key).then((slot) => {
      if (slot.known !== undefined && this.#ageMs(slot.known) < this.#deps.windows(key).freshMs) return;
      this.#renew(key, slot);
    });
  }

  /**
   * What is known is out of date: whoever asks next waits for the sources, and gets it only when they fail. A refresh
   * that began before does not count.
   */
  async expire(key: string): Promise<void> {
    const slot = await this.#slot(key);
    if (this.#slots.get(key) !== slot) return;
    const never = Number.NEGATIVE_INFINITY;
    // Whoever waits for a refresh under way still gets its answer.
    this.#slots.set(key, {
      ...slot,
      work: undefined,
      startedAtMs: never,
      failedAtMs: never,
      failure: undefined,
      isOutdated: true,
    });
  }

  /** The same for every key in memory that begins so. */
  async expireAll(prefix: string): Promise<void> {
    const keys = Array.from(this.#slots.keys()).filter((key) => key.startsWith(prefix));
    for (const key of keys) await this.expire(key);
  }

  /** Forgets every key that begins so. */
  forgetAll(prefix: string): void {
    for (const key of this.#slots.keys()) if (key.startsWith(prefix)) this.forget(key);
  }

  /** Forgets in memory what is meant; what is kept on disk is read again. Refreshes under way end for those who wait. */
  clear(isMeant: (key: string) => boolean): void {
    for (const key of Array.from(this.#slots.keys()).filter(isMeant)) this.#slots.delete(key);
  }

  forget(key: string): void {
    this.#slots
      .get(key)
      ?.work?.cancel(new SourcesFailure('cancelled', 'the module was purged meanwhile; ask again'));
    this.#slots.delete(key);
  }

  async #slot(key: string): Promise<Slot<Value>> {
    const present = this.#slots.get(key);
    if (present !== undefined) return present;
    // What is kept can be asked for again: unreadable is the same as unknown.
    const known = await this.#deps.load(key).catch(() => undefined);
    const again = this.#slots.get(key);
    if (again !== undefined) return again;
    const never = Number.NEGATIVE_INFINITY;
    const slot: Slot<Value> = {
      known,
      work: undefined,
      startedAtMs: never,
      failedAtMs: never,
      failure: undefined,
      isOutdated: false,
    };
    this.#slots.set(key, slot);
    return slot;
  }

  /** What can be answered without waiting. */
  #ready(key: string, slot: Slot<Value>, ask: Ask): Answer<Value> | undefined {
    const { known } = slot;
    if (known === undefined) return undefined;
    const { freshMs, staleMs } = this.#deps.windows(key);
    const mono = this.#deps.clock.monotonic();
    const ageMs = this.#ageMs(known);
    const joinsRunning = ask.revalidate && running(slot) !== undefined;
    const forced = ask.revalidate && mono - slot.startedAtMs >= coalesceMs;
    const isWanted = joinsRunning || forced;
    if ((!isWanted && !slot.isOutdated) || this.#deps.isOffline()) {
      if (ageMs < freshMs) return { ...known, state: 'fresh', asked: false };
      if (ageMs < freshMs + staleMs) {
        this.#renew(key, slot);
        return { ...known, state: 'stale', asked: false };
      }
    }
    if (!this.#isUsable(key, slot)) return undefined;
    const isPaused = !isWanted && mono - slot.failedAtMs < failurePauseMs;
    // A refresh that has outlasted one asker's patience is not waited for by the next.
    const isLate = running(slot) !== undefined && mono - slot.startedAtMs >= this.#deps.patienceMs();
    if (!isPaused && !isLate && this.#hope.isThere(key) && !this.#deps.isOffline()) return undefined;
    this.#renew(key, slot);
    return { ...lastOf(slot), asked: false };
  }

  /** The refresh's result, or `late` when patience ends first: the refresh then goes on behind the reply. */
  async #joined(
    key: string,
    slot: Slot<Value>,
    work: SharedWork<Known<Value>>,
    ask: Ask,
  ): Promise<Known<Value> | 'late'> {
    if (!this.#isUsable(key, slot)) return work.join(ask.signal, ask.deadlineAtMs);
    const { clock } = this.#deps;
    work.join().catch(() => {});
    const late = Promise.withResolvers<'late'>();
    const leftMs = slot.startedAtMs + this.#deps.patienceMs() - clock.monotonic();
    const timer = clock.setTimeout(() => {
      this.#hope.lost(key);
      late.resolve('late');
    }, leftMs);
    try {
      return await raceAbort(Promise.race([work.promise, late.promise]), ask.signal);
    } finally {
      timer.cancel();
    }
  }

  #renew(key: string, slot: Slot<Value>): void {
    if (this.#deps.isOffline() || running(slot) !== undefined) return;
    if (this.#deps.clock.monotonic() - slot.failedAtMs < failurePauseMs) return;
    if (!this.#hope.takeTrial(key)) return;
    this.#start(key, slot, {})
      .join()
      .catch(() => {});
  }

  #ageMs(known: Known<Value>): number {
    return Math.max(0, this.#deps.clock.now() - known.confirmedAtMs);
  }

  /** True while the last known answer may be served although sources fail. */
  #isUsable(key: string, slot: Slot<Value>): boolean {
    return slot.known !== undefined && this.#ageMs(slot.known) < this.#deps.windows(key).errorMs;
  }

  #start(key: string, slot: Slot<Value>, origin: AskOrigin): SharedWork<Known<Value>> {
    const { clock } = this.#deps;
    slot.startedAtMs = clock.monotonic();
    const work: SharedWork<Known<Value>> = new SharedWork(async (signal, deadlineAtMs) => {
      try {
        const value = await this.#deps.fetch(key, signal, { ...origin, deadlineAtMs });
        const known = { value, confirmedAtMs: clock.now() };
        this.#hope.regained(key);
        slot.known = known;
        slot.isOutdated = false;
        slot.failedAtMs = Number.NEGATIVE_INFINITY;
        slot.failure = undefined;
        if (this.#slots.get(key) === slot) this.#deps.save(key, known);
        return known;
      } catch (error) {
        if (!signal.aborted) {
          // An absence is an answer: the sources were reached.
          if (error instanceof SourcesFailure && error.isAbsence) this.#hope.regained(key);
          // That these askers had no time left tells nothing to the next.
          if (!(error instanceof SourcesFailure && error.isTooLate)) {
            slot.failedAtMs = clock.monotonic();
            slot.failure = error;
          }
        }
        throw error;
      } finally {
        if (slot.work === work) slot.work = undefined;
      }
    });
    slot.work = work;
    return work;
  }
}

/** The refresh under way; one that was cancelled may still be coming to its end, and must not be joined. */
function running<Value>({ work }: Slot<Value>): SharedWork<Known<Value>> | undefined {
  return work?.cancelled === true ? undefined : work;
}

function lastOf<Value>(slot: Slot<Value>): Known<Value> & { state: 'error'; failure: unknown } {
  if (slot.known === undefined) throw new TypeError('nothing is known');
  return { ...slot.known, state: 'error', failure: slot.failure };
}

function originOf(ask: Ask): AskOrigin {
  return {
    ...(ask.requestId === undefined ? {} : { requestId: ask.requestId }),
    ...(ask.via === undefined ? {} : { via: ask.via }),
  };
}
