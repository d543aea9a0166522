/** One piece of asking for all who want the same. */
import { SharedWork } from '../lib/shared-work.ts';
import type { SumdbAsker } from './types.ts';

export class SharedAsks<Result> {
  readonly #running = new Map<string, SharedWork<Result>>();

  /** Joins what is under way for `key`, else begins it. Rejects as `run` does, or with the reason of the asker's signal. */
  join(key: string, asker: SumdbAsker, run: (asker: SumdbAsker) => Promise<Result>): Promise<Result> {
    const running = this.#running.get(key);
    const work = running === undefined || running.cancelled ? this.#begin(key, asker, run) : running;
    return work.join(asker.signal, asker.deadlineAtMs);
  }

  #begin(key: string, asker: SumdbAsker, run: (asker: SumdbAsker) => Promise<Result>): SharedWork<Result> {
    const work: SharedWork<Result> = new SharedWork((signal, deadlineAtMs) =>
      run({ ...asker, signal, deadlineAtMs }).finally(() => {
        if (this.#running.get(key) === work) this.#running.delete(key);
      }),
    );
    this.#running.set(key, work);
    return work;
  }
}
