/**
 * `/sumdb/…` passed through: to any upstream that offers it, then to the database's own address. Only databases on
 * the allow list are reachable, and only by the shapes of the protocol, so that a name never becomes a host to dial.
 * What passes is kept in the store: full tiles answer for good, the rest when it is young, offline, or when the
 * sources fail.
 * @see https://go.dev/ref/mod#checksum-database
 */
import { LRUCache } from 'lru-cache';
import type { ModulePath } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { raceAbort } from '../lib/abort.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { KeptSumdb, Store } from '../store/store.ts';
import type { Upstream } from '../upstream/types.ts';
import { sha256Of } from './artifact-service.ts';
import { failurePauseMs } from './revalidating.ts';
import { parseSumdbOperation, type SumdbOperation, wrongShape } from './sumdb-operation.ts';
import { askSumdb, type Fetched, type SumdbQuestion, type SumdbWays } from './sumdb-sources.ts';
import type { BytesReply, CachePolicy, RequestContext } from './types.ts';
import { notStored } from './without-sources.ts';

/** One database that may be passed through. */
export interface SumdbEntry {
  /** As in `GOSUMDB`: a host, or `host/path`. */
  readonly name: string;
  /** The database's own address, asked last. */
  readonly direct: Upstream | undefined;
}

export interface SumdbDeps extends SumdbWays {
  readonly store: Pick<Store, 'keptSumdb' | 'keepSumdb'>;
  databases(): readonly SumdbEntry[];
  isPrivate(path: ModulePath): boolean;
  /** True: nobody is asked. */
  isOffline(): boolean;
  /** False: no upstream can be expected to answer now. */
  mayAnswer(): boolean;
  /** How long an asker waits for the sources when an older answer is kept. */
  patienceMs(): number;
}

/** One request, read and checked. */
interface Asked extends SumdbQuestion {
  /** The database's name. */
  readonly name: string;
  readonly cache: CachePolicy;
}

interface InMemory {
  readonly body: Buffer;
  readonly sha256: string;
}

const memoryBytes = 32 * 1024 * 1024;
/** A lookup's record never changes; only the tree head signed with it grows older. */
const lookupKeptMs = 10 * 60_000;

export class SumdbService {
  readonly #deps: SumdbDeps;
  readonly #memory: LRUCache<string, InMemory>;
  readonly #running = new Map<string, SharedWork<Fetched>>();
  /** Monotonic, by database: when its sources failed, or were asked without much hope. */
  readonly #failedAtMs = new Map<string, number>();
  /** Databases whose sources outlasted an asker's patience and have answered nothing since. */
  readonly #slow = new Set<string>();

  constructor(deps: SumdbDeps) {
    this.#deps = deps;
    this.#memory = new LRUCache({ maxSize: memoryBytes, sizeCalculation: (kept) => kept.body.length + 200 });
  }

  /** Rejects with InvalidRequestError, SourcesFailure, or the abort reason. */
  async get(rest: string, context: RequestContext): Promise<BytesReply> {
    const asked = this.#read(rest);
    const { operation, cache } = asked;
    if (operation.kind === 'supported') return reply(Buffer.alloc(0), cache, 'modferry');
    // A full tile never changes: asking again for it could only bring a wrong one.
    const isFinal = cache.kind === 'immutable';
    const inMemory = this.#memory.get(rest);
    if (inMemory !== undefined && (isFinal || !context.revalidate)) {
      return reply(inMemory.body, cache, 'store', inMemory.sha256);
    }
    const isOffline = this.#deps.isOffline();
    const kept = await this.#kept(asked);
    const young = kept === undefined ? 0 : this.#stillYoungMs(operation, kept);
    if (kept !== undefined && (isFinal || (young > 0 && !context.revalidate))) {
      return reply(kept.body, cache, 'store', this.#remember(asked, kept.body, young).sha256);
    }
    if (isOffline || context.storedOnly) {
      if (kept === undefined) throw notStored(`/sumdb/${rest}`, isOffline);
      return reply(kept.body, cache, 'store');
    }
    if (kept !== undefined && !this.#isWorthWaiting(asked, context)) return reply(kept.body, cache, 'store');
    const answer =
      kept === undefined
        ? await this.#work(asked, context).join(context.signal, context.deadlineAtMs)
        : await this.#fetchedOrKept(asked, kept, context);
    return reply(answer.body, cache, answer.source);
  }

  /** What is kept where the sources fail or outlast the asker's patience. */
  async #fetchedOrKept(asked: Asked, kept: KeptSumdb, context: RequestContext): Promise<Fetched> {
    const work = this.#work(asked, context);
    // It goes on behind the reply of an asker whose patience ends.
    work.join().catch(() => {});
    const instead = { body: kept.body, source: 'store' };
    const late = Promise.withResolvers<Fetched>();
    const timer = this.#deps.clock.setTimeout(() => {
      this.#failed(asked.name);
      this.#slow.add(asked.name);
      late.resolve(instead);
    }, this.#deps.patienceMs());
    try {
      return await raceAbort(Promise.race([work.promise, late.promise]), context.signal);
    } catch (error) {
      if (context.signal.aborted || !(error instanceof SourcesFailure)) throw error;
      return instead;
    } finally {
      timer.cancel();
    }
  }

