/**
 * Values that cost a question, such as tokens: asked for once by all who need one at the same time, kept as long as
 * they hold, and had anew when one was refused.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { SharedWork } from '../../lib/shared-work.ts';
import { VcsError } from '../types.ts';

/** A value with how long it may be used. */
export interface Holding<Value> {
  readonly value: Value;
  readonly forMs: number;
}

export interface KeptOptions {
  readonly clock: Clock;
  /** So many values at most; the one unused for longest goes first. */
  readonly max: number;
}

export interface Want {
  /** The kept value was refused. */
  readonly isRetry: boolean;
  readonly signal: AbortSignal;
}

interface Slot<Value> {
  readonly result: { readonly value: Value } | { readonly error: VcsError };
  /** Monotonic. */
  readonly untilMs: number;
  /** Monotonic: when it was last had anew because of a refusal. */
  readonly retriedAtMs: number;
}

/** Values that are refused again and again must not become a storm of questions. */
const retryEveryMs = 5_000;
/** Likewise for questions that fail. */
const failureForMs = 5_000;

export class Kept<Value> {
  readonly #clock: Clock;
  readonly #slots: LRUCache<string, Slot<Value>>;
  readonly #running = new Map<string, SharedWork<Value>>();

  constructor(options: KeptOptions) {
    this.#clock = options.clock;
    this.#slots = new LRUCache({ max: options.max });
  }

  /** The value, made by `make` where none is kept. Rejects with what `make` rejects with, or the signal's reason. */
  async get(key: string, want: Want, make: (signal: AbortSignal) => Promise<Holding<Value>>): Promise<Value> {
    const nowMs = this.#clock.monotonic();
    const slot = this.#slots.get(key);
    const retriedAtMs = slot?.retriedAtMs ?? Number.NEGATIVE_INFINITY;
    const isRetry = want.isRetry && nowMs - retriedAtMs >= retryEveryMs;
    if (slot !== undefined && !isRetry && nowMs < slot.untilMs) return valueOf(slot);
    let work = this.#running.get(key);
    if (work === undefined || work.cancelled) {
      work = this.#start(key, isRetry ? nowMs : retriedAtMs, make);
    }
    return await work.join(want.signal);
  }

  #start(
    key: string,
    retriedAtMs: number,
    make: (signal: AbortSignal) => Promise<Holding<Value>>,
  ): SharedWork<Value> {
    const work = new SharedWork<Value>(async (signal) => {
      try {
        const { value, forMs } = await make(signal);
        this.#keep(key, { value }, forMs, retriedAtMs);
        return value;
      } catch (error) {
        if (error instanceof VcsError && !signal.aborted)
          this.#keep(key, { error }, failureForMs, retriedAtMs);
        throw error;
      }
    });
    this.#running.set(key, work);
    const end = (): void => {
      if (this.#running.get(key) === work) this.#running.delete(key);
    };
    work.promise.then(end, end);
    return work;
  }

  #keep(key: string, result: Slot<Value>['result'], forMs: number, retriedAtMs: number): void {
    this.#slots.set(key, { result, untilMs: this.#clock.monotonic() + forMs, retriedAtMs });
  }
}

function valueOf<Value>({ result }: Slot<Value>): Value {
  if ('error' in result) throw result.error;
  return result.value;
}
