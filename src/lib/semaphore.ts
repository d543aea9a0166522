/** A counting semaphore with a bounded queue and two priorities: what a client waits for goes before background work. */
export class Semaphore {
  readonly #limit: number;
  readonly #maxQueue: number;
  readonly #normal: Waiter[] = [];
  readonly #low: Waiter[] = [];
  #active = 0;

  constructor(limit: number, maxQueue = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
    this.#maxQueue = maxQueue;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#normal.length + this.#low.length;
  }

  /** Takes a place only if one is free now. */
  tryAcquire(): (() => void) | undefined {
    if (this.#active >= this.#limit) return undefined;
    this.#active += 1;
    return this.#releaser();
  }

  /**
   * Resolves to the release function. Resolves to undefined at once when the queue is full. Rejects with the
   * signal's reason.
   */
  acquire(signal: AbortSignal, priority: 'normal' | 'low' = 'normal'): Promise<(() => void) | undefined> {
    const free = this.tryAcquire();
    if (free !== undefined) return Promise.resolve(free);
    if (this.queued >= this.#maxQueue) return Promise.resolve(undefined);
    const queue = priority === 'normal' ? this.#normal : this.#low;
    return new Promise((resolve, reject) => {
      function onAbort(): void {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      }
      const waiter: Waiter = {
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.#releaser());
        },
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(waiter);
    });
  }

  #releaser(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#normal.shift() ?? this.#low.shift();
      if (next === undefined) this.#active -= 1;
      else next.grant();
    };
  }
}

interface Waiter {
  grant(): void;
}
