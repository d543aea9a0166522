/**
 * The URL that a repository's redirects lead to (renamed projects, `repo` → `repo.git`). They are followed here, where
 * the guard judges each one, so that git need not follow any.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { VcsError } from '../types.ts';
import type { PageClient } from './page-client.ts';

export interface RepositoryRedirectsOptions {
  readonly pages: PageClient;
  readonly clock: Clock;
  readonly goodForMs: number;
  readonly failedForMs: number;
}

/** What git asks first. */
const serviceQuery = '/info/refs?service=git-upload-pack';
const maxRemembered = 10_000;

export class RepositoryRedirects {
  readonly #options: RepositoryRedirectsOptions;
  readonly #remembered = new LRUCache<string, { readonly url: string; readonly untilMs: number }>({
    max: maxRemembered,
  });

  constructor(options: RepositoryRedirectsOptions) {
    this.#options = options;
  }

  /**
   * `url` itself where it does not redirect, or cannot be reached: git tells why. `what` begins sentences. Rejects with
   * VcsError `refused` for a redirect that may not be followed, or with the signal's reason.
   */
  async endOf(url: string, what: string, isInsecure: boolean, signal: AbortSignal): Promise<string> {
    const { pages, clock, goodForMs, failedForMs } = this.#options;
    const known = this.#remembered.get(url);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.url;
    let end = url;
    let forMs = goodForMs;
    try {
      const { href } = await pages.endOf(new URL(`${url}${serviceQuery}`), what, isInsecure, signal);
      if (href.endsWith(serviceQuery)) end = href.slice(0, -serviceQuery.length);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof VcsError) || error.code === 'refused') throw error;
      forMs = failedForMs;
    }
    this.#remembered.set(url, { url: end, untilMs: clock.monotonic() + forMs });
    return end;
  }
}
