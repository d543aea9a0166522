/**
 * A checksum database whose key is not known here, passed through: over any upstream that offers it, then its own
 * addresses. What passes is kept in the store: full tiles answer for good, the rest when it is young, offline, or when
 * the sources fail. Nothing of it is proven; the client verifies it.
 */
import { LRUCache } from 'lru-cache';
import { SourcesFailure } from '../ingest/types.ts';
import { raceAbort } from '../lib/abort.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { KeptSumdb, Store } from '../store/store.ts';
import { sha256Of } from './artifact-service.ts';
import { failurePauseMs } from './revalidating.ts';
import { type AskedOperation, wrongShape } from './sumdb-operation.ts';
import { sumdbReply } from './sumdb-reply.ts';
import { askSumdb, type Fetched, type SumdbQuestion, type SumdbWays } from './sumdb-sources.ts';
import type { BytesReply, RequestContext } from './types.ts';
import { notStored } from './without-sources.ts';

export interface PassedSumdbDeps extends SumdbWays {
  readonly store: Pick<Store, 'keptSumdb' | 'keepSumdb'>;
  /** True: nobody is asked. */
  isOffline(): boolean;
  /** False: no upstream can be expected to answer now. */
  mayAnswer(): boolean;
  /** How long an asker waits for the sources when an older answer is kept. */
  patienceMs(): number;
}

interface InMemory {
  readonly body: Buffer;
  readonly sha256: string;
}

const memoryBytes = 32 * 1024 * 1024;
/** A lookup's record never changes; only the tree head signed with it grows older. */
const lookupKeptMs = 10 * 60_000;

export class PassedSumdb {
  readonly #deps: PassedSumdbDeps;
  readonly #memory: LRUCache<string, InMemory>;
  readonly #running = new Map<string, SharedWork<Fetched>>();
  /** Monotonic, by database: when its sources failed, or were asked without much hope. */
  readonly #failedAtMs = new Map<string, number>();
  /** Databases whose sources outlasted an asker's patience and have answered nothing since. */
  readonly #slow = new Set<string>();

  constructor(deps: PassedSumdbDeps) {
    this.#deps = deps;
    this.#memory = new LRUCache({ maxSize: memoryBytes, sizeCalculation: (kept) => kept.body.length + 200 });
  }

  /** Rejects with SourcesFailure or the abort reason. */
  async get(asked: SumdbQuestion, context: RequestContext): Promise<BytesReply> {
    const { rest, operation } = asked;
    // A full tile never changes: asking again for it could only bring a wrong one.
    const isFinal = isFullTile(operation);
    const inMemory = this.#memory.get(rest);
    if (inMemory !== undefined && (isFinal || !context.revalidate)) {
      return replyOf(operation, { ...inMemory, source: 'store' });
    }
    const isOffline = this.#deps.isOffline();
    const kept = await this.#kept(asked);
    const fromStore = (facts: KeptSumdb): BytesReply =>
      replyOf(operation, { body: facts.body, source: 'store' });
    const young = kept === undefined ? 0 : this.#stillYoungMs(operation, kept);
    if (kept !== undefined && (isFinal || (young > 0 && !context.revalidate))) {
      return replyOf(operation, { ...this.#remember(rest, kept.body, young), source: 'store' });
    }
    if (isOffline || context.storedOnly) {
      if (kept === undefined) throw notStored(`/sumdb/${rest}`, isOffline);
      return fromStore(kept);
    }
    if (kept !== undefined && !this.#isWorthWaiting(asked, context)) return fromStore(kept);
    const answer =
      kept === undefined
        ? await this.#work(asked, context).join(context.signal, context.deadlineAtMs)
        : await this.#fetchedOrKept(asked, kept, context);
    return replyOf(operation, answer);
  }

  /** Asked anew each time, and not kept: what a database of proven things has besides. Rejects as `get`. */
  async getUnkept(asked: SumdbQuestion, context: RequestContext): Promise<BytesReply> {
    const isOffline = this.#deps.isOffline();
    if (isOffline || context.storedOnly) throw notStored(`/sumdb/${asked.rest}`, isOffline);
    const work = this.#shared(asked, (signal, deadlineAtMs) =>
      askSumdb(this.#deps, asked, { ...context, signal, deadlineAtMs }),
    );
    const { body, source } = await work.join(context.signal, context.deadlineAtMs);
    return sumdbReply({ body, source, isFinal: false });
  }

  /** What is kept where the sources fail or outlast the asker's patience. */
  async #fetchedOrKept(asked: SumdbQuestion, kept: KeptSumdb, context: RequestContext): Promise<Fetched> {
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

  #work(asked: SumdbQuestion, context: RequestContext): SharedWork<Fetched> {
    return this.#shared(asked, (signal, deadlineAtMs) =>
      this.#fetchAndKeep(asked, { ...context, signal, deadlineAtMs }),
    );
  }

  /** The one question of this URL: found or started. */
  #shared(
    { rest }: SumdbQuestion,
    ask: ConstructorParameters<typeof SharedWork<Fetched>>[0],
  ): SharedWork<Fetched> {
    const running = this.#running.get(rest);
    if (running !== undefined && !running.cancelled) return running;
    const started: SharedWork<Fetched> = new SharedWork((signal, deadlineAtMs) =>
      ask(signal, deadlineAtMs).finally(() => {
        if (this.#running.get(rest) === started) this.#running.delete(rest);
      }),
    );
    this.#running.set(rest, started);
    return started;
  }

  async #fetchAndKeep(asked: SumdbQuestion, context: RequestContext): Promise<Fetched> {
    const { name, rest, text, operation } = asked;
    try {
      const answer = await askSumdb(this.#deps, asked, context);
      this.#failedAtMs.delete(name);
      this.#slow.delete(name);
      if (isFullTile(operation)) this.#remember(rest, answer.body, 0);
      else if (operation.kind === 'lookup') this.#remember(rest, answer.body, lookupKeptMs);
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
  #remember(rest: string, body: Buffer, forMs: number): InMemory {
    const entry = { body, sha256: sha256Of(body) };
    this.#memory.set(rest, entry, forMs > 0 ? { ttl: forMs } : {});
    return entry;
  }

  /** From the store; a partial tile also out of the full one, which begins with the same hashes. */
  async #kept({ name, text, operation }: SumdbQuestion): Promise<KeptSumdb | undefined> {
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
  #stillYoungMs(operation: AskedOperation, kept: KeptSumdb): number {
    if (operation.kind !== 'lookup') return 0;
    return Math.max(0, kept.keptAtMs + lookupKeptMs - this.#deps.clock.now());
  }

  /** For who has something kept: false while the sources have just failed or cannot be expected to answer. */
  #isWorthWaiting(asked: SumdbQuestion, context: RequestContext): boolean {
    const failedAtMs = this.#failedAtMs.get(asked.name) ?? Number.NEGATIVE_INFINITY;
    if (this.#deps.clock.monotonic() - failedAtMs < failurePauseMs) return false;
    const mayAnswer = this.#deps.mayAnswer();
    if (mayAnswer && !this.#slow.has(asked.name)) return true;
    // The database's own addresses are no upstreams and may be well although those are not.
    if (mayAnswer || asked.direct.length > 0) {
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
}

function isFullTile(operation: AskedOperation): boolean {
  return operation.kind === 'tile' && operation.full === undefined;
}

function replyOf(operation: AskedOperation, answer: Fetched & { readonly sha256?: string }): BytesReply {
  return sumdbReply({
    ...answer,
    isFinal: isFullTile(operation),
    isHashes: operation.kind === 'tile' && !operation.isData,
  });
}
