/** Which upstreams do not offer a checksum database at all: they are left out for some minutes. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import { readBody } from '../upstream/read-body.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import { urlPath } from './target.ts';

/** How long an answer to `supported` counts, either way. */
const rememberedMs = 10 * 60_000;
const maxRemembered = 1000;
const withinMs = 10_000;

interface Known {
  readonly isOffered: boolean;
  readonly untilMs: number;
}

export class Offers {
  readonly #target: string;
  readonly #clock: Clock;
  /** By upstream name. */
  readonly #known = new LRUCache<string, Known>({ max: maxRemembered });
  readonly #running = new Map<string, Promise<boolean>>();

  constructor(database: string, clock: Clock) {
    this.#target = `/sumdb/${urlPath(database)}/supported`;
    this.#clock = clock;
  }

  /** True: it has said so within the last ten minutes. */
  isRefusing(upstream: Upstream): boolean {
    return this.#remembered(upstream)?.isOffered === false;
  }

  /**
   * Asks one that answered 404 whether it offers the database. False only when it says no: who cannot be asked may
   * offer it. Never rejects.
   */
  check(upstream: Upstream): Promise<boolean> {
    const known = this.#remembered(upstream);
    if (known !== undefined) return Promise.resolve(known.isOffered);
    const { name } = upstream;
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const asked = this.#ask(upstream).then((isOffered) => {
      this.#running.delete(name);
      if (isOffered === undefined) return true;
      this.#known.set(name, { isOffered, untilMs: this.#clock.monotonic() + rememberedMs });
      return isOffered;
    });
    this.#running.set(name, asked);
    return asked;
  }

  #remembered({ name }: Upstream): Known | undefined {
    const known = this.#known.get(name);
    return known !== undefined && known.untilMs > this.#clock.monotonic() ? known : undefined;
  }

  /** Undefined: it cannot be told. */
  async #ask(upstream: Upstream): Promise<boolean | undefined> {
    const controller = new AbortController();
    const timer = this.#clock.setTimeout(() => controller.abort(new Error('no answer in time')), withinMs);
    try {
      const { signal } = controller;
      const answer = await upstream.fetch({ target: this.#target, answerClass: 'meta', signal });
      await readBody(answer, 65_536).catch(() => {});
      return true;
    } catch (error) {
      return error instanceof UpstreamError && error.isAbsence ? false : undefined;
    } finally {
      timer.cancel();
    }
  }
}
