/**
 * `@v/list`: the union of what sources list and what is stored complete, in semantic order without
 * pseudo-versions (ruling 14). Each source's list is kept apart, so that a source that fails does not take its
 * versions away from the union.
 */

import { escapePath } from '../gomod/module-path.ts';
import type { ModulePath } from '../gomod/types.ts';
import { formatList, parseList } from '../gomod/version-list.ts';
import { failureOf } from '../ingest/source-failure.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';
import { fanOut } from '../upstream/fan-out.ts';
import type { Plan } from '../upstream/plan.ts';
import {
  type Answer,
  type Ask,
  type AskOrigin,
  type Kept,
  Revalidating,
  type Windows,
} from './revalidating.ts';
import type { SourcesState } from './without-sources.ts';

/** Versions by source name, each with the time it was confirmed. */
export interface SourceLists {
  readonly bySource: Readonly<Record<string, readonly string[]>>;
}

export interface ListDeps extends SourcesState {
  readonly clock: Clock;
  readonly store: Store;
  plan(path: ModulePath, answerClass: 'meta'): Plan;
  isPrivate(path: ModulePath): boolean;
  /** False: what it once said of this module counts no more. Default: everybody counts. */
  isSourceOf?(path: ModulePath, source: string): boolean;
  /** Never listed, whatever sources say. Default: none. */
  isUnpublished?(path: ModulePath, version: string): boolean;
  absenceHint(path: ModulePath): string | undefined;
  pathIsKnown(path: ModulePath): Promise<boolean>;
  windows(path: string): Windows;
  /** A newer answer is known: kept replies are out of date. */
  onChanged(path: ModulePath): void;
  /** Read at each use: a reload may change them. Bytes and milliseconds. */
  readonly limits: { listBytes(): number };
}

/** How long a version that every source refuses stays out of the list (ruling 6). */
const withdrawnMs = 10 * 60_000;
const maxWithdrawn = 10_000;

export class ListService {
  readonly #deps: ListDeps;
  readonly #lists: Revalidating<SourceLists>;
  readonly #withdrawn = new Map<string, number>();

