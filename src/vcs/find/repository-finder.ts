/**
 * Module path → repository: the operator's rules, then what the path itself says, then its site's go-import tag. What
 * is chosen by whoever asks, or by a stranger's page, passes the guard each time it is found.
 * @see https://go.dev/ref/mod#vcs-find
 */
import { LRUCache } from 'lru-cache';
import { compilePatterns } from '../../gomod/module-pattern.ts';
import type { ModulePath } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { bareHost } from '../../outbound/network-address.ts';
import { directRule, type ProxyRule } from '../../outbound/proxy-rule.ts';
import { type RepositoryFinder, type RepositoryPlace, VcsError, type VcsErrorCode } from '../types.ts';
import { Discovery } from './discovery.ts';
import { isKnownHost, namedRepository } from './known-hosts.ts';
import { PageClient } from './page-client.ts';
import { RepositoryRedirects } from './repository-redirects.ts';
import { type CompiledRule, compileRule, type RepositoryRule } from './repository-rule.ts';
import { SsrfGuard, type SsrfGuardOptions } from './ssrf-guard.ts';

export interface RepositoryFinderOptions {
  /** In order; the first that says something of a path wins. Default: none. */
  readonly rules?: readonly RepositoryRule[];
  /** What discovery and go-import tags may lead to. */
  readonly guard?: SsrfGuardOptions;
  /** As GOINSECURE: sites and repositories of these modules may be reached by plain http. Default: none. */
  readonly insecurePatterns?: readonly string[];
  /**
   * Whether there is a Git repository at this URL; `path` is the module that is looked for. Rejects with VcsError where
   * nobody can tell. Needed for rules with `root: probe`; without it `host/repo.git` is taken to be at https.
   */
  readonly probe?: (url: string, path: ModulePath, signal: AbortSignal) => Promise<boolean>;
  /** `Authorization` for a page's own server, https only. Default: none is sent. */
  readonly authorizationFor?: (url: URL, signal: AbortSignal) => Promise<string | undefined>;
  /** Default: straight, no proxy. */
  readonly proxy?: ProxyRule;
  /** PEM file of further certificate authorities. */
  readonly caFile?: string | undefined;
  /** Of this modferry, for `User-Agent`. */
  readonly version: string;
  readonly clock: Clock;
  /** Of one page, redirects included. Default 10 s. */
  readonly timeoutMs?: number;
  /** What is read of one page at most. Default 1 MiB. */
  readonly maxPageBytes?: number;
  /** How long what was found is remembered. Default 10 min. */
  readonly goodForMs?: number;
  /** How long an absence or failure is remembered. Default 30 s. */
  readonly failedForMs?: number;
  /** Where sites answer. Default 443 and 80; another one is of use only to tests. */
  readonly sitePorts?: { readonly https: number; readonly http: number };
}

export interface GuardedFinder extends RepositoryFinder {
  /**
   * The addresses that the host of this repository had when `find` judged it last, separated by commas: for git's
   * `http.curloptResolve`, so that a second look-up cannot lead elsewhere. Undefined where nothing was looked up: the
   * operator names the host, or an outbound proxy looks it up.
   */
  addressFor(url: string): string | undefined;
  /**
   * False where git must not follow redirects: the host is chosen by who asks or by a page, and only what was judged may
   * be connected to. True for hosts that a rule names, and for those that the go command knows.
   */
  followsRedirects(url: string): boolean;
  /** Ends every connection. */
  close(): Promise<void>;
}

const maxRemembered = 10_000;

/** What a host says that gives nothing by ssh, or nothing to us: no reason to doubt what it said by https. */
const noSsh: readonly VcsErrorCode[] = ['absent', 'auth', 'forbidden', 'refused', 'connect', 'dns'];

/** Throws ModferryError `repository_rule` or `ca_file`. */
export function createRepositoryFinder(options: RepositoryFinderOptions): GuardedFinder {
  return new Finder(options);
}

