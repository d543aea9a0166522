/** Upstream sets that a reload has replaced: transfers under way end on their clients, so they are closed later. */
import type { Clock, Timer } from '../lib/clock.ts';
import type { UpstreamSet } from './upstream-set.ts';

/** Longer than a zip of Go's largest size takes over a slow link; idle sockets end by themselves. */
const keptForMs = 3_600_000;

export class RetiredSets {
  readonly #clock: Clock;
  readonly #sets = new Map<UpstreamSet, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(set: UpstreamSet): void {
    const close = (): void => {
      if (this.#sets.delete(set)) void set.close().catch(() => {});
    };
    void set.retire();
    this.#sets.set(set, this.#clock.setTimeout(close, keptForMs));
  }

  /** Closes what is left. */
  async close(): Promise<void> {
    for (const [set, timer] of this.#sets) {
      timer.cancel();
      await set.close();
    }
    this.#sets.clear();
  }
}
