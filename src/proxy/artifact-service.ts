/**
 * .info, .mod and .zip of a canonical version: from memory, from the store, or through ingest. Decides what an
 * absence means for this key and for how long it is remembered.
 */
import { createHash } from 'node:crypto';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import { type Asker, type Ingest, nameOf } from '../ingest/ingest.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Store } from '../store/store.ts';
import type { ListService } from './list-service.ts';
import type { LookAhead } from './look-ahead.ts';
import type { NegativeCache } from './negative-cache.ts';
import type { CachePolicy, FreshnessOptions, Reply, RequestContext } from './types.ts';
import { notStored } from './without-sources.ts';
import type { ZipMemory } from './zip-memory.ts';

export interface ArtifactDeps {
  readonly ingest: Ingest;
  readonly store: Store;
  readonly lists: ListService;
  readonly lookAhead: LookAhead;
  readonly negatives: NegativeCache;
  readonly zips: ZipMemory;
  freshness(): FreshnessOptions;
  /** Throws SourcesFailure when no source may be asked for this module. */
  requireSources(path: ModulePath): void;
  /** True in offline mode: only what is stored. */
  isOffline(): boolean;
  onWithdrawn(path: ModulePath, version: Version, source: string): void;
}

const immutable: CachePolicy = { kind: 'immutable' };
/** Rounds after another process or a cancelled look-ahead changed what is true; more than two never happened. */
const maxRounds = 4;

export class ArtifactService {
  readonly #deps: ArtifactDeps;

  constructor(deps: ArtifactDeps) {
    this.#deps = deps;
  }

