/** What `/readyz` says: draining, or ready, and whether anything can be stored. */
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';

/** The probe writes a file: whoever asks `/readyz` in a loop must not wear the disk. */
const probeEveryMs = 1_000;

export class Readiness {
  readonly #clock: Clock;
  readonly #store: Pick<Store, 'writable'>;
  #probe: { readonly atMs: number; readonly writable: Promise<boolean> } | undefined;
  /** Set once the process is stopping. */
  isDraining = false;

  constructor(clock: Clock, store: Pick<Store, 'writable'>) {
    this.#clock = clock;
    this.#store = store;
  }

  async look(): Promise<{ ready: boolean; reason: string }> {
    if (this.isDraining) return { ready: false, reason: 'stopping' };
    const now = this.#clock.monotonic();
    if (this.#probe === undefined || now - this.#probe.atMs > probeEveryMs) {
      this.#probe = { atMs: now, writable: this.#store.writable() };
    }
    // A store that can only be read still serves what it has; not being able to write is said, not fatal.
    const reason = (await this.#probe.writable) ? 'ready' : 'ready (store is read-only or full)';
    return { ready: true, reason };
  }
}
