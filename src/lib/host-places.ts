/** Places for work that waits for hosts: bounded for each host and in all, so that a silent one holds up its own only. */
import { Semaphore } from './semaphore.ts';

export interface HostPlacesOptions {
  readonly inAll: number;
  readonly perHost: number;
  /** How many may wait in all; a quarter of them for one host. */
  readonly maxQueued: number;
}

export class HostPlaces {
  readonly #options: HostPlacesOptions;
  readonly #common: Semaphore;
  /** Only of hosts that somebody holds a place of, or waits for. */
  readonly #hosts = new Map<string, { readonly places: Semaphore; users: number }>();
  #queued = 0;

  constructor(options: HostPlacesOptions) {
    this.#options = options;
    this.#common = new Semaphore(options.inAll);
  }

  /** Those who wait. */
  get queued(): number {
    return this.#queued;
  }

  /**
   * Resolves to the function that gives the place back; to undefined at once when too many wait. Rejects with the
   * signal's reason.
   */
  async acquire(
    host: string,
    signal: AbortSignal,
    priority: 'normal' | 'low' = 'normal',
  ): Promise<(() => void) | undefined> {
    const { perHost, maxQueued } = this.#options;
    const key = host.toLowerCase();
    let own = this.#hosts.get(key);
    const isWaiting = own !== undefined && own.places.active >= perHost;
    if ((isWaiting || this.#common.active >= this.#options.inAll) && this.#queued >= maxQueued)
      return undefined;
    if (own === undefined) {
      own = { places: new Semaphore(perHost, Math.ceil(maxQueued / 4)), users: 0 };
      this.#hosts.set(key, own);
    }
    const used = own;
    used.users += 1;
    let releaseOwn: (() => void) | undefined;
    let isHeld = false;
    const giveBack = (): void => {
      releaseOwn?.();
      used.users -= 1;
      if (used.users === 0) this.#hosts.delete(key);
    };
    this.#queued += 1;
    try {
      // That of the host first: whoever waits for a silent one must not hold a common place meanwhile.
      releaseOwn = await used.places.acquire(signal, priority);
      if (releaseOwn === undefined) return undefined;
      const releaseCommon = await this.#common.acquire(signal, priority);
      if (releaseCommon === undefined) return undefined;
      isHeld = true;
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        releaseCommon();
        giveBack();
      };
    } finally {
      this.#queued -= 1;
      if (!isHeld) giveBack();
    }
  }
}