  #work(asked: Asked, context: RequestContext): SharedWork<Fetched> {
    const { rest } = asked;
    const running = this.#running.get(rest);
    if (running !== undefined && !running.cancelled) return running;
    const started: SharedWork<Fetched> = new SharedWork((signal, deadlineAtMs) =>
      this.#fetchAndKeep(asked, { ...context, signal, deadlineAtMs }).finally(() => {
        if (this.#running.get(rest) === started) this.#running.delete(rest);
      }),
    );
    this.#running.set(rest, started);
    return started;
  }

  async #fetchAndKeep(asked: Asked, context: RequestContext): Promise<Fetched> {
    const { name, text, operation } = asked;
    try {
      const answer = await askSumdb(this.#deps, asked, context);
      this.#failedAtMs.delete(name);
      this.#slow.delete(name);
      if (asked.cache.kind === 'immutable') this.#remember(asked, answer.body, 0);
      else if (operation.kind === 'lookup') this.#remember(asked, answer.body, lookupKeptMs);
      // A disk that does not take it is no failure of the request.
      this.#deps.store.keepSumdb(name, text, answer.body).catch(() => {});
      return answer;
    } catch (error) {
      // An absence is an answer: the database was reached.
      if (
        error instanceof SourcesFailure &&
        !error.isAbsence &&
        !error.isTooLate &&
        !context.signal.aborted
      ) {
        this.#failed(name);
      }
      throw error;
    }
  }

  /** `forMs` 0: as long as there is room. */
  #remember({ rest }: Asked, body: Buffer, forMs: number): InMemory {
    const entry = { body, sha256: sha256Of(body) };
    this.#memory.set(rest, entry, forMs > 0 ? { ttl: forMs } : {});
    return entry;
  }

  /** From the store; a partial tile also out of the full one, which begins with the same hashes. */
  async #kept({ name, text, operation }: Asked): Promise<KeptSumdb | undefined> {
    const { store } = this.#deps;
    const exact = await store.keptSumdb(name, text).catch(() => undefined);
    // The disk may have garbled it: a tile that is kept for good must not be wrong for good.
    if (exact !== undefined && wrongShape(operation, exact.body) === undefined) return exact;
    if (operation.kind !== 'tile' || operation.full === undefined || operation.hashBytes === undefined) {
      return undefined;
    }
    const full = await store.keptSumdb(name, operation.full).catch(() => undefined);
    if (full === undefined || full.body.length < operation.hashBytes) return undefined;
    return { ...full, body: full.body.subarray(0, operation.hashBytes) };
  }

  /** How long a kept lookup still answers without asking; 0 for what must be asked again. */
  #stillYoungMs(operation: SumdbOperation, kept: KeptSumdb): number {
    if (operation.kind !== 'lookup') return 0;
    return Math.max(0, kept.keptAtMs + lookupKeptMs - this.#deps.clock.now());
  }

  /** For who has something kept: false while the sources have just failed or cannot be expected to answer. */
  #isWorthWaiting(asked: Asked, context: RequestContext): boolean {
    const failedAtMs = this.#failedAtMs.get(asked.name) ?? Number.NEGATIVE_INFINITY;
    if (this.#deps.clock.monotonic() - failedAtMs < failurePauseMs) return false;
    const mayAnswer = this.#deps.mayAnswer();
    if (mayAnswer && !this.#slow.has(asked.name)) return true;
    // The database's own address is no upstream and may be well although they are not.
    if (mayAnswer || asked.direct !== undefined) {
      this.#failed(asked.name);
      this.#work(asked, context)
        .join()
        .catch(() => {});
    }
    return false;
  }

  #failed(name: string): void {
    this.#failedAtMs.set(name, this.#deps.clock.monotonic());
  }

  /** Throws InvalidRequestError, or SourcesFailure for a database or module that is not passed through. */
  #read(rest: string): Asked {
    const { name, direct } = this.#databaseOf(rest);
    const text = rest.slice(name.length + 1);
    const operation = parseSumdbOperation(text);
    if (operation.kind === 'lookup' && this.#deps.isPrivate(operation.path)) {
      throw new SourcesFailure(
        'not_fetched',
        `${operation.path} is private here and is never looked up in a checksum database; set GONOSUMDB for it`,
      );
    }
    const isFinal = operation.kind === 'tile' && operation.full === undefined;
    return {
      name,
      direct,
      rest,
      text,
      operation,
      cache: { kind: isFinal ? 'immutable' : 'none' },
    };
  }

  #databaseOf(rest: string): SumdbEntry {
    const databases = this.#deps.databases();
    // Names may be `host/path`, so one may be the beginning of another: the longest wins.
    const found = databases
      .filter(({ name }) => rest.startsWith(`${name}/`))
      .sort((a, b) => b.name.length - a.name.length)[0];
    if (found !== undefined) return found;
    throw new SourcesFailure(
      'absent',
      `this checksum database is not passed through here (allowed: ${databases.map(({ name }) => name).join(', ') || 'none'}); add it with --sumdb`,
    );
  }
}

function reply(body: Buffer, cache: CachePolicy, source: string, sha256 = sha256Of(body)): BytesReply {
  return {
    kind: 'bytes',
    body,
    sha256,
    lastModifiedMs: undefined,
    contentType: body.length > 0 && cache.kind === 'immutable' ? 'octets' : 'text',
    cache,
    source,
    keep: false,
  };
}