class Finder implements GuardedFinder {
  readonly #options: RepositoryFinderOptions;
  readonly #rules: readonly CompiledRule[];
  readonly #guard: SsrfGuard;
  readonly #isInsecure: (path: string) => boolean;
  readonly #pages: PageClient;
  readonly #discovery: Discovery;
  readonly #probed = new LRUCache<string, { readonly isThere: boolean; readonly untilMs: number }>({
    max: maxRemembered,
  });

  readonly #redirects: RepositoryRedirects;
  readonly #addresses = new LRUCache<string, string>({ max: maxRemembered });

  constructor(options: RepositoryFinderOptions) {
    const { rules = [], clock, goodForMs = 600_000, failedForMs = 30_000, sitePorts } = options;
    const ports = sitePorts ?? { https: 443, http: 80 };
    this.#options = options;
    this.#rules = rules.map((rule) => compileRule(rule, options.probe !== undefined));
    this.#guard = new SsrfGuard({
      ...options.guard,
      allowPorts: [...(options.guard?.allowPorts ?? []), ports.https, ports.http],
    });
    this.#isInsecure = compilePatterns((options.insecurePatterns ?? []).join(','));
    this.#pages = new PageClient({
      guard: this.#guard,
      proxy: options.proxy ?? directRule,
      caFile: options.caFile,
      version: options.version,
      clock,
      timeoutMs: options.timeoutMs ?? 10_000,
      maxBytes: options.maxPageBytes ?? 1024 * 1024,
      authorizationFor: options.authorizationFor ?? (async () => undefined),
    });
    const isInsecure = this.#isInsecure;
    const kept = { pages: this.#pages, clock, goodForMs, failedForMs };
    this.#discovery = new Discovery({ ...kept, isInsecure, ports });
    this.#redirects = new RepositoryRedirects(kept);
  }

  async find(path: ModulePath, signal: AbortSignal): Promise<RepositoryPlace> {
    signal.throwIfAborted();
    const ruled = await this.#byRule(path, signal);
    if (ruled !== undefined) return ruled;
    const named = namedRepository(path);
    if (named?.kind === 'known') {
      // The host is one of ours to name: nobody chooses it.
      return { vcs: named.vcs, url: named.url, root: named.root, subdir: '' };
    }
    if (named !== undefined) {
      const url = await this.#bySuffix(named, path, signal);
      return { vcs: named.vcs, url, root: named.root, subdir: '' };
    }
    const { place, url, shown } = await this.#discovery.find(path, signal);
    await this.#check(url, path, signal, { what: `the repository that ${shown} names` });
    if (place.vcs !== 'git' || url.protocol === 'ssh:') return place;
    const what = `the repository of ${path}`;
    const end = await this.#redirects.endOf(place.url, what, this.#isInsecure(path), signal);
    if (end !== place.url) await this.#check(new URL(end), path, signal);
    return { ...place, url: end };
  }

  addressFor(url: string): string | undefined {
    return this.#addresses.get(URL.parse(url)?.href ?? '');
  }

  followsRedirects(url: string): boolean {
    const host = URL.parse(url)?.host ?? '';
    return isKnownHost(host) || this.#rules.some(({ fixedHost }) => fixedHost === host);
  }

  async close(): Promise<void> {
    await this.#pages.close();
  }

  async #check(
    url: URL,
    path: string,
    signal: AbortSignal,
    {
      what = `the repository of ${path}`,
      isRuled = false,
    }: { readonly what?: string; readonly isRuled?: boolean } = {},
  ): Promise<void> {
    const rule = this.#options.proxy ?? directRule;
    const [hop] = url.protocol === 'ssh:' ? ['direct'] : await rule(url);
    const isProxied = hop !== 'direct';
    // A rule names its scheme, and with it the operator speaks of the hosts of its patterns.
    const isInsecure = isRuled || this.#isInsecure(path);
    const trust = isRuled ? { isTrusted: true } : {};
    const { addresses } = await this.#guard.check(url, what, { isInsecure, isProxied, signal, ...trust });
    if (addresses.length === 0) this.#addresses.delete(url.href);
    else this.#addresses.set(url.href, addresses.join(','));
  }

  async #byRule(path: ModulePath, signal: AbortSignal): Promise<RepositoryPlace | undefined> {
    for (const rule of this.#rules) {
      const candidates = rule.candidates(path);
      if (candidates === undefined) continue;
      const { subdir } = rule;
      const [only] = candidates;
      if (candidates.length === 1 && only !== undefined) {
        await this.#checkRuled(rule, only.url, path, signal);
        return { vcs: 'git', url: only.url, root: only.root, subdir };
      }
      let failure: VcsError | undefined;
      for (const { root, url } of candidates) {
        try {
          await this.#checkRuled(rule, url, path, signal);
          if (await this.#isThere(url, path, signal)) return { vcs: 'git', url, root, subdir };
        } catch (error) {
          signal.throwIfAborted();
          // Forges hide what one may not see: another prefix may still be a repository.
          if (!(error instanceof VcsError) || !['auth', 'forbidden'].includes(error.code)) throw error;
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
      throw new VcsError('absent', `no repository was found for ${path} or a prefix of it`);
    }
    // `go get` asks for each prefix of a path. A rule says where repositories begin: nothing above is asked for.
    if (this.#rules.some((rule) => rule.isAbove(path))) {
      throw new VcsError('absent', `${path} has fewer path elements than a repository of its rule`);
    }
    return undefined;
  }

  /** The operator's rule names the scheme; a host that it takes from the module path is chosen by who asks. */
  async #checkRuled(rule: CompiledRule, url: string, path: string, signal: AbortSignal): Promise<void> {
    if (rule.fixedHost !== undefined) return;
    await this.#check(new URL(url), path, signal, { isRuled: true });
  }

  /** As Go's documentation has it: at this address or at the one with `.git`, by https, else by ssh. */
  async #bySuffix(
    { vcs, address }: { readonly vcs: string; readonly address: string },
    path: ModulePath,
    signal: AbortSignal,
  ): Promise<string> {
    const plain = `https://${address}`;
    if (vcs !== 'git' || this.#options.probe === undefined) {
      await this.#check(new URL(plain), path, signal);
      return plain;
    }
    const slash = address.indexOf('/');
    const host = bareHost(address.slice(0, slash));
    const ssh = `ssh://git@${host}${address.slice(slash)}`;
    const http = this.#isInsecure(path) ? [`http://${address}`, `http://${address}.git`] : [];
    let failure: VcsError | undefined;
    for (const url of [plain, `${plain}.git`, ...http, `${ssh}.git`]) {
      try {
        // Each anew: the one that is taken is the one whose address git is held to.
        await this.#check(new URL(url), path, signal);
        if (await this.#isThere(url, path, signal)) return url;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof VcsError)) throw error;
        const isKnowledge = url.startsWith('ssh:') ? noSsh.includes(error.code) : error.code === 'absent';
        if (!isKnowledge) failure ??= error;
      }
    }
    throw failure ?? new VcsError('absent', `there is no repository at ${address} or ${address}.git`);
  }

  async #isThere(url: string, path: ModulePath, signal: AbortSignal): Promise<boolean> {
    const { probe, clock, goodForMs = 600_000, failedForMs = 30_000 } = this.#options;
    if (probe === undefined) return false;
    const known = this.#probed.get(url);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.isThere;
    const isThere = await probe(url, path, signal);
    const untilMs = clock.monotonic() + (isThere ? goodForMs : failedForMs);
    this.#probed.set(url, { isThere, untilMs });
    return isThere;
  }
}
