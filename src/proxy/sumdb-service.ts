/**
 * `/sumdb/…` passed through: to any upstream that offers it, then to the database's own address. Only databases on
 * the allow list are reachable, and only by the shapes of the protocol, so that a name never becomes a host to dial.
 * @see https://go.dev/ref/mod#checksum-database
 */
import { LRUCache } from 'lru-cache';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { unescapePath } from '../gomod/module-path.ts';
import type { ModulePath } from '../gomod/types.ts';
import { unescapeVersion } from '../gomod/version.ts';
import { failureOf } from '../ingest/ingest.ts';
import { SourcesFailure } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { SharedWork } from '../lib/shared-work.ts';
import type { Plan } from '../upstream/plan.ts';
import { readBody } from '../upstream/read-body.ts';
import { type Upstream, UpstreamError } from '../upstream/types.ts';
import { Walk } from '../upstream/walk.ts';
import { sha256Of } from './artifact-service.ts';
import type { BytesReply, CachePolicy, RequestContext } from './types.ts';

/** One database that may be passed through. */
export interface SumdbEntry {
  /** As in `GOSUMDB`: a host, or `host/path`. */
  readonly name: string;
  /** The database's own address, asked last. */
  readonly direct: Upstream | undefined;
}

export interface SumdbDeps {
  readonly clock: Clock;
  databases(): readonly SumdbEntry[];
  /** Over the upstreams that offer `/sumdb/`, and to a database's own address. */
  plan(): Plan;
  directPlan(direct: Upstream): Plan;
  isPrivate(path: ModulePath): boolean;
}

interface Fetched {
  readonly body: Buffer;
  readonly source: string;
}

/** A tile is 8 KiB, a lookup a few hundred bytes; nothing here is ever larger. */
const answerLimitBytes = 1024 * 1024;
const memoryBytes = 32 * 1024 * 1024;
/** A lookup's record never changes; only the tree head signed with it grows older. */
const lookupKeptMs = 10 * 60_000;
const tileShape = /^tile\/\d{1,2}\/(?:\d{1,2}|data)(?:\/x\d{3}){0,6}\/\d{3}(\.p\/\d{1,3})?$/;

export class SumdbService {
  readonly #deps: SumdbDeps;
  readonly #memory: LRUCache<string, { body: Buffer; sha256: string }>;
  readonly #running = new Map<string, SharedWork<Fetched>>();

  constructor(deps: SumdbDeps) {
    this.#deps = deps;
    this.#memory = new LRUCache({ maxSize: memoryBytes, sizeCalculation: (kept) => kept.body.length + 200 });
  }

