/**
 * One piece of work for many askers: single flight with reference counting. An asker that goes away does not
 * spoil it for the others; when the last one leaves the work is cancelled, unless it says it is nearly done.
 */
import { raceAbort } from './abort.ts';
import { type Deadline, latestOf } from './deadline.ts';

interface Asker {
  readonly deadlineAtMs: Deadline | undefined;
}

export class SharedWork<Result> {
  readonly promise: Promise<Result>;
  readonly #controller = new AbortController();
  readonly #worthFinishing: () => boolean;
  readonly #askers = new Set<Asker>();
  #settled = false;

  /**
   * `run` begins behind the caller's present turn, so that the first askers are there when it looks at
   * `deadlineAtMs`: the latest deadline of those who wait now.
   */
  constructor(
    run: (signal: AbortSignal, deadlineAtMs: Deadline) => Promise<Result>,
    worthFinishing: () => boolean = () => false,
  ) {
    this.#worthFinishing = worthFinishing;
    const { signal } = this.#controller;
    const started = Promise.resolve().then(() => run(signal, () => this.deadlineAtMs));
    this.promise = started.finally(() => {
      this.#settled = true;
    });
    // Askers may all have left: a failure nobody waits for is not an unhandled rejection.
    this.promise.catch(() => {});
  }

  get askers(): number {
    return this.#askers.size;
  }

  /** Monotonic: until when anybody waits. Undefined when one of them has no deadline, or nobody is left. */
  get deadlineAtMs(): number | undefined {
    return latestOf([...this.#askers].map(({ deadlineAtMs }) => deadlineAtMs));
  }

  get cancelled(): boolean {
    return this.#controller.signal.aborted;
  }

  /**
   * Waits for the result. Rejects with the signal's reason when this asker leaves first: its deadline ends nothing by
   * itself. Default: none.
   */
  async join(signal?: AbortSignal, deadlineAtMs?: Deadline): Promise<Result> {
    const leave = this.hold(deadlineAtMs);
    try {
      return await (signal === undefined ? this.promise : raceAbort(this.promise, signal));
    } finally {
      leave();
    }
  }

  /** Counts as an asker until the returned function is called (once). */
  hold(deadlineAtMs?: Deadline): () => void {
    const asker: Asker = { deadlineAtMs };
    this.#askers.add(asker);
    return () => {
      if (!this.#askers.delete(asker)) return;
      if (this.#askers.size === 0 && !this.#settled && !this.#worthFinishing()) {
        this.cancel(new Error('the last asker left'));
      }
    };
  }

  cancel(reason: Error): void {
    if (!this.#settled) this.#controller.abort(reason);
  }
}
