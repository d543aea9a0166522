/**
 * `@latest`: the highest of the sources' own answers; computed by Go's rule from what is listed and stored only
 * when no source answers (ruling 6).
 */

import { parseGoModLax } from '../gomod/go-mod-file.ts';
import { checkInfo, parseInfo } from '../gomod/info-file.ts';
import { latestVersion } from '../gomod/latest.ts';
import { escapePath } from '../gomod/module-path.ts';
import type { ModulePath, Version } from '../gomod/types.ts';
import { compareVersions, isPrerelease, isPseudoVersion } from '../gomod/version.ts';
import { failureOf } from '../ingest/source-failure.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';
import { fanOut } from '../upstream/fan-out.ts';
import type { Plan } from '../upstream/plan.ts';
import type { ListService } from './list-service.ts';
import {
  type Answer,
  type Ask,
  type AskOrigin,
  type Kept,
  Revalidating,
  type Windows,
} from './revalidating.ts';
import { isComplete, readStored } from './stored-versions.ts';
import type { SourcesState } from './without-sources.ts';

/** In place of a source's name: computed by us. */
const computedHere = 'store';

export interface LatestValue {
  /** The .info as the winning source gave it, byte for byte. */
  readonly body: string;
  readonly version: string;
  readonly source: string;
}

export interface LatestDeps extends SourcesState {
  readonly clock: Clock;
  readonly store: Store;
  readonly lists: ListService;
  plan(path: ModulePath, answerClass: 'meta'): Plan;
  isPrivate(path: ModulePath): boolean;
  /** False: what it once said of this module counts no more. Default: everybody counts. */
  isSourceOf?(path: ModulePath, source: string): boolean;
  /** Never the answer, whatever sources say. Default: none. */
  isUnpublished?(path: ModulePath, version: string): boolean;
  absenceHint(path: ModulePath): string | undefined;
  pathIsKnown(path: ModulePath): Promise<boolean>;
  windows(path: string): Windows;
  /** A newer answer is known: kept replies are out of date. */
  onChanged(path: ModulePath): void;
  /** The .info or .mod of a version, from the store or the sources. Rejects when it cannot be had. */
  artifact(path: ModulePath, version: Version, ext: 'info' | 'mod', signal: AbortSignal): Promise<Buffer>;
  /** Read at each use: a reload may change them. Bytes and milliseconds. */
  readonly limits: { infoBytes(): number };
}

export class LatestService {
  readonly #deps: LatestDeps;
  readonly #answers: Revalidating<LatestValue>;

