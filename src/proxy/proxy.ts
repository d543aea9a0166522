/**
 * The use cases behind one entrance: takes a checked operation, says who may be asked, and answers with a reply.
 * It knows nothing of HTTP.
 */
import type { ModulePath, VersionQuery } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { type ArtifactService, sha256Of } from './artifact-service.ts';
import type { LatestService } from './latest-service.ts';
import type { ListService } from './list-service.ts';
import type { NegativeCache } from './negative-cache.ts';
import type { Operation } from './operation.ts';
import type { QueryService } from './query-service.ts';
import type { Answer, Ask } from './revalidating.ts';
import type { SumdbService } from './sumdb-service.ts';
import type { CachePolicy, FreshnessOptions, Reply, RequestContext } from './types.ts';

export interface ProxyDeps {
  readonly clock: Clock;
  readonly artifacts: ArtifactService;
  readonly lists: ListService;
  readonly latest: LatestService;
  readonly queries: QueryService;
  readonly sumdb: SumdbService;
  readonly negatives: NegativeCache;
  freshness(): FreshnessOptions;
  isPrivate(path: ModulePath): boolean;
  requireSources(path: ModulePath): void;
}

export class Proxy {
  readonly #deps: ProxyDeps;

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
  }

  /** Rejects with SourcesFailure, InvalidRequestError, StoreError or the context's abort reason. */
  async handle(operation: Operation, context: RequestContext): Promise<Reply> {
    switch (operation.kind) {
      case 'artifact':
        return this.#deps.artifacts.get(operation.key, context);
      case 'list':
        return this.#list(operation.path, context);
      case 'latest':
        return this.#latest(operation.path, context);
      case 'query':
        return this.#query(operation.path, operation.query, context);
      case 'sumdb':
        return this.#deps.sumdb.get(operation.rest, context);
      default:
        return operation satisfies never;
    }
  }

  async #list(path: ModulePath, context: RequestContext): Promise<Reply> {
    const { lists } = this.#deps;
    if (context.storedOnly) {
      const versions = await lists.storedIfAny(path);
      if (versions === undefined) throw notStored(`${path}/@v/list`);
      return this.#reply(path, textOf(versions), 'text', undefined, 'store');
    }
    const found = await this.#negatively(`${path}@list`, path, context, () =>
      lists.get(path, askOf(context)),
    );
    const body = textOf(found.versions);
    return this.#reply(path, body, 'text', found.answer, sourceOf(found.answer), {
      freshMs: this.#deps.freshness().listMs,
      refresh: () => lists.refresh(path),
    });
  }

  async #latest(path: ModulePath, context: RequestContext): Promise<Reply> {
    const { latest } = this.#deps;
    if (context.storedOnly) {
      const value = await latest.stored(path, context.signal);
      if (value === undefined) throw notStored(`${path}/@latest`);
      return this.#reply(path, Buffer.from(value.body), 'json', undefined, 'store');
    }
    const answer = await this.#negatively(`${path}@latest`, path, context, () =>
      latest.get(path, askOf(context)),
    );
    const body = Buffer.from(answer.value.body);
    return this.#reply(path, body, 'json', answer, sourceOf(answer), {
      freshMs: this.#deps.freshness().listMs,
      refresh: () => latest.refresh(path),
    });
  }

  async #query(path: ModulePath, query: VersionQuery, context: RequestContext): Promise<Reply> {
    const { queries } = this.#deps;
    if (context.storedOnly) {
      const value = await queries.stored(path, query);
      if (value === undefined) throw notStored(`${path}@${query}`);
      return this.#reply(path, Buffer.from(value.body), 'json', undefined, 'store');
    }
    const answer = await this.#negatively(`${path}@?${query}`, path, context, () =>
      queries.get(path, query, askOf(context)),
    );
    const body = Buffer.from(answer.value.body);
    return this.#reply(path, body, 'json', answer, sourceOf(answer), {
      freshMs: this.#deps.freshness().queryMs,
      refresh: () => queries.refresh(path, query),
    });
  }

  /** Remembers an agreed absence for its short time, and asks nobody while it lasts. */
  async #negatively<Found>(
    name: string,
    path: ModulePath,
    context: RequestContext,
    ask: () => Promise<Found>,
  ): Promise<Found> {
    const { negatives } = this.#deps;
    const known = negatives.get(name, context.revalidate);
    if (known !== undefined) throw known;
    this.#deps.requireSources(path);
    try {
      return await ask();
    } catch (error) {
      if (error instanceof SourcesFailure && error.isAbsence) {
        const freshness = this.#deps.freshness();
        negatives.put(name, error, error.partial ? freshness.partialMs : freshness.negativeListMs);
      }
      throw error;
    }
  }

  #reply(
    path: ModulePath,
    body: Buffer,
    contentType: 'text' | 'json',
    answer: Answer<object> | undefined,
    source: string,
    renewal?: { freshMs: number; refresh: () => void },
  ): Reply {
    return {
      kind: 'bytes',
      body,
      sha256: sha256Of(body),
      // The union changes without a new confirmation, so only the ETag can tell.
      lastModifiedMs: undefined,
      contentType,
      cache:
        answer === undefined || renewal === undefined
          ? { kind: 'none' }
          : this.#policy(path, answer, renewal.freshMs),
      source,
      keep: answer !== undefined && answer.state !== 'error',
      ...(renewal === undefined ? {} : { refresh: renewal.refresh }),
    };
  }

  #policy(path: ModulePath, answer: Answer<object>, publicFreshMs: number): CachePolicy {
    const freshness = this.#deps.freshness();
    const freshMs = this.#deps.isPrivate(path) ? freshness.privateMs : publicFreshMs;
    const freshUntilMs = answer.confirmedAtMs + freshMs;
    const ageMs = Math.max(0, this.#deps.clock.now() - answer.confirmedAtMs);
    return {
      kind: 'brief',
      freshUntilMs,
      staleUntilMs: freshUntilMs + freshness.staleWhileRevalidateMs,
      maxAgeS: answer.state === 'fresh' ? Math.max(0, Math.ceil((freshMs - ageMs) / 1000)) : 0,
      ...(answer.state === 'error' ? { ageS: Math.floor(ageMs / 1000) } : {}),
    };
  }
}

function askOf(context: RequestContext): Ask {
  return {
    signal: context.signal,
    revalidate: context.revalidate,
    requestId: context.id,
    via: context.via,
  };
}

function textOf(versions: readonly string[]): Buffer {
  return Buffer.from(versions.length === 0 ? '' : `${versions.join('\n')}\n`);
}

function sourceOf(answer: Answer<object> | undefined): string {
  if (answer === undefined || answer.state === 'error') return 'store';
  return answer.asked ? 'upstream' : 'store';
}

function notStored(what: string): SourcesFailure {
  return new SourcesFailure('not_fetched', `${what}: not stored, and fetching was not allowed`);
}
