/**
 * One piece of work for many askers: single flight with reference counting. An asker that goes away does not
 * spoil it for the others; when the last one leaves the work is cancelled, unless it says it is nearly done.
 */
import { raceAbort } from './abort.ts';

export class SharedWork<Result> {
  readonly promise: Promise<Result>;
  readonly #controller = new AbortController();
  readonly #worthFinishing: () => boolean;
  #askers = 0;
  #settled = false;

  constructor(run: (signal: AbortSignal) => Promise<Result>, worthFinishing: () => boolean = () => false) {
    this.#worthFinishing = worthFinishing;
    this.promise = run(this.#controller.signal).finally(() => {
      this.#settled = true;
    });
    // Askers may all have left: a failure nobody waits for is not an unhandled rejection.
    this.promise.catch(() => {});
  }

  get askers(): number {
    return this.#askers;
  }

  get cancelled(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Waits for the result. Rejects with the signal's reason when this asker leaves first. */
  async join(signal?: AbortSignal): Promise<Result> {
    const leave = this.hold();
    try {
      return await (signal === undefined ? this.promise : raceAbort(this.promise, signal));
    } finally {
      leave();
    }
  }

  /** Counts as an asker until the returned function is called (once). */
  hold(): () => void {
    this.#askers += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#askers -= 1;
      if (this.#askers === 0 && !this.#settled && !this.#worthFinishing()) {
        this.cancel(new Error('the last asker left'));
      }
    };
  }

  cancel(reason: Error): void {
    if (!this.#settled) this.#controller.abort(reason);
  }
}