  /** Rejects with SourcesFailure, StoreError, or the context's abort reason. */
  async get(key: ArtifactKey, context: RequestContext): Promise<Reply> {
    const { ingest, lookAhead, negatives } = this.#deps;
    const name = nameOf(key);
    lookAhead.asked(key);
    if (key.ext === 'mod') lookAhead.askedMod(context.client, key.path, key.version);
    else if (key.ext === 'info' && !context.storedOnly) lookAhead.forecast(context.client, key.path);
    for (let round = 0; round < maxRounds; round += 1) {
      const isOffline = this.#deps.isOffline();
      const storedOnly = isOffline || context.storedOnly;
      let rotten: ModferryError | undefined;
      const stored = await this.#stored(key, name).catch((error: unknown) => {
        // Our copy is rotten: a good source may still have the right one (ruling 9), so this counts as a miss.
        if (storedOnly || !(error instanceof ModferryError) || error.code !== 'rotten') throw error;
        rotten = error;
        return undefined;
      });
      if (stored !== undefined) {
        if (key.ext === 'info' && !storedOnly) lookAhead.afterInfo(key.path, key.version);
        return stored;
      }
      if (storedOnly) throw notStored(name, isOffline);
      const negative = negatives.get(name, context.revalidate);
      if (negative !== undefined) throw negative;
      this.#deps.requireSources(key.path);
      try {
        const reply =
          key.ext === 'zip'
            ? await this.#zip(key, context)
            : await this.#small({ ...key, ext: key.ext }, context);
        if (reply !== undefined) {
          lookAhead.asked(key);
          return reply;
        }
      } catch (error) {
        if (key.ext === 'zip' && isDiskFull(error) && !context.wholeOnly) {
          const body = await ingest.passThrough(key, askerOf(context));
          const source = `upstream:${body.source}`;
          return { kind: 'passing', body, contentType: 'zip', cache: immutable, source };
        }
        const stopped =
          error instanceof SourcesFailure && (error.code === 'cancelled' || error.code === 'not_fetched');
        if (stopped && !context.signal.aborted && round + 1 < maxRounds) continue;
        if (rotten !== undefined) throw rotten;
        if (error instanceof SourcesFailure) await this.#remember(key, name, error);
        throw error;
      }
    }
    throw new SourcesFailure('overload', `${name}: the store changes too often; ask again`);
  }

  /** The bytes of a small artifact for other use cases, by the same way as for a client. */
  async bytes(key: ArtifactKey & { ext: 'info' | 'mod' }, context: RequestContext): Promise<Buffer> {
    const reply = await this.get(key, context);
    if (reply.kind === 'bytes') return reply.body;
    throw new TypeError('a small artifact is always ready bytes');
  }

  async #stored(key: ArtifactKey, name: string): Promise<Reply | undefined> {
    const { store, zips } = this.#deps;
    if (key.ext === 'zip') {
      const zip = zips.get(name);
      if (zip !== undefined) return zipReply(zip.body, zip.sha256, zip.modifiedAtMs, 'store');
    }
    const file = await store.open(key);
    if (file === undefined) return undefined;
    let keepOpen = false;
    try {
      if (key.ext === 'zip') {
        const zip = await zips.asked(name, file);
        if (zip !== undefined) return zipReply(zip.body, zip.sha256, zip.modifiedAtMs, 'store');
        keepOpen = true;
        return { kind: 'file', file, contentType: 'zip', cache: immutable, source: 'store' };
      }
      const body = await file.readAll();
      return smallReply(key.ext, body, file.record.sha256, file.record.modifiedAtMs, 'store', true);
    } finally {
      if (!keepOpen) await file.close();
    }
  }

  async #small(
    key: ArtifactKey & { ext: 'info' | 'mod' },
    context: RequestContext,
  ): Promise<Reply | undefined> {
    const { ingest, lookAhead, store } = this.#deps;
    // The .mod was asked before: the graph is being downloaded, and .zip comes next for certain.
    if (key.ext === 'info' && (await store.has({ ...key, ext: 'mod' }))) {
      lookAhead.afterInfo(key.path, key.version);
    }
    const file = await ingest.small(key, askerOf(context));
    if (file === 'stored') return undefined;
    if (key.ext === 'info') lookAhead.afterInfo(key.path, key.version);
    else lookAhead.afterMod(key.path, file.body);
    return smallReply(key.ext, file.body, file.sha256, file.verifiedAtMs, `upstream:${file.source}`, false);
  }

  async #zip(key: ArtifactKey, context: RequestContext): Promise<Reply | undefined> {
    const { ingest, lookAhead, zips } = this.#deps;
    const follower = ingest.zip(key, askerOf(context));
    let handedOver = false;
    try {
      const opened = await follower.open(context.wholeOnly, context.signal, !context.noHold);
      lookAhead.complete(key.path, key.version);
      if (opened === 'stored') return undefined;
      const { verified } = opened;
      if (verified?.body !== undefined) {
        // What is not stored must be asked for again, so that it is stored once there is room.
        if (verified.isStaged) {
          zips.put(nameOf(key), {
            body: verified.body,
            sha256: verified.sha256,
            modifiedAtMs: verified.verifiedAtMs,
          });
        }
        const source = `upstream:${verified.source}`;
        return zipReply(verified.body, verified.sha256, verified.verifiedAtMs, source);
      }
      handedOver = true;
      return {
        kind: 'growing',
        follower,
        opened,
        contentType: 'zip',
        cache: immutable,
        source: verified === undefined ? 'upstream' : `upstream:${verified.source}`,
      };
    } finally {
      if (!handedOver) follower.leave();
    }
  }

  async #remember(key: ArtifactKey, name: string, failure: SourcesFailure): Promise<void> {
    if (!failure.isAbsence || failure.isTooLate) return;
    const { negatives, lists } = this.#deps;
    const freshness = this.#deps.freshness();
    negatives.put(name, failure, failure.partial ? freshness.partialMs : freshness.negativeMs);
    if (failure.partial || failure.outcomes.length === 0) return;
    const lister = await lists.listedBy(key.path, key.version);
    if (lister !== undefined && failure.outcomes.some((outcome) => outcome.source === lister)) {
      lists.withdraw(key.path, key.version);
      this.#deps.onWithdrawn(key.path, key.version, lister);
    }
  }
}

/** Neither the disk nor the memory for such times can take the body. */
function isDiskFull(error: unknown): boolean {
  return error instanceof SourcesFailure && error.code === 'disk_full';
}

function askerOf(context: RequestContext): Asker {
  const { signal, id: requestId, via, deadlineAtMs } = context;
  return { signal, requestId, via, deadlineAtMs };
}

function smallReply(
  ext: 'info' | 'mod',
  body: Buffer,
  sha256: string,
  lastModifiedMs: number,
  source: string,
  keep: boolean,
): Reply {
  return {
    kind: 'bytes',
    body,
    sha256,
    lastModifiedMs,
    contentType: ext === 'info' ? 'json' : 'text',
    cache: immutable,
    source,
    keep,
  };
}

function zipReply(body: Buffer, sha256: string, lastModifiedMs: number, source: string): Reply {
  return {
    kind: 'bytes',
    body,
    sha256,
    lastModifiedMs,
    contentType: 'zip',
    cache: immutable,
    source,
    keep: false,
  };
}

/** Lower-case hex SHA-256, for the ETag of computed bodies. */
export function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}
