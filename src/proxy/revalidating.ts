/**
 * Mutable answers with a freshness (design rule 4): fresh ones are served, stale ones are served and refreshed
 * behind the reply, older ones wait for the refresh, and when sources fail the last known one is served.
 */
import { LRUCache } from 'lru-cache';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { SharedWork } from '../lib/shared-work.ts';

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

export interface RevalidatingDeps<Value> {
  readonly clock: Clock;
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
}

/** The client request behind a fetch: its id and its way here travel on. */
export interface AskOrigin {
  readonly requestId?: string;
  readonly via?: readonly string[];
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
  /** The failure behind `error`. */
  readonly failure?: unknown;
}

interface Slot<Value> {
  known: Known<Value> | undefined;
  work: SharedWork<Known<Value>> | undefined;
  startedAtMs: number;
  failedAtMs: number;
  failure: unknown;
}

/** `no-cache` starts at most one refresh per key in this time (ruling 7). */
const coalesceMs = 5_000;
const sharedFailureMs = 1_000;
/** After a failed refresh the last known answer is served this long without asking again. */
const failurePauseMs = 10_000;

export class Revalidating<Value extends object> {
  readonly #deps: RevalidatingDeps<Value>;
  readonly #slots: LRUCache<string, Slot<Value>>;

  constructor(deps: RevalidatingDeps<Value>) {
    this.#deps = deps;
    this.#slots = new LRUCache({ max: deps.maxEntries });
  }

  /** What is known without asking any source. */
  async peek(key: string): Promise<Known<Value> | undefined> {
    return (await this.#slot(key)).known;
  }

  /** Rejects with the fetch's error when nothing usable is known, or with the signal's reason. */
  async get(key: string, ask: Ask): Promise<Answer<Value>> {
    const { clock } = this.#deps;
    const slot = await this.#slot(key);
    const windows = this.#deps.windows(key);
    const mono = clock.monotonic();
    const joinsRunning = ask.revalidate && slot.work !== undefined;
    if (slot.known !== undefined && !joinsRunning) {
      const ageMs = Math.max(0, clock.now() - slot.known.confirmedAtMs);
      const forced = ask.revalidate && mono - slot.startedAtMs >= coalesceMs;
      if (!forced) {
        if (ageMs < windows.freshMs) return { ...slot.known, state: 'fresh', asked: false };
        const paused = mono - slot.failedAtMs < failurePauseMs;
        if (ageMs < windows.freshMs + windows.staleMs) {
          if (!paused) this.refresh(key);
          return { ...slot.known, state: 'stale', asked: false };
        }
        if (paused && ageMs < windows.errorMs) {
          return { ...slot.known, state: 'error', asked: false, failure: slot.failure };
        }
      }
    }
    // Whoever asks right after a failure shares it: a burst of askers must not become a burst of questions.
    if (slot.known === undefined && slot.work === undefined && mono - slot.failedAtMs < sharedFailureMs) {
      throw slot.failure;
    }
    const work = slot.work ?? this.#start(key, slot, originOf(ask));
    try {
      const known = await work.join(ask.signal);
      return { ...known, state: 'fresh', asked: true };
    } catch (error) {
      if (ask.signal.aborted) throw error;
      const known = slot.known;
      if (
        known !== undefined &&
        clock.now() - known.confirmedAtMs < windows.errorMs &&
        this.#deps.isFinal?.(error) !== true
      ) {
        return { ...known, state: 'error', asked: true, failure: error };
      }
      throw error;
    }
  }

  /** Changes what is known without a new confirmation, e.g. by an answer that came late. Nothing known: no change. */
  amend(key: string, change: (value: Value) => Value): void {
    const slot = this.#slots.get(key);
    if (slot?.known === undefined) return;
    slot.known = { ...slot.known, value: change(slot.known.value) };
    this.#deps.save(key, slot.known);
  }

  /** Starts a refresh behind the scenes unless one is under way, has just failed, or is not needed any more. */
  refresh(key: string): void {
    void this.#slot(key).then((slot) => {
      const { clock } = this.#deps;
      if (slot.work !== undefined || clock.monotonic() - slot.failedAtMs < failurePauseMs) return;
      const ageMs =
        slot.known === undefined ? Number.POSITIVE_INFINITY : clock.now() - slot.known.confirmedAtMs;
      if (ageMs < this.#deps.windows(key).freshMs) return;
      const work = this.#start(key, slot, {});
      void work.join().catch(() => {});
    });
  }

  /** Forgets every key that begins so. */
  forgetAll(prefix: string): void {
    for (const key of this.#slots.keys()) if (key.startsWith(prefix)) this.forget(key);
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
    };
    this.#slots.set(key, slot);
    return slot;
  }

  #start(key: string, slot: Slot<Value>, origin: AskOrigin): SharedWork<Known<Value>> {
    const { clock } = this.#deps;
    slot.startedAtMs = clock.monotonic();
    const work: SharedWork<Known<Value>> = new SharedWork(async (signal) => {
      try {
        const value = await this.#deps.fetch(key, signal, origin);
        const known = { value, confirmedAtMs: clock.now() };
        slot.known = known;
        slot.failedAtMs = Number.NEGATIVE_INFINITY;
        if (this.#slots.get(key) === slot) this.#deps.save(key, known);
        return known;
      } catch (error) {
        if (!signal.aborted) {
          slot.failedAtMs = clock.monotonic();
          slot.failure = error;
        }
        throw error;
      } finally {
        slot.work = undefined;
      }
    });
    slot.work = work;
    return work;
  }
}

function originOf(ask: Ask): AskOrigin {
  return {
    ...(ask.requestId === undefined ? {} : { requestId: ask.requestId }),
    ...(ask.via === undefined ? {} : { via: ask.via }),
  };
}