  constructor(deps: LatestDeps) {
    this.#deps = deps;
    this.#answers = new Revalidating<LatestValue>({
      clock: deps.clock,
      maxEntries: 10_000,
      isOffline: () => deps.isOffline(),
      mayAnswer: (path) => deps.mayAnswer(path as ModulePath),
      patienceMs: () => deps.patienceMs(),
      isPrivate: (path) => deps.isPrivate(path as ModulePath),
      windows: (path) => deps.windows(path),
      load: async (path) => {
        const entry = await deps.store.readMutable(path as ModulePath, 'latest');
        if (entry === undefined) return undefined;
        const { version } = parseInfo(Buffer.from(entry.body));
        const source = entry.sources[0] ?? computedHere;
        if (source !== computedHere && deps.isSourceOf?.(path as ModulePath, source) === false)
          return undefined;
        return { value: { body: entry.body, version, source }, confirmedAtMs: entry.confirmedAtMs };
      },
      fetch: (path, signal, origin) => this.#fetch(path as ModulePath, signal, origin),
      save: (path, known) => {
        deps.onChanged(path as ModulePath);
        void deps.store
          .writeMutable(path as ModulePath, 'latest', {
            body: known.value.body,
            confirmedAtMs: known.confirmedAtMs,
            sources: [known.value.source],
          })
          .catch(() => {});
      },
    });
  }

  /**
   * Rejects with SourcesFailure when neither a source nor what is known gives an answer. `answer` undefined: computed
   * from the store, because nothing is kept and no source can be expected to answer.
   */
  async get(
    path: ModulePath,
    ask: Ask,
  ): Promise<{ value: LatestValue; answer: Answer<LatestValue> | undefined }> {
    if (!this.#deps.mayAnswer(path) && (await this.#answers.peek(path)) === undefined) {
      const value = await this.#compute(path, ask.signal, true);
      if (value !== undefined) {
        this.#answers.refresh(path);
        return { value, answer: undefined };
      }
    }
    const answer = await this.#answers.get(path, ask);
    return { value: answer.value, answer };
  }

  /** What is kept, if its version is stored complete, else computed from what is stored; asks no source. */
  async stored(path: ModulePath, signal: AbortSignal): Promise<LatestValue | undefined> {
    const kept = await this.#answers.peek(path);
    if (kept !== undefined && (await isComplete(this.#deps.store, path, kept.value.version))) {
      return kept.value;
    }
    return this.#compute(path, signal, true);
  }

  /** What is kept and how fresh it is; asks nobody. */
  inspect(path: ModulePath): Promise<Kept<LatestValue> | undefined> {
    return this.#answers.inspect(path);
  }

  refresh(path: ModulePath): void {
    this.#answers.refresh(path);
  }

  /** See `Revalidating.clear`. */
  clear(isMeant: (path: ModulePath) => boolean): void {
    this.#answers.clear((key) => isMeant(key as ModulePath));
  }

  /** See `Revalidating.expire`. */
  expire(path: ModulePath): Promise<void> {
    return this.#answers.expire(path);
  }

  forget(path: ModulePath): void {
    this.#answers.forget(path);
  }

  async #fetch(path: ModulePath, signal: AbortSignal, origin: AskOrigin): Promise<LatestValue> {
    const { answers, outcomes } = await fanOut({
      plan: this.#deps.plan(path, 'meta'),
      isKnown: async () => this.#deps.isPrivate(path) || (await this.#deps.pathIsKnown(path)),
      modulePath: path,
      target: `/${escapePath(path)}/@latest`,
      signal,
      clock: this.#deps.clock,
      limitBytes: this.#deps.limits.infoBytes(),
      ...origin,
      read: (body) => ({ body: body.toString('utf8'), version: checkInfo(path, 'latest', body).version }),
    });
    const best = answers
      .map(({ upstream, value }) => ({ ...value, source: upstream }))
      .filter(({ version }) => this.#deps.isUnpublished?.(path, version) !== true)
      .sort((a, b) => compareForLatest(b.version, a.version))[0];
    if (best !== undefined) return best;
    if (answers.length > 0) {
      const next = await this.#compute(path, signal, false);
      if (next !== undefined) return next;
    }
    const failure = failureOf(outcomes, {
      path,
      knownToExist: await this.#deps.pathIsKnown(path),
      isPrivate: this.#deps.isPrivate(path),
      hint: this.#deps.absenceHint(path),
      what: `${path}/@latest`,
    });
    // What a source said goes before what could be computed, as long as the sources merely fail.
    if (!failure.isAbsence && (await this.#hasSourcesWord(path))) throw failure;
    const computed = await this.#compute(path, signal, false);
    if (computed === undefined) throw failure;
    return computed;
  }

  async #hasSourcesWord(path: ModulePath): Promise<boolean> {
    const kept = await this.#answers.inspect(path);
    return kept !== undefined && kept.state !== 'expired' && kept.value.source !== computedHere;
  }

  async #compute(
    path: ModulePath,
    signal: AbortSignal,
    storedOnly: boolean,
  ): Promise<LatestValue | undefined> {
    const listed = storedOnly ? await this.#deps.lists.stored(path) : await this.#deps.lists.known(path);
    const stored = await this.#deps.store.completeVersions(path);
    const versions = [...new Set([...listed, ...stored])];
    const read = (version: string, ext: 'info' | 'mod'): Promise<Buffer> =>
      storedOnly
        ? readStored(this.#deps.store, path, version as Version, ext)
        : this.#deps.artifact(path, version as Version, ext, signal);
    const version = await latestVersion(versions, {
      path,
      goModOf: async (candidate) => {
        try {
          return parseGoModLax(await read(candidate, 'mod'));
        } catch {
          return undefined;
        }
      },
    });
    if (version === undefined) return undefined;
    try {
      const body = await read(version, 'info');
      return { body: body.toString('utf8'), version, source: computedHere };
    } catch {
      return undefined;
    }
  }
}

/** Releases before pre-releases before pseudo-versions, then semantic order. */
function compareForLatest(a: string, b: string): number {
  return rank(a) - rank(b) || compareVersions(a, b);
}

function rank(version: string): number {
  if (isPseudoVersion(version)) return 0;
  return isPrerelease(version) ? 1 : 2;
}