  constructor(deps: ListDeps) {
    this.#deps = deps;
    this.#lists = new Revalidating<SourceLists>({
      clock: deps.clock,
      maxEntries: 10_000,
      isOffline: () => deps.isOffline(),
      mayAnswer: (path) => deps.mayAnswer(path as ModulePath),
      patienceMs: () => deps.patienceMs(),
      isPrivate: (path) => deps.isPrivate(path as ModulePath),
      windows: (path) => deps.windows(path),
      load: async (path) => {
        const entry = await deps.store.readMutable(path as ModulePath, 'list');
        const bySource = entry?.facts?.['bySource'];
        if (entry === undefined || typeof bySource !== 'object' || bySource === null) return undefined;
        const kept = Object.entries(bySource as SourceLists['bySource']).filter(
          ([source]) => deps.isSourceOf?.(path as ModulePath, source) !== false,
        );
        if (kept.length === 0 && Object.keys(bySource).length > 0) return undefined;
        return { value: { bySource: Object.fromEntries(kept) }, confirmedAtMs: entry.confirmedAtMs };
      },
      fetch: (path, signal, origin) => this.#fetch(path as ModulePath, signal, origin),
      save: (path, known) => {
        deps.onChanged(path as ModulePath);
        void deps.store
          .writeMutable(path as ModulePath, 'list', {
            body: '',
            confirmedAtMs: known.confirmedAtMs,
            sources: Object.keys(known.value.bySource),
            facts: { bySource: known.value.bySource },
          })
          .catch(() => {});
      },
    });
  }

  /**
   * Rejects with SourcesFailure when no source answers and nothing is stored. `answer` undefined: from the store
   * alone, because no source answered or none can be expected to.
   */
  async get(
    path: ModulePath,
    ask: Ask,
  ): Promise<{ versions: string[]; answer: Answer<SourceLists> | undefined; failure?: unknown }> {
    if (!this.#deps.mayAnswer(path) && (await this.#lists.peek(path)) === undefined) {
      const versions = await this.storedIfAny(path);
      if (versions !== undefined) {
        this.#lists.refresh(path);
        return { versions, answer: undefined };
      }
    }
    try {
      const answer = await this.#lists.get(path, ask);
      return { versions: await this.#union(path, answer.value), answer };
    } catch (error) {
      if (ask.signal.aborted) throw error;
      // Perhaps pseudo-versions only: an empty list then says that the module exists (go asks @latest next).
      const versions = await this.storedIfAny(path);
      if (versions === undefined) throw error;
      return { versions, answer: undefined, failure: error };
    }
  }

  /** What sources listed when last asked, and how fresh that is; asks nobody. */
  inspect(path: ModulePath): Promise<Kept<SourceLists> | undefined> {
    return this.#lists.inspect(path);
  }

  /** Versions stored complete, tags only: what can be had without any source. */
  async stored(path: ModulePath): Promise<string[]> {
    return listVersions(await this.#deps.store.completeVersions(path));
  }

  /** As `stored`; undefined when nothing at all of the module is stored complete. */
  async storedIfAny(path: ModulePath): Promise<string[] | undefined> {
    const versions = await this.#deps.store.completeVersions(path);
    return versions.length === 0 ? undefined : listVersions(versions);
  }

  /** What sources listed when last asked, and what is stored; asks nobody. */
  async known(path: ModulePath): Promise<string[]> {
    const known = await this.#lists.peek(path);
    return known === undefined ? this.stored(path) : this.#union(path, known.value);
  }

  /** True when any source has ever listed something of this path. */
  async isKnown(path: ModulePath): Promise<boolean> {
    const known = await this.#lists.peek(path);
    return Object.values(known?.value.bySource ?? {}).some((versions) => versions.length > 0);
  }

  /** The first source that lists the version. */
  async listedBy(path: ModulePath, version: string): Promise<string | undefined> {
    const known = await this.#lists.peek(path);
    if (known === undefined) return undefined;
    return Object.entries(known.value.bySource).find(([, versions]) => versions.includes(version))?.[0];
  }

  refresh(path: ModulePath): void {
    this.#lists.refresh(path);
  }

  /** Takes a version out of the list for ten minutes. */
  withdraw(path: ModulePath, version: string): void {
    if (this.#withdrawn.size >= maxWithdrawn) {
      const oldest = this.#withdrawn.keys().next();
      if (oldest.done !== true) this.#withdrawn.delete(oldest.value);
    }
    this.#withdrawn.set(`${path}@${version}`, this.#deps.clock.monotonic() + withdrawnMs);
    this.#deps.onChanged(path);
  }

  /** The version can be had after all. */
  restore(path: ModulePath, version: string): void {
    if (this.#withdrawn.delete(`${path}@${version}`)) this.#deps.onChanged(path);
  }

  /** As `restore` for every version of a module. Returns how many were withdrawn. */
  restoreAll(path: ModulePath): number {
    let restored = 0;
    for (const name of this.#withdrawn.keys()) {
      const version = name.startsWith(`${path}@`) ? name.slice(path.length + 1) : undefined;
      if (version === undefined) continue;
      if (this.#isWithdrawn(path, version)) restored += 1;
      this.#withdrawn.delete(name);
    }
    if (restored > 0) this.#deps.onChanged(path);
    return restored;
  }

  /** Milliseconds that a version still stays out of the list; undefined when it is not withdrawn. */
  withdrawnForMs(path: ModulePath, version: string): number | undefined {
    if (!this.#isWithdrawn(path, version)) return undefined;
    return (this.#withdrawn.get(`${path}@${version}`) ?? 0) - this.#deps.clock.monotonic();
  }

  /** See `Revalidating.clear`. */
  clear(isMeant: (path: ModulePath) => boolean): void {
    this.#lists.clear((key) => isMeant(key as ModulePath));
  }

  /** See `Revalidating.expire`. */
  expire(path: ModulePath): Promise<void> {
    return this.#lists.expire(path);
  }

  forget(path: ModulePath): void {
    this.#lists.forget(path);
  }

  async #union(path: ModulePath, lists: SourceLists): Promise<string[]> {
    const all = new Set<string>(await this.#deps.store.completeVersions(path));
    for (const versions of Object.values(lists.bySource)) {
      for (const version of versions) if (!this.#isWithdrawn(path, version)) all.add(version);
    }
    for (const version of all) if (this.#deps.isUnpublished?.(path, version) === true) all.delete(version);
    return listVersions(all);
  }

  #isWithdrawn(path: ModulePath, version: string): boolean {
    const name = `${path}@${version}`;
    const untilMs = this.#withdrawn.get(name);
    if (untilMs === undefined) return false;
    if (untilMs > this.#deps.clock.monotonic()) return true;
    this.#withdrawn.delete(name);
    return false;
  }

  async #fetch(path: ModulePath, signal: AbortSignal, origin: AskOrigin): Promise<SourceLists> {
    const before = (await this.#lists.peek(path))?.value.bySource ?? {};
    const collected: Record<string, string[]> = {};
    const plan = this.#deps.plan(path, 'meta');
    const { answers, outcomes } = await fanOut({
      plan,
      isKnown: async () => this.#deps.isPrivate(path) || (await this.#deps.pathIsKnown(path)),
      modulePath: path,
      target: `/${escapePath(path)}/@v/list`,
      signal,
      clock: this.#deps.clock,
      limitBytes: this.#deps.limits.listBytes(),
      ...origin,
      read: (body) => parseList(body),
      onLate: (upstream, versions) => {
        this.#lists.amend(path, ({ bySource }) => ({ bySource: { ...bySource, [upstream]: versions } }));
        this.#deps.onChanged(path);
      },
    });
    if (answers.length === 0) {
      throw failureOf(outcomes, {
        path,
        knownToExist: await this.#deps.pathIsKnown(path),
        isPrivate: this.#deps.isPrivate(path),
        hint: this.#deps.absenceHint(path),
        what: `${path}/@v/list`,
      });
    }
    for (const { upstream, value } of answers) collected[upstream] = value;
    // A source that failed now keeps what it listed before; one that says absent does not.
    for (const outcome of outcomes) {
      const earlier = before[outcome.source];
      const failed = outcome.code !== 'ok' && outcome.code !== 'absent' && outcome.code !== 'gone';
      if (failed && earlier !== undefined) collected[outcome.source] = [...earlier];
    }
    // One that was not asked, such as a higher level, has not taken anything back.
    const heard = new Set(outcomes.map(({ source }) => source));
    for (const { name } of plan.upstreams) {
      const earlier = before[name];
      if (!heard.has(name) && earlier !== undefined) collected[name] = [...earlier];
    }
    return { bySource: collected };
  }
}

function listVersions(versions: Iterable<string>): string[] {
  const text = formatList([...versions]);
  return text === '' ? [] : text.trimEnd().split('\n');
}
