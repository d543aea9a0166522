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
  upstreams(): readonly Upstream[];
  isPrivate(path: ModulePath): boolean;
  /** Read at each use: a reload may change them. Bytes and milliseconds. */
  readonly limits: { lastHopeMs(): number; firstByteMs(): number };
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
    if (kept !== undefined && !context.revalidate) return reply(kept.body, cache, 'store', kept.sha256);
    if (context.storedOnly) throw new SourcesFailure('not_fetched', `${rest}: not kept here`);
    const answer = await this.#fetch(database, rest, operation, context);
    const sha256 = sha256Of(answer.body);
    if (cache.kind === 'immutable') this.#memory.set(rest, { body: answer.body, sha256 });
    else if (operation.startsWith('lookup/')) {
      this.#memory.set(rest, { body: answer.body, sha256 }, { ttl: lookupKeptMs });
    }
    return reply(answer.body, cache, `upstream:${answer.source}`, sha256);
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
      { upstreams: this.#deps.upstreams(), target: `/sumdb/${escapeTarget(rest)}` },
      {
        upstreams: database.direct === undefined ? [] : [database.direct],
        target: `/${escapeTarget(operation)}`,
      },
    ].filter((way) => way.upstreams.length > 0);
    for (const way of ways) {
      try {
        return await this.#walk(way.upstreams, way.target, rest, context);
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
    upstreams: readonly Upstream[],
    target: string,
    rest: string,
    context: RequestContext,
  ): Promise<{ body: Buffer; source: string }> {
    const walk = new Walk({
      upstreams,
      target,
      answerClass: 'meta',
      signal: context.signal,
      clock: this.#deps.clock,
      firstByteMs: this.#deps.limits.firstByteMs(),
      lastHopeMs: this.#deps.limits.lastHopeMs(),
      requestId: context.id,
      via: context.via,
    });
    try {
      for (;;) {
        const answer = await walk.next();
        if (answer === undefined) throw new SourcesFailure('failed', rest, walk.outcomes);
        try {
          return { body: await readBody(answer, answerLimitBytes), source: answer.upstream };
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