  /** Rejects with InvalidRequestError, SourcesFailure, or the abort reason. */
  async get(rest: string, context: RequestContext): Promise<BytesReply> {
    const database = this.#databaseOf(rest);
    const operation = rest.slice(database.name.length + 1);
    if (operation === 'supported') return reply(Buffer.alloc(0), { kind: 'none' }, 'modferry');
    const cache = this.#check(operation);
    const kept = this.#memory.get(rest);
    // A full tile never changes: asking again for it could only bring a wrong one.
    const isFinal = cache.kind === 'immutable';
    if (kept !== undefined && (isFinal || !context.revalidate)) {
      return reply(kept.body, cache, 'store', kept.sha256);
    }
    if (context.storedOnly) throw new SourcesFailure('not_fetched', `${rest}: not kept here`);
    let work = this.#running.get(rest);
    if (work === undefined || work.cancelled) {
      const started: SharedWork<Fetched> = new SharedWork((signal) =>
        this.#fetchAndKeep(database, rest, operation, isFinal, { ...context, signal }).finally(() => {
          if (this.#running.get(rest) === started) this.#running.delete(rest);
        }),
      );
      work = started;
      this.#running.set(rest, started);
    }
    const answer = await work.join(context.signal);
    return reply(answer.body, cache, `upstream:${answer.source}`);
  }

  async #fetchAndKeep(
    database: SumdbEntry,
    rest: string,
    operation: string,
    isFinal: boolean,
    context: RequestContext,
  ): Promise<Fetched> {
    const answer = await this.#fetch(database, rest, operation, context);
    const kept = { body: answer.body, sha256: sha256Of(answer.body) };
    if (isFinal) this.#memory.set(rest, kept);
    else if (operation.startsWith('lookup/')) this.#memory.set(rest, kept, { ttl: lookupKeptMs });
    return answer;
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

  #check(operation: string): CachePolicy {
    if (operation === 'latest') return { kind: 'none' };
    if (operation.startsWith('lookup/')) {
      const wanted = operation.slice('lookup/'.length);
      const at = wanted.indexOf('@');
      if (at < 0) throw new InvalidRequestError('invalid_request', 'a lookup is MODULE@VERSION');
      const path = unescapePath(wanted.slice(0, at));
      unescapeVersion(wanted.slice(at + 1));
      if (this.#deps.isPrivate(path)) {
        throw new SourcesFailure(
          'not_fetched',
          `${path} is private here and is never looked up in a checksum database; set GONOSUMDB for it`,
        );
      }
      return { kind: 'none' };
    }
    const tile = tileShape.exec(operation);
    if (tile === null) {
      throw new InvalidRequestError('invalid_request', 'expected supported, latest, lookup/… or tile/…');
    }
    return tile[1] === undefined ? { kind: 'immutable' } : { kind: 'none' };
  }

  async #fetch(
    database: SumdbEntry,
    rest: string,
    operation: string,
    context: RequestContext,
  ): Promise<{ body: Buffer; source: string }> {
    const failures: SourcesFailure[] = [];
    const ways = [
      { plan: this.#deps.plan(), target: `/sumdb/${escapeTarget(rest)}` },
      ...(database.direct === undefined
        ? []
        : [{ plan: this.#deps.directPlan(database.direct), target: `/${escapeTarget(operation)}` }]),
    ];
    for (const way of ways) {
      try {
        return await this.#walk(way.plan, way.target, rest, operation, context);
      } catch (error) {
        if (!(error instanceof SourcesFailure)) throw error;
        failures.push(error);
      }
    }
    const outcomes = failures.flatMap((failure) => failure.outcomes);
    throw failureOf(outcomes, {
      path: rest as ModulePath,
      // A 404 here sends the client elsewhere for good: it must not hide that another way failed.
      knownToExist: true,
      isPrivate: false,
      hint: undefined,
      what: `/sumdb/${rest}`,
    });
  }

  async #walk(
    plan: Plan,
    target: string,
    rest: string,
    operation: string,
    context: RequestContext,
  ): Promise<{ body: Buffer; source: string }> {
    const walk = new Walk({
      plan,
      target,
      answerClass: 'meta',
      signal: context.signal,
      clock: this.#deps.clock,
      requestId: context.id,
      via: context.via,
    });
    try {
      for (;;) {
        const answer = await walk.next();
        if (answer === undefined) throw new SourcesFailure('failed', rest, walk.outcomes);
        try {
          const body = await readBody(answer, answerLimitBytes);
          refuseWrongShape(answer.upstream, operation, body);
          return { body, source: answer.upstream };
        } catch (error) {
          if (context.signal.aborted) throw error;
          walk.refuse(answer, error instanceof UpstreamError ? error.code : 'refused', messageOf(error));
        }
      }
    } finally {
      walk.close();
    }
  }
}

/**
 * Refuses what cannot be an answer of a checksum database, such as a captive portal's page: kept as a tile it would
 * fail every client's verification. Whether the hashes are true is the client's to verify.
 */
function refuseWrongShape(source: string, operation: string, body: Buffer): void {
  const tile = /^tile\/(\d+)\/(\d+|data)\/.*?(?:\.p\/(\d+))?$/.exec(operation);
  if (tile !== null && tile[2] !== 'data') {
    const hashes = tile[3] === undefined ? 2 ** Number(tile[1]) : Number(tile[3]);
    if (body.length !== hashes * 32) {
      throw new UpstreamError(source, 'refused', `a tile of ${body.length} bytes instead of ${hashes * 32}`);
    }
  } else if (operation.startsWith('lookup/') && !/^\d+\n\S+ \S+ h1:/.test(body.toString('latin1', 0, 8192))) {
    throw new UpstreamError(source, 'refused', 'its answer is no record of a checksum database');
  } else if (operation === 'latest' && !body.includes(' database tree\n')) {
    throw new UpstreamError(source, 'refused', 'its answer is no tree head');
  }
}

/** `rest` was decoded once on the way in; only what the checks let through is here, and `!` needs no escape. */
function escapeTarget(rest: string): string {
  return rest.split('/').map(encodeURIComponent).join('/');
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
