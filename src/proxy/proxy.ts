/**
 * The use cases behind one entrance: takes a checked operation, says who may be asked, and answers with a reply.
 * It knows nothing of HTTP.
 */
import type { ModulePath, Version, VersionQuery } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/store.ts';
import { type ArtifactService, sha256Of } from './artifact-service.ts';
import { explainKept, type KeptFacts } from './explain.ts';
import type { LatestService } from './latest-service.ts';
import type { ListService } from './list-service.ts';
import type { NegativeCache } from './negative-cache.ts';
import type { Operation } from './operation.ts';
import type { QueryService } from './query-service.ts';
import type { Answer, Ask } from './revalidating.ts';
import type { SumdbService } from './sumdb-service.ts';
import type { BytesReply, CachePolicy, FreshnessOptions, Reply, RequestContext } from './types.ts';
import { notStored } from './without-sources.ts';

export interface ProxyDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly artifacts: ArtifactService;
  readonly lists: ListService;
  readonly latest: LatestService;
  readonly queries: QueryService;
  readonly sumdb: SumdbService;
  readonly negatives: NegativeCache;
  freshness(): FreshnessOptions;
  /** How long a confirmed answer about this module is fresh. Milliseconds. */
  freshMs(path: ModulePath, what: 'list' | 'query'): number;
  /** Before a module is answered: takes out what must not be served of it any more. */
  settle(path: ModulePath): Promise<void> | undefined;
  /** Why a version is no more, where it was unpublished here: a sentence. */
  unpublished(path: ModulePath, version: Version): string | undefined;
  /** Throws SourcesFailure when there is nobody who may be asked for this module. */
  requireSources(path: ModulePath): void;
  /** True: every request is answered from what is stored, nobody is asked for anything. */
  isOffline(): boolean;
}

/** One list, @latest or version query: how it is answered with sources and without. */
interface Question {
  readonly path: ModulePath;
  /** For texts. */
  readonly what: string;
  /** Under which its absence is remembered. */
  readonly name: string;
  readonly contentType: 'text' | 'json';
  readonly freshAs: 'list' | 'query';
  /** Asks nobody; undefined when nothing of it is stored. */
  stored(): Promise<Buffer | undefined>;
  ask(): Promise<{ readonly body: Buffer; readonly answer: Answer<object> | undefined }>;
  refresh(): void;
}

/** How long an answer given without a source's word is ready by URL before it is looked at again. */
const unconfirmedFreshMs = 1_000;
/** How long it then stays ready while each asker has it refreshed: as much its `Age` may lag behind. */
const unconfirmedKeptMs = 30_000;

