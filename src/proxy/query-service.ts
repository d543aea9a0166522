/**
 * Version queries through `.info`: a branch, a tag that is no canonical version, a commit prefix. The answer is
 * whatever version a source resolves it to; it is mutable, and sources are asked in order.
 */
import { checkInfo, parseInfo } from '../gomod/info-file.ts';
import { escapePath } from '../gomod/module-path.ts';
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { escapeVersion } from '../gomod/version.ts';
import { failureOf } from '../ingest/source-failure.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';
import type { Plan } from '../upstream/plan.ts';
import { walkForBody } from '../upstream/walk-for-body.ts';
import { type Answer, type Ask, type AskOrigin, Revalidating, type Windows } from './revalidating.ts';
import { isComplete } from './stored-versions.ts';
import type { SourcesState } from './without-sources.ts';

export interface QueryValue {
  readonly body: string;
  readonly source: string;
}

export interface QueryDeps extends SourcesState {
  readonly clock: Clock;
  readonly store: Store;
  plan(path: ModulePath, answerClass: 'meta'): Plan;
  isPrivate(path: ModulePath): boolean;
  /** False: what it once said of this module counts no more. Default: everybody counts. */
  isSourceOf?(path: ModulePath, source: string): boolean;
  /** Why a version is no more, where it was unpublished here: a sentence. Default: none is. */
  unpublished?(path: ModulePath, version: Version): string | undefined;
  absenceHint(path: ModulePath): string | undefined;
  pathIsKnown(path: ModulePath): Promise<boolean>;
  windows(path: string): Windows;
  /** A newer answer is known: kept replies are out of date. */
  onChanged(path: ModulePath): void;
  /** Read at each use: a reload may change them. Bytes and milliseconds. */
  readonly limits: { infoBytes(): number };
}

export class QueryService {
  readonly #deps: QueryDeps;
  readonly #answers: Revalidating<QueryValue>;

  constructor(deps: QueryDeps) {
    this.#deps = deps;
    this.#answers = new Revalidating<QueryValue>({
      clock: deps.clock,
      maxEntries: 10_000,
      isOffline: () => deps.isOffline(),
      mayAnswer: (key) => deps.mayAnswer(split(key).path),
      patienceMs: () => deps.patienceMs(),
      isPrivate: (key) => deps.isPrivate(split(key).path),
      windows: (key) => deps.windows(split(key).path),
      load: async (key) => {
        const { path, query } = split(key);
        const entry = await deps.store.readMutable(path, `query:${query}`);
        if (entry === undefined) return undefined;
        const [source = 'store'] = entry.sources;
        if (source !== 'store' && deps.isSourceOf?.(path, source) === false) return undefined;
        return {
          value: { body: entry.body, source },
          confirmedAtMs: entry.confirmedAtMs,
        };
      },
      fetch: (key, signal, origin) => this.#fetch(key, signal, origin),
      save: (key, known) => {
        const { path, query } = split(key);
        deps.onChanged(path);
        void deps.store
          .writeMutable(path, `query:${query}`, {
            body: known.value.body,
            confirmedAtMs: known.confirmedAtMs,
            sources: [known.value.source],
          })
          .catch(() => {});
      },
    });
  }

  /**
   * Rejects as `Revalidating.get`, and with SourcesFailure `gone` when the version it resolves to was unpublished here:
   * what a branch names next best nobody has asked for.
   */
  async get(path: ModulePath, query: VersionQuery, ask: Ask): Promise<Answer<QueryValue>> {
    const answer = await this.#answers.get(`${path}@${query}`, ask);
    this.#refuseUnpublished(path, answer.value);
    return answer;
  }

  /**
   * The kept answer, if the version it names is stored complete; asks no source. Rejects with SourcesFailure `gone` as
   * `get`.
   */
  async stored(path: ModulePath, query: VersionQuery): Promise<QueryValue | undefined> {
    const kept = await this.#answers.peek(`${path}@${query}`);
    if (kept === undefined) return undefined;
    this.#refuseUnpublished(path, kept.value);
    const version = versionIn(kept.value.body);
    if (version === undefined || !(await isComplete(this.#deps.store, path, version))) return undefined;
    return kept.value;
  }

  refresh(path: ModulePath, query: VersionQuery): void {
    this.#answers.refresh(`${path}@${query}`);
  }

  /** See `Revalidating.clear`. */
  clear(isMeant: (path: ModulePath) => boolean): void {
    this.#answers.clear((key) => isMeant(split(key).path));
  }

  /** Every query of the module. See `Revalidating.expire`. */
  expire(path: ModulePath): Promise<void> {
    return this.#answers.expireAll(`${path}@`);
  }

  forget(path: ModulePath): void {
    this.#answers.forgetAll(`${path}@`);
  }

  /** What was kept before the version was taken back names it too. */
  #refuseUnpublished(path: ModulePath, { body }: QueryValue): void {
    const version = versionIn(body);
    const reason = version === undefined ? undefined : this.#deps.unpublished?.(path, version as Version);
    if (reason !== undefined) throw new SourcesFailure('gone', reason);
  }

  async #fetch(key: string, signal: AbortSignal, origin: AskOrigin): Promise<QueryValue> {
    const { path, query } = split(key);
    const { clock, limits } = this.#deps;
    const { good, outcomes } = await walkForBody({
      plan: this.#deps.plan(path, 'meta'),
      isKnown: async () => this.#deps.isPrivate(path) || (await this.#deps.pathIsKnown(path)),
      modulePath: path,
      target: `/${escapePath(path)}/@v/${escapeVersion(query)}.info`,
      answerClass: 'meta',
      signal,
      clock,
      limitBytes: limits.infoBytes(),
      judge(body) {
        checkInfo(path, query, body);
        return body.toString('utf8');
      },
      ...origin,
    });
    if (good !== undefined) return { body: good.value, source: good.upstream };
    throw failureOf(outcomes, {
      path,
      knownToExist: await this.#deps.pathIsKnown(path),
      isPrivate: this.#deps.isPrivate(path),
      hint: this.#deps.absenceHint(path),
      what: `${path}@${query}`,
    });
  }
}

/** Undefined for what the disk has garbled. */
function versionIn(body: string): string | undefined {
  try {
    return parseInfo(Buffer.from(body)).version;
  } catch {
    return undefined;
  }
}

function split(key: string): { path: ModulePath; query: VersionQuery } {
  // A module path has no '@'; a query may.
  const at = key.indexOf('@');
  return { path: key.slice(0, at) as ModulePath, query: key.slice(at + 1) as VersionQuery };
}
