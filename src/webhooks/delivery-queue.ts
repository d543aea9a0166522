/**
 * Acts on pushes behind the answers to their forges: those of one repository one after another, a few repositories at
 * once, and never more waiting than the queue holds.
 */
import { raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Delivery, DeliveryRecord, DeliveryResult } from './delivery.ts';
import type { Push } from './types.ts';

/** Acts on a push. What it rejects with becomes a `failed` result. The signal ends with the service, or when it is late. */
export type OnPush = (push: Push, delivery: Delivery, signal: AbortSignal) => Promise<DeliveryResult>;

export interface DeliveryQueueOptions {
  readonly clock: Clock;
  readonly onPush: OnPush;
  /** Told of every delivery when it is done. Must not throw. */
  readonly onDone: (record: DeliveryRecord) => void | Promise<void>;
  /** Deliveries waiting at most. */
  readonly maxWaiting: number;
  /** Repositories at once. */
  readonly maxAtOnce: number;
  /** For one push. */
  readonly timeoutMs: number;
}

interface Waiting {
  readonly delivery: Delivery;
  readonly done: PromiseWithResolvers<DeliveryRecord>;
}

export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  /** Repository to what waits for it; one that is worked on is in it too. In order of arrival. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #busy = new Set<string>();
  readonly #stop = new AbortController();
  readonly #working = new Set<Promise<void>>();
  #count = 0;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
  }

  /** Waiting or under way. */
  get size(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#stop.signal.aborted || this.#count >= this.#options.maxWaiting;
  }

  /** Resolves when it is done, whatever came of it; never when the queue is closed before its turn. */
  add(delivery: Delivery): Promise<DeliveryRecord> {
    const waiting = { delivery, done: Promise.withResolvers<DeliveryRecord>() };
    const repository = repositoryOf(delivery.push);
    const before = this.#waiting.get(repository);
    if (before === undefined) this.#waiting.set(repository, [waiting]);
    else before.push(waiting);
    this.#count += 1;
    this.#startMore();
    return waiting.done.promise;
  }

  /** Ends what is under way; it and what waits stay `waiting` in the log, to be resumed at the next start. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('modferry stops'));
    await Promise.all(this.#working);
  }

  #startMore(): void {
    for (const repository of this.#waiting.keys()) {
      if (this.#busy.size >= this.#options.maxAtOnce || this.#stop.signal.aborted) return;
      if (this.#busy.has(repository)) continue;
      this.#busy.add(repository);
      const work = this.#workOn(repository).finally(() => {
        this.#working.delete(work);
        this.#busy.delete(repository);
        this.#startMore();
      });
      this.#working.add(work);
    }
  }

  async #workOn(repository: string): Promise<void> {
    const waiting = this.#waiting.get(repository) ?? [];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const record = await this.#act(next.delivery);
      this.#count -= 1;
      const isStopped = this.#stop.signal.aborted;
      // A replay was ordered by somebody who is told; nobody else would ever know of a push that the stop broke off.
      const isInterrupted = isStopped && record.state === 'failed' && record.replayOf === undefined;
      if (!isInterrupted) await this.#options.onDone(record);
      next.done.resolve(record);
      if (isStopped) break;
    }
    this.#waiting.delete(repository);
  }

  async #act(delivery: Delivery): Promise<DeliveryRecord> {
    const { clock, onPush, timeoutMs } = this.#options;
    const startedAtMs = clock.monotonic();
    const late = new AbortController();
    const timer = clock.setTimeout(() => {
      late.abort(new Error(`not done within ${Math.round(timeoutMs / 60_000)} minutes`));
    }, timeoutMs);
    const signal = AbortSignal.any([this.#stop.signal, late.signal]);
    let result: DeliveryResult;
    try {
      // An action that does not heed its signal must not hold up the repository.
      result = await raceAbort(onPush(delivery.push, delivery, signal), signal);
    } catch (error) {
      const refused = [{ name: repositoryOf(delivery.push), why: messageOf(error) }];
      result = { outcome: 'failed', published: [], refreshed: [], refused };
    } finally {
      timer.cancel();
    }
    return { ...delivery, state: result.outcome, result, tookMs: clock.monotonic() - startedAtMs };
  }
}

/** The shortest address, as the same one comes with every push. */
function repositoryOf({ urls }: Push): string {
  return urls.reduce((best, url) => (url.length < best.length ? url : best), urls[0] ?? '');
}
