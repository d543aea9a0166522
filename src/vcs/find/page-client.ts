/**
 * Gets the head of discovery pages. Every address is judged by the guard, redirects too, and connected to as judged;
 * a page is read no further than its head, and nothing of it ever stands in an error.
 */
import { lookup } from 'node:dns';
import { LRUCache } from 'lru-cache';
import type { Dispatcher } from 'undici';
import { raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { ConnectError } from '../../outbound/connect-error.ts';
import { Connector } from '../../outbound/connector.ts';
import { bareUrl } from '../../outbound/network-address.ts';
import type { ProxyHop, ProxyRule } from '../../outbound/proxy-rule.ts';
import { TlsFiles } from '../../outbound/tls-files.ts';
import { Agent } from '../../outbound/undici-parts.ts';
import { VcsError } from '../types.ts';
import { type GoImportTag, goImportTags } from './go-import-tags.ts';
import type { SsrfGuard } from './ssrf-guard.ts';

export interface PageClientOptions {
  readonly guard: SsrfGuard;
  readonly proxy: ProxyRule;
  /** PEM file of further certificate authorities. */
  readonly caFile: string | undefined;
  /** For `User-Agent`. */
  readonly version: string;
  readonly clock: Clock;
  /** From the first connection to the end of the head, redirects included. */
  readonly timeoutMs: number;
  /** Of one page. */
  readonly maxBytes: number;
  /** Value of `Authorization` for a page's own server. */
  readonly authorizationFor: (url: URL, signal: AbortSignal) => Promise<string | undefined>;
}

export interface Page {
  readonly status: number;
  /** Where it was found in the end, without query. */
  readonly shown: string;
  /** It was found under another path than it was asked. */
  readonly isElsewhere: boolean;
  readonly tags: readonly GoImportTag[];
}

const maxRedirects = 5;
const maxHeaderBytes = 16 * 1024;
const keepAliveMs = 4_000;

export class PageClient {
  readonly #options: PageClientOptions;
  readonly #connector: Connector;
  readonly #agents: LRUCache<string, Dispatcher>;

  /** Throws ModferryError `ca_file`. */
  constructor(options: PageClientOptions) {
    this.#options = options;
    const { clock, caFile, timeoutMs } = options;
    const tls = new TlsFiles({ caFile, clientCertificate: undefined, clock });
    this.#connector = new Connector({ tls, timeoutMs, clock });
    this.#agents = new LRUCache({
      max: 8,
      dispose: (agent) => void agent.close().catch(() => {}),
    });
  }

  /** `what` begins the sentences. Rejects with VcsError or the signal's reason. */
  async get(start: URL, what: string, isInsecure: boolean, signal: AbortSignal): Promise<Page> {
    return await this.#within(what, signal, async (either) => {
      const { answer, url } = await this.#follow(start, what, isInsecure, true, either);
      const tags = await this.#readTags(answer, what, either);
      const isElsewhere = url.pathname !== start.pathname || url.host !== start.host;
      return { status: answer.statusCode, shown: bareUrl(url).href, isElsewhere, tags };
    });
  }

  /** Where the redirects of this URL end, whatever is there. Rejects as `get`. */
  async endOf(start: URL, what: string, isInsecure: boolean, signal: AbortSignal): Promise<URL> {
    return await this.#within(what, signal, async (either) => {
      const { answer, url } = await this.#follow(start, what, isInsecure, false, either);
      drop(answer);
      return url;
    });
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#connector.close();
    this.#agents.clear();
  }

  async #within<Result>(
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, timeoutMs } = this.#options;
    const late = new AbortController();
    const timer = clock.setTimeout(() => {
      late.abort(new VcsError('timeout', `${what} was not complete within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    try {
      return await work(AbortSignal.any([signal, late.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (late.signal.aborted) throw late.signal.reason;
      throw vcsErrorOf(error, what);
    } finally {
      timer.cancel();
    }
  }

  async #follow(
    start: URL,
    what: string,
    isInsecure: boolean,
    mayAuthorize: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly answer: Dispatcher.ResponseData; readonly url: URL }> {
    let url = start;
    let isOwn = mayAuthorize;
    for (let redirects = 0; ; redirects += 1) {
      const answer = await this.#send(url, what, { isInsecure, isOwn, signal });
      const location = redirectOf(answer);
      if (location === undefined) return { answer, url };
      drop(answer);
      if (redirects >= maxRedirects) {
        throw new VcsError('refused', `${what} redirects more than ${maxRedirects} times`);
      }
      url = nextUrl(url, location, what);
      // Once it has led away, no server gets credentials again.
      isOwn &&= url.origin === start.origin;
    }
  }

  async #send(
    url: URL,
    what: string,
    how: { readonly isInsecure: boolean; readonly isOwn: boolean; readonly signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    const { guard, proxy, version, timeoutMs, authorizationFor } = this.#options;
    const { isInsecure, isOwn, signal } = how;
    guard.checkStatic(url, what, { isInsecure });
    if (url.protocol === 'ssh:') throw new VcsError('refused', `${what}: pages are not read by ssh`);
    const mayAuthorize = isOwn && url.protocol === 'https:';
    const authorization = mayAuthorize ? await authorizationFor(url, signal) : undefined;
    const hops = await raceAbort(Promise.resolve(proxy(url)), signal);
    let first: unknown;
    for (const hop of hops) {
      try {
        return await this.#agent(hop).request({
          method: 'GET',
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          headers: {
            accept: 'text/html,*/*;q=0.5',
            'accept-encoding': 'identity',
            'user-agent': `modferry/${version}`,
            ...(authorization === undefined ? {} : { authorization }),
          },
          signal,
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        });
      } catch (error) {
        first ??= error;
        // Another way is tried only where this one could not be used at all.
        if (hop === 'direct' || !(error instanceof ConnectError) || error.code !== 'proxy') throw error;
      }
    }
    throw first;
  }

  #agent(hop: ProxyHop): Dispatcher {
    const key = hop === 'direct' ? '' : hop.url.reveal();
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const connect =
      hop === 'direct'
        ? this.#connector.straight(false, this.#options.guard.lookup)
        : // The only name looked up here is the proxy's, and proxies stand inside.
          this.#connector.through(hop, false, lookup);
    const agent = new Agent({
      connections: 4,
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      allowH2: false,
      connect,
    });
    this.#agents.set(key, agent);
    return agent;
  }

  /** No further than the end of the head. */
  async #readTags(
    answer: Dispatcher.ResponseData,
    what: string,
    signal: AbortSignal,
  ): Promise<readonly GoImportTag[]> {
    const { maxBytes } = this.#options;
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let readAgainAtBytes = 0;
    let tail = '';
    answer.body.on('error', () => {});
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      chunks.push(chunk);
      sizeBytes += chunk.byteLength;
      const text = tail + chunk.toString('latin1');
      tail = text.slice(-6);
      // A hint only: it may stand in a comment, and a page full of such must not be read anew for each.
      if (sizeBytes >= readAgainAtBytes && /<\/head|<body/i.test(text)) {
        readAgainAtBytes = sizeBytes * 1.25;
        const head = goImportTags(Buffer.concat(chunks).toString('utf8'));
        if (head.isComplete) return head.tags;
      }
      if (sizeBytes > maxBytes) {
        throw new VcsError('too_large', `${what} has no end of its head within ${maxBytes} bytes`);
      }
    }
    return goImportTags(Buffer.concat(chunks).toString('utf8')).tags;
  }
}

/** Where it redirects to; '' without a location. Undefined: it does not. */
function redirectOf({ statusCode, headers }: Dispatcher.ResponseData): string | undefined {
  if (![301, 302, 303, 307, 308].includes(statusCode)) return undefined;
  const { location = '' } = headers;
  return Array.isArray(location) ? (location[0] ?? '') : location;
}

function nextUrl(from: URL, location: string, what: string): URL {
  if (location === '' || !URL.canParse(location, from.href)) {
    throw new VcsError('refused', `${what} redirects without a usable location`);
  }
  const next = new URL(location, from);
  if (from.protocol === 'https:' && next.protocol !== 'https:') {
    throw new VcsError('refused', `${what} redirects away from https`);
  }
  next.username = '';
  next.password = '';
  next.hash = '';
  return next;
}

function drop(answer: Dispatcher.ResponseData): void {
  answer.body.on('error', () => {}).destroy();
}

function vcsErrorOf(error: unknown, what: string): VcsError {
  if (error instanceof VcsError) return error;
  if (error instanceof ConnectError) {
    const { code, message } = error;
    if (code === 'inner_address') return new VcsError('refused', `${what}: ${message}`, { cause: error });
    return new VcsError(code === 'proxy_auth' ? 'proxy' : code, `${what}: ${message}`, { cause: error });
  }
  const code = errnoOf(error) ?? messageOf(error, 80);
  const isLate = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  return new VcsError(
    isLate ? 'timeout' : 'failed',
    isLate ? `${what}: its server was silent for too long` : `${what}: its server broke off (${code})`,
    { cause: error },
  );
}
