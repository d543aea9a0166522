/**
 * Asks a module path's own site where its repository is: `https://PATH?go-get=1`. Pages are remembered for a while,
 * failures shorter; many askers share one request.
 * @see https://go.dev/ref/mod#vcs-find
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { SharedWork } from '../../lib/shared-work.ts';
import { type RepositoryPlace, VcsError } from '../types.ts';
import { isSameTag, matchingTag, placeOfTag } from './go-import.ts';
import type { GoImportTag } from './go-import-tags.ts';
import type { Page, PageClient } from './page-client.ts';

export interface DiscoveryOptions {
  readonly pages: PageClient;
  readonly clock: Clock;
  readonly goodForMs: number;
  readonly failedForMs: number;
  /** Module paths whose site may be asked by plain http when https fails. */
  readonly isInsecure: (path: string) => boolean;
  readonly ports: { readonly https: number; readonly http: number };
}

type Found = readonly GoImportTag[] | VcsError;

/** Of all remembered pages. */
const maxRememberedBytes = 16 * 1024 * 1024;
const maxRememberedPages = 10_000;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #remembered = new LRUCache<string, { readonly found: Found; readonly untilMs: number }>({
    max: maxRememberedPages,
    maxSize: maxRememberedBytes,
    sizeCalculation: ({ found }, key) => sizeOf(found) + key.length,
  });
  readonly #running = new Map<string, SharedWork<Found>>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /**
   * What the site says, its URL still to be judged. Rejects with VcsError: `absent` where the site knows nothing of it,
   * or with the signal's reason.
   */
  async find(
    path: string,
    signal: AbortSignal,
  ): Promise<{ place: RepositoryPlace; url: URL; shown: string }> {
    const shown = `https://${path}?go-get=1`;
    const tag = matchingTag(await this.#tags(path, signal), path, shown);
    // A page below must not speak for the whole prefix: who owns only that page could take over its neighbours.
    if (tag.prefix !== path) {
      const above = `https://${tag.prefix}?go-get=1`;
      const claim = `${shown} and ${above} disagree about the repository of ${tag.prefix}`;
      let second: GoImportTag;
      try {
        second = matchingTag(await this.#tags(tag.prefix, signal), path, above);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof VcsError) || error.code !== 'absent') throw error;
        throw new VcsError('refused', `${claim}: ${error.message}`, { cause: error });
      }
      if (!isSameTag(tag, second)) throw new VcsError('refused', claim);
    }
    return { ...placeOfTag(tag, shown), shown };
  }

  async #tags(path: string, signal: AbortSignal): Promise<readonly GoImportTag[]> {
    const { clock } = this.#options;
    const known = this.#remembered.get(path);
    const found = known !== undefined && clock.monotonic() < known.untilMs ? known.found : undefined;
    const result = found ?? (await this.#shared(path).join(signal));
    if (result instanceof VcsError) throw new VcsError(result.code, result.message, { cause: result });
    return result;
  }

  #shared(path: string): SharedWork<Found> {
    const running = this.#running.get(path);
    if (running !== undefined && !running.cancelled) return running;
    const work = new SharedWork<Found>(async (signal) => {
      const { clock, goodForMs, failedForMs } = this.#options;
      const found = await this.#ask(path, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (error instanceof VcsError) return error;
        throw error;
      });
      const forMs = found instanceof VcsError ? failedForMs : goodForMs;
      this.#remembered.set(path, { found, untilMs: clock.monotonic() + forMs });
      return found;
    });
    this.#running.set(path, work);
    const forget = (): void => {
      if (this.#running.get(path) === work) this.#running.delete(path);
    };
    work.promise.then(forget, forget);
    return work;
  }

  async #ask(path: string, signal: AbortSignal): Promise<readonly GoImportTag[]> {
    const { isInsecure, ports } = this.#options;
    const mayBePlain = isInsecure(path);
    let page: Page;
    try {
      page = await this.#page(path, 'https', ports.https, mayBePlain, signal);
    } catch (error) {
      // As Go with GOINSECURE: plain http where https gives no answer. A refusal of ours stays one.
      const isRefused = error instanceof VcsError && ['refused', 'aborted'].includes(error.code);
      if (!mayBePlain || isRefused || signal.aborted) throw error;
      page = await this.#page(path, 'http', ports.http, mayBePlain, signal);
    }
    if (page.tags.length > 0) return page.tags;
    throw withoutTags(page, path);
  }

  #page(
    path: string,
    scheme: 'https' | 'http',
    port: number,
    isInsecure: boolean,
    signal: AbortSignal,
  ): Promise<Page> {
    const slash = path.indexOf('/');
    const host = slash < 0 ? path : path.slice(0, slash);
    const rest = slash < 0 ? '/' : path.slice(slash);
    const text = `${scheme}://${host}:${port}${rest}?go-get=1`;
    if (!URL.canParse(text)) {
      throw new VcsError('absent', `${host} is no host name, so ${path} has no repository`);
    }
    const what = `the page ${scheme}://${path}?go-get=1`;
    return this.#options.pages.get(new URL(text), what, isInsecure, signal);
  }
}

/** A page without tags is knowledge where it says so, or answers as usual; a log-in page is not. */
function withoutTags({ status, shown, isElsewhere }: Page, path: string): VcsError {
  const what = `https://${path}?go-get=1`;
  if (status === 401)
    return new VcsError('auth', `${what} wants credentials (401); configure some for its host`);
  if (status === 403) return new VcsError('forbidden', `${what} may not be read (403)`);
  if (status === 404 || status === 410) {
    return new VcsError('absent', `${what} does not exist (${status}), so ${path} is no module there`);
  }
  if (status !== 200) return new VcsError('failed', `${what} answered with status ${status}`);
  if (isElsewhere && /sign_?-?in|log_?-?in|\/(?:sso|saml|oauth|oauth2|auth|session)\b/i.test(shown)) {
    return new VcsError(
      'auth',
      `${what} leads to a log-in page; configure credentials for its host, or a rule that says where ${path} is`,
    );
  }
  return new VcsError('absent', `${what} has no go-import tag, so ${path} is no module there`);
}

function sizeOf(found: Found): number {
  if (found instanceof VcsError) return 200 + found.message.length;
  return found.reduce(
    (sum, { prefix, vcs, url, subdir }) =>
      sum + 100 + prefix.length + vcs.length + url.length + subdir.length,
    100,
  );
}
