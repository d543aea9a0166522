/**
 * .info, .mod and .zip of a canonical version: from memory, from the store, or through ingest. Decides what an
 * absence means for this key and for how long it is remembered.
 */
import { createHash } from 'node:crypto';
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import type { VerifiedZip } from '../ingest/growing-body.ts';
import { type Asker, type Ingest, nameOf } from '../ingest/ingest.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Store } from '../store/store.ts';
import { storeError } from '../store/store-error.ts';
import type { ListService } from './list-service.ts';
import type { LookAhead } from './look-ahead.ts';
import type { NegativeCache } from './negative-cache.ts';
import type {
  BytesReply,
  CachePolicy,
  FreshnessOptions,
  Provenance,
  Reply,
  RequestContext,
} from './types.ts';
import { notStored } from './without-sources.ts';
import { provenanceOf, type ZipInMemory, type ZipMemory } from './zip-memory.ts';

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
/** What could not be proven, or differs, is not fetched again for so long. */
const refusedMs = 5_000;
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
      if (storedOnly) throw await this.#orSuspect(key, notStored(name, isOffline));
      const negative = negatives.get(name, context.revalidate);
      if (negative !== undefined) throw negative;
      await this.#requireSources(key);
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
        const failure = error instanceof SourcesFailure ? await this.#orSuspect(key, error) : error;
        if (failure instanceof SourcesFailure) await this.#remember(key, name, failure);
        throw failure;
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

  /**
   * What was stored and had to be taken out is not absent (ruling 9): our copy was damaged, or it was other than
   * proven. Looked up only where the client would be sent elsewhere.
   */
  async #orSuspect(key: ArtifactKey, failure: SourcesFailure): Promise<SourcesFailure | ModferryError> {
    if (!failure.isAbsence && failure.code !== 'not_fetched') return failure;
    const suspects = await this.#deps.store.quarantine.of(key).catch(() => []);
    // One that was published again since, or purged, says nothing of what is absent now.
    const own = suspects.find(({ source, settled }) => source === 'store' && settled !== true);
    if (own === undefined) return failure;
    const what = `${nameOf(key)}: our copy is in quarantine as ${own.id}: ${own.reason}`;
    if (own.cause !== 'rotten') return new SourcesFailure('mismatch', what, failure.outcomes);
    return storeError('rotten', `${what}; no source has a good one`);
  }

  async #requireSources(key: ArtifactKey): Promise<void> {
    try {
      this.#deps.requireSources(key.path);
    } catch (error) {
      throw error instanceof SourcesFailure ? await this.#orSuspect(key, error) : error;
    }
  }

  async #stored(key: ArtifactKey, name: string): Promise<Reply | undefined> {
    const { store, zips } = this.#deps;
    if (key.ext === 'zip') {
      const zip = zips.get(name);
      if (zip !== undefined) return zipReply(zip, 'store');
    }
    const file = await store.open(key);
    if (file === undefined) return undefined;
    let keepOpen = false;
    try {
      if (key.ext === 'zip') {
        const zip = await zips.asked(name, file);
        if (zip !== undefined) return zipReply(zip, 'store');
        keepOpen = true;
        const provenance = provenanceOf(file.record);
        return { kind: 'file', file, contentType: 'zip', cache: immutable, source: 'store', provenance };
      }
      const body = await file.readAll();
      const { sha256, modifiedAtMs } = file.record;
      return {
        ...smallReply(key.ext, { body, sha256, modifiedAtMs, provenance: provenanceOf(file.record) }),
        source: 'store',
        keep: true,
      };
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
    return { ...smallReply(key.ext, fresh(file, file.body)), source: `upstream:${file.source}` };
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
        const zip = fresh(verified, verified.body);
        if (verified.isStaged) zips.put(nameOf(key), zip);
        return zipReply(zip, `upstream:${verified.source}`);
      }
      handedOver = true;
      return {
        kind: 'growing',
        follower,
        opened,
        contentType: 'zip',
        cache: immutable,
        provenance: verified === undefined ? undefined : fresh(verified, undefined).provenance,
        source: verified === undefined ? 'upstream' : `upstream:${verified.source}`,
      };
    } finally {
      if (!handedOver) follower.leave();
    }
  }

  async #remember(key: ArtifactKey, name: string, failure: SourcesFailure): Promise<void> {
    if (failure.isRefusal) {
      // Each asker would have it fetched whole from every source again.
      this.#deps.negatives.put(name, failure, refusedMs);
      return;
    }
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

/** What was verified this moment. */
function fresh<Body extends Buffer | undefined>(
  verified: Pick<VerifiedZip, 'sha256' | 'source' | 'trust' | 'verifiedAtMs'>,
  body: Body,
) {
  const { sha256, source, trust, verifiedAtMs } = verified;
  const provenance: Provenance = { origin: source, atMs: verifiedAtMs, ...trust };
  return { body, sha256, modifiedAtMs: verifiedAtMs, provenance };
}

function smallReply(ext: 'info' | 'mod', ready: ZipInMemory): BytesReply {
  return { ...zipReply(ready, 'store'), contentType: ext === 'info' ? 'json' : 'text' };
}

function zipReply({ body, sha256, modifiedAtMs, provenance }: ZipInMemory, source: string): BytesReply {
  return {
    kind: 'bytes',
    body,
    sha256,
    lastModifiedMs: modifiedAtMs,
    contentType: 'zip',
    cache: immutable,
    source,
    keep: false,
    provenance,
  };
}

/** Lower-case hex SHA-256, for the ETag of computed bodies. */
export function sha256Of(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}