export class Proxy {
  readonly #deps: ProxyDeps;

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
  }

  /** Rejects with SourcesFailure, InvalidRequestError, StoreError or the context's abort reason. */
  async handle(operation: Operation, context: RequestContext): Promise<Reply> {
    if (operation.kind !== 'sumdb') {
      const path = operation.kind === 'artifact' ? operation.key.path : operation.path;
      await this.#deps.settle(path);
    }
    switch (operation.kind) {
      case 'artifact': {
        const { path, version } = operation.key;
        const stone = this.#deps.unpublished(path, version);
        if (stone !== undefined) throw new SourcesFailure('gone', stone);
        return this.#deps.artifacts.get(operation.key, context);
      }
      case 'list':
        return this.#answer(this.#list(operation.path, context), context);
      case 'latest':
        return this.#answer(this.#latest(operation.path, context), context);
      case 'query':
        return this.#answer(this.#query(operation.path, operation.query, context), context);
      case 'sumdb':
        return this.#deps.sumdb.get(operation.rest, context);
      default:
        return operation satisfies never;
    }
  }

  /**
   * Forgets what was found absent of a module and puts its withdrawn versions back into the list, so that the next
   * request asks the sources. Returns how many answers that were.
   */
  clearNegatives(path: ModulePath): number {
    return this.#deps.negatives.forget(path) + this.#deps.lists.restoreAll(path);
  }

  /** What is kept of a module, and of one version of it, and how fresh it is. Asks no source, never rejects. */
  explain(path: ModulePath, version?: Version): Promise<KeptFacts> {
    return explainKept(this.#deps, path, version);
  }

  #list(path: ModulePath, context: RequestContext): Question {
    const { lists } = this.#deps;
    return {
      path,
      what: `${path}/@v/list`,
      name: `${path}@list`,
      contentType: 'text',
      freshAs: 'list',
      stored: async () => {
        const versions = await lists.storedIfAny(path);
        return versions === undefined ? undefined : textOf(versions);
      },
      ask: async () => {
        const { versions, answer } = await lists.get(path, askOf(context));
        return { body: textOf(versions), answer };
      },
      refresh: () => lists.refresh(path),
    };
  }

  #latest(path: ModulePath, context: RequestContext): Question {
    const { latest } = this.#deps;
    return {
      path,
      what: `${path}/@latest`,
      name: `${path}@latest`,
      contentType: 'json',
      freshAs: 'list',
      stored: async () => bytesOf(await latest.stored(path, context.signal)),
      ask: async () => {
        const { value, answer } = await latest.get(path, askOf(context));
        return { body: Buffer.from(value.body), answer };
      },
      refresh: () => latest.refresh(path),
    };
  }

  #query(path: ModulePath, query: VersionQuery, context: RequestContext): Question {
    const { queries } = this.#deps;
    return {
      path,
      what: `${path}@${query}`,
      name: `${path}@?${query}`,
      contentType: 'json',
      freshAs: 'query',
      stored: async () => bytesOf(await queries.stored(path, query)),
      ask: async () => {
        const answer = await queries.get(path, query, askOf(context));
        return { body: Buffer.from(answer.value.body), answer };
      },
      refresh: () => queries.refresh(path, query),
    };
  }

  async #answer(question: Question, context: RequestContext): Promise<Reply> {
    const refusal = this.#refusal(question, context);
    if (refusal === undefined) {
      const { body, answer } = await this.#negatively(question, context);
      return this.#reply(question, body, answer);
    }
    const body = await question.stored();
    if (body === undefined) throw refusal;
    // What this client asked for by a header of its own is not kept for others.
    const keep = !context.storedOnly;
    return {
      ...this.#reply(question, body, undefined),
      cache: keep ? this.#brief(unconfirmedFreshMs) : { kind: 'none' },
      keep,
    };
  }

  /** Why nobody may be asked; undefined when somebody may. */
  #refusal({ path, what }: Question, context: RequestContext): SourcesFailure | undefined {
    const isOffline = this.#deps.isOffline();
    if (isOffline || context.storedOnly) return notStored(what, isOffline);
    try {
      this.#deps.requireSources(path);
      return undefined;
    } catch (error) {
      if (error instanceof SourcesFailure) return error;
      throw error;
    }
  }

  /** Remembers an agreed absence for its short time, and asks nobody while it lasts. */
  async #negatively(question: Question, context: RequestContext): ReturnType<Question['ask']> {
    const { negatives } = this.#deps;
    const known = negatives.get(question.name, context.revalidate);
    if (known !== undefined) throw known;
    try {
      return await question.ask();
    } catch (error) {
      if (error instanceof SourcesFailure && error.isAbsence && !error.isTooLate) {
        const freshness = this.#deps.freshness();
        negatives.put(question.name, error, error.partial ? freshness.partialMs : freshness.negativeListMs);
      }
      throw error;
    }
  }

  #reply(question: Question, body: Buffer, answer: Answer<object> | undefined): BytesReply {
    return {
      kind: 'bytes',
      body,
      sha256: sha256Of(body),
      // The union changes without a new confirmation, so only the ETag can tell.
      lastModifiedMs: undefined,
      contentType: question.contentType,
      cache: this.#policy(question, answer),
      source: sourceOf(answer),
      keep: true,
      refresh: () => question.refresh(),
    };
  }

  #policy(question: Question, answer: Answer<object> | undefined): CachePolicy {
    if (answer === undefined) return this.#brief(unconfirmedKeptMs);
    const { clock } = this.#deps;
    const ageMs = Math.max(0, clock.now() - answer.confirmedAtMs);
    if (answer.state === 'error')
      return { ...this.#brief(unconfirmedKeptMs), ageS: Math.floor(ageMs / 1000) };
    const freshness = this.#deps.freshness();
    const freshMs = this.#deps.freshMs(question.path, question.freshAs);
    const freshUntilMs = answer.confirmedAtMs + freshMs;
    return {
      kind: 'brief',
      freshUntilMs,
      staleUntilMs: freshUntilMs + freshness.staleWhileRevalidateMs,
      maxAgeS: answer.state === 'fresh' ? Math.max(0, Math.ceil((freshMs - ageMs) / 1000)) : 0,
    };
  }

  #brief(keptMs: number): CachePolicy & { kind: 'brief' } {
    const now = this.#deps.clock.now();
    return {
      kind: 'brief',
      freshUntilMs: now + unconfirmedFreshMs,
      staleUntilMs: now + keptMs,
      maxAgeS: 0,
    };
  }
}

function askOf(context: RequestContext): Ask {
  return {
    signal: context.signal,
    revalidate: context.revalidate,
    requestId: context.id,
    via: context.via,
    deadlineAtMs: context.deadlineAtMs,
  };
}

function textOf(versions: readonly string[]): Buffer {
  return Buffer.from(versions.length === 0 ? '' : `${versions.join('\n')}\n`);
}

function sourceOf(answer: Answer<object> | undefined): string {
  if (answer === undefined || answer.state === 'error') return 'store';
  return answer.asked ? 'upstream' : 'store';
}

function bytesOf(value: { readonly body: string } | undefined): Buffer | undefined {
  return value === undefined ? undefined : Buffer.from(value.body);
}
