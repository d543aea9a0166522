/**
 * Whether waiting for the sources of a key has a point. One asker's wait in vain counts for everybody who asks the
 * same sources, whatever the key, until they have answered something; meanwhile single refreshes try them.
 */
import type { Clock } from '../lib/clock.ts';

type Route = 'public' | 'private';

export interface HopeDeps {
  readonly clock: Clock;
  /** False: every source of this key is out or open now. */
  mayAnswer(key: string): boolean;
  /** Private keys have other sources: what is known of the ones says nothing of the others. */
  isPrivate(key: string): boolean;
}

/** While there is no hope, one key in this time tries the sources for all: hundreds must not each ask them. */
const trialEveryMs = 1_000;

export class Hope {
  readonly #deps: HopeDeps;
  /** Outlasted somebody's patience and have answered nothing since. */
  readonly #slow = new Set<Route>();
  /** Monotonic. */
  readonly #triedAtMs = new Map<Route, number>();

  constructor(deps: HopeDeps) {
    this.#deps = deps;
  }

  isThere(key: string): boolean {
    return this.#deps.mayAnswer(key) && !this.#slow.has(this.#routeOf(key));
  }

  /** Somebody's patience has ended. */
  lost(key: string): void {
    this.#slow.add(this.#routeOf(key));
  }

  /** A source has answered. */
  regained(key: string): void {
    this.#slow.delete(this.#routeOf(key));
  }

  /** True when a refresh nobody waits for may be started now. */
  takeTrial(key: string): boolean {
    if (this.isThere(key)) return true;
    const route = this.#routeOf(key);
    const mono = this.#deps.clock.monotonic();
    if (mono - (this.#triedAtMs.get(route) ?? Number.NEGATIVE_INFINITY) < trialEveryMs) return false;
    this.#triedAtMs.set(route, mono);
    return true;
  }

  #routeOf(key: string): Route {
    return this.#deps.isPrivate(key) ? 'private' : 'public';
  }
}
