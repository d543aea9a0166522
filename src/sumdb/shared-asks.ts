/** One piece of asking for all who want the same; a client is not held up by what was begun for the background. */
import { SharedWork } from '../lib/shared-work.ts';
import type { SumdbAsker } from './types.ts';

interface Running<Result> {
  readonly work: SharedWork<Result>;
  readonly isBackground: boolean;
}

export class SharedAsks<Result> {
  readonly #running = new Map<string, Running<Result>>();

  /**
   * Joins what is under way for `key`, else begins it. Background work yields its place to clients at every source, so a
   * client does not join it: the same is asked beside it, and joined by whoever comes then. Rejects as `run` does, or
   * with the reason of the asker's signal.
   */
  join(key: string, asker: SumdbAsker, run: (asker: SumdbAsker) => Promise<Result>): Promise<Result> {
    const isBackground = asker.background === true;
    const running = this.#running.get(key);
    const isUseful =
      running !== undefined && !running.work.cancelled && (isBackground || !running.isBackground);
    const work = isUseful ? running.work : this.#begin(key, asker, run, isBackground);
    return work.join(asker.signal, asker.deadlineAtMs);
  }

  #begin(
    key: string,
    asker: SumdbAsker,
    run: (asker: SumdbAsker) => Promise<Result>,
    isBackground: boolean,
  ): SharedWork<Result> {
    const work: SharedWork<Result> = new SharedWork((signal, deadlineAtMs) =>
      run({ ...asker, signal, deadlineAtMs }).finally(() => {
        if (this.#running.get(key)?.work === work) this.#running.delete(key);
      }),
    );
    this.#running.set(key, { work, isBackground });
    return work;
  }
}
