/**
 * What is kept of a module and of one of its versions, and how fresh it is: the local half of `modferry explain`.
 * Asks no source. Everything here is plain JSON; times named …AtMs are wall clock, milliseconds since the epoch.
 */
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import type { FailureKind } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Store } from '../store/store.ts';
import type { LatestService } from './latest-service.ts';
import type { ListService } from './list-service.ts';
import type { NegativeCache } from './negative-cache.ts';
import type { Kept } from './revalidating.ts';

export interface ExplainDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly lists: ListService;
  readonly latest: LatestService;
  readonly negatives: NegativeCache;
  isOffline(): boolean;
}

export type ArtifactFacts =
  | {
      readonly state: 'stored';
      /** The upstream it came from, `import`, or `unknown`. */
      readonly source: string;
      readonly storedAtMs: number;
      readonly sizeBytes: number;
      /** Lower-case hex. */
      readonly sha256: string;
      /** Of a .mod and a .zip; null for an .info. */
      readonly h1: string | null;
    }
  | { readonly state: 'absent' }
  /** Stored, but not what was published (`rotten`), or the disk does not give it (`unreadable`). */
  | { readonly state: 'rotten' | 'unreadable'; readonly reason: string };

/** How good a kept list or @latest is: `error` is served only while sources fail, `expired` not at all. */
export interface FreshnessFacts {
  readonly state: 'fresh' | 'stale' | 'error' | 'expired';
  /** When a source last confirmed it. */
  readonly confirmedAtMs: number;
  readonly ageS: number;
  readonly isRefreshing: boolean;
  /** How the last refresh failed; null when it did not. */
  readonly lastFailure: string | null;
}

export interface ListFacts extends FreshnessFacts {
  /** Sources that gave a list, with the number of versions each. */
  readonly sources: Readonly<Record<string, number>>;
  /** Of them those that list the version asked about; empty without one. */
  readonly listedBy: readonly string[];
}

export interface LatestFacts extends FreshnessFacts {
  readonly version: string;
  /** The upstream whose answer it is, or `store` when it was computed. */
  readonly source: string;
}

/** An absence that is remembered, so that nobody is asked again before its time. */
export interface NegativeFacts {
  /** `list`, `latest`, `?QUERY`, or `VERSION.EXT`. */
  readonly what: string;
  readonly code: FailureKind;
  readonly message: string;
  /** True when a source failed while others said absent. */
  readonly isPartial: boolean;
  readonly leftS: number;
}

export interface KeptFacts {
  readonly module: string;
  /** Null when only the module was asked about; then `artifacts` is empty. */
  readonly version: string | null;
  readonly isOffline: boolean;
  readonly artifacts: Readonly<Partial<Record<ArtifactExt, ArtifactFacts>>>;
  /** How many versions of the module are stored complete; null when the disk does not tell. */
  readonly completeVersions: number | null;
  /** Null: no source's list is kept. */
  readonly list: ListFacts | null;
  /** Null: no answer is kept. */
  readonly latest: LatestFacts | null;
  /** All of the module, for every version. */
  readonly negatives: readonly NegativeFacts[];
  /** The version is out of the list because every source refused it; seconds until it is back. */
  readonly withdrawnForS: number | null;
}

/** Never rejects: what the disk does not give is told as such. */
export async function explainKept(
  deps: ExplainDeps,
  path: ModulePath,
  version: Version | undefined,
): Promise<KeptFacts> {
  const { store, negatives } = deps;
  const [artifacts, complete, list, latest] = await Promise.all([
    version === undefined ? {} : artifactsOf(store, path, version),
    store.completeVersions(path).catch(() => undefined),
    listOf(deps, path, version),
    latestOf(deps, path),
  ]);
  const withdrawnForMs = version === undefined ? undefined : deps.lists.withdrawnForMs(path, version);
  return {
    module: path,
    version: version ?? null,
    isOffline: deps.isOffline(),
    artifacts,
    completeVersions: complete?.length ?? null,
    list,
    latest,
    negatives: negatives.of(path).map(({ what, failure, leftMs }) => ({
      what,
      code: failure.code,
      message: failure.message,
      isPartial: failure.partial,
      leftS: Math.ceil(leftMs / 1000),
    })),
    withdrawnForS: withdrawnForMs === undefined ? null : Math.ceil(withdrawnForMs / 1000),
  };
}

async function artifactsOf(
  store: Store,
  path: ModulePath,
  version: Version,
): Promise<Record<ArtifactExt, ArtifactFacts>> {
  const [info, mod, zip] = await Promise.all([
    artifactOf(store, path, version, 'info'),
    artifactOf(store, path, version, 'mod'),
    artifactOf(store, path, version, 'zip'),
  ]);
  return { info, mod, zip };
}

async function artifactOf(
  store: Store,
  path: ModulePath,
  version: Version,
  ext: ArtifactExt,
): Promise<ArtifactFacts> {
  try {
    const file = await store.open({ path, version, ext });
    if (file === undefined) return { state: 'absent' };
    const { source, storedAtMs, sizeBytes, sha256, h1 } = file.record;
    await file.close();
    return { state: 'stored', source, storedAtMs, sizeBytes, sha256, h1: h1 ?? null };
  } catch (error) {
    const isRotten = error instanceof Error && 'code' in error && error.code === 'rotten';
    return { state: isRotten ? 'rotten' : 'unreadable', reason: messageOf(error) };
  }
}

async function listOf(
  { clock, lists }: ExplainDeps,
  path: ModulePath,
  version: Version | undefined,
): Promise<ListFacts | null> {
  const kept = await lists.inspect(path);
  if (kept === undefined) return null;
  const bySource = Object.entries(kept.value.bySource);
  return {
    ...freshnessOf(kept, clock),
    sources: Object.fromEntries(bySource.map(([source, versions]) => [source, versions.length])),
    listedBy: bySource
      .filter(([, versions]) => version !== undefined && versions.includes(version))
      .map(([source]) => source),
  };
}

async function latestOf({ clock, latest }: ExplainDeps, path: ModulePath): Promise<LatestFacts | null> {
  const kept = await latest.inspect(path);
  if (kept === undefined) return null;
  const { version, source } = kept.value;
  return { ...freshnessOf(kept, clock), version, source };
}

function freshnessOf(kept: Kept<object>, clock: Clock): FreshnessFacts {
  return {
    state: kept.state,
    confirmedAtMs: kept.confirmedAtMs,
    ageS: Math.max(0, Math.floor((clock.now() - kept.confirmedAtMs) / 1000)),
    isRefreshing: kept.isRefreshing,
    lastFailure: kept.failure === undefined ? null : messageOf(kept.failure),
  };
}
