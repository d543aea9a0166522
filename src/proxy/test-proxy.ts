/** Test help: the use cases over a store in a folder and one upstream that is played by the test. */
import { judgeOff } from '../checksums/test-judges.ts';
import { Ingest } from '../ingest/ingest.ts';
import { type IngestEvents, SourcesFailure } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { FsStore } from '../store/fs/fs-store.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { plainPlan } from '../upstream/plan.ts';
import {
  type Upstream,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from '../upstream/types.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ArtifactService } from './artifact-service.ts';
import { LatestService } from './latest-service.ts';
import { ListService } from './list-service.ts';
import { LookAhead } from './look-ahead.ts';
import { NegativeCache } from './negative-cache.ts';
import { Proxy } from './proxy.ts';
import { QueryService } from './query-service.ts';
import type { Windows } from './revalidating.ts';
import { SumdbService } from './sumdb-service.ts';
import type { BytesReply, RequestContext } from './types.ts';
import { ZipMemory } from './zip-memory.ts';

/** No answer before the asker gives up. */
export const hang = { hangs: true } as const;

/** A body, why there is none, or that nothing comes. */
export type Says = Buffer | string | { readonly error: UpstreamErrorCode } | typeof hang;

export interface PlayedUpstream extends Upstream {
  /** Targets in the order they were asked. */
  readonly asked: string[];
  readonly requests: UpstreamRequest[];
  /** Resolves when so many requests have come in all. */
  untilAsked(count: number): Promise<void>;
}

/** An upstream that says what `says` says; undefined: absent. */
export function playedUpstream(says: (target: string) => Says | undefined): PlayedUpstream {
  const name = 'played';
  const asked: string[] = [];
  const requests: UpstreamRequest[] = [];
  return {
    name,
    isPrivate: false,
    stopsOnError: false,
    asked,
    requests,
    async untilAsked(count) {
      await until(() => asked.length >= count);
    },
    fetch(request) {
      const { target, signal } = request;
      asked.push(target);
      requests.push(request);
      const said = says(target) ?? { error: 'absent' };
      if (typeof said === 'object' && 'hangs' in said) {
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new UpstreamError(name, 'aborted', 'aborted')));
        });
      }
      if (typeof said === 'object' && 'error' in said) {
        return Promise.reject(new UpstreamError(name, said.error, `says ${said.error}`));
      }
      const bytes = Buffer.from(said);
      return Promise.resolve({
        upstream: name,
        contentLength: bytes.length,
        contentType: 'text/plain',
        etag: undefined,
        lastModified: undefined,
        firstByteMs: 1,
        body: (async function* () {
          yield bytes;
        })(),
        cancel() {},
      });
    },
    close: async () => {},
  };
}

/** One client request. */
export function contextOf(more: Partial<RequestContext> = {}): RequestContext {
  return {
    id: 'test',
    client: '127.0.0.1',
    signal: new AbortController().signal,
    storedOnly: false,
    revalidate: false,
    wholeOnly: false,
    noHold: false,
    via: [],
    ...more,
  };
}

export interface TestSources {
  /** What the upstream says from now on. */
  says: (target: string) => Says | undefined;
  isOffline: boolean;
  mayAnswer: boolean;
  /** False: no upstream is configured. */
  areConfigured: boolean;
  /** The own address of the checksum database. */
  sumdb: Upstream | undefined;
  /** `path@version` to why it is no more. */
  readonly unpublished: Map<string, string>;
}

/** Everything behind `Proxy`, with look-ahead on. */
export async function makeTestProxy(
  options: {
    folder?: string;
    clock?: FakeClock;
    /** Asked before the one that is played. */
    first?: readonly Upstream[];
  } = {},
) {
  const clock = options.clock ?? new FakeClock(Date.now());
  const own = makeTestFolder();
  const folder = options.folder ?? own.path;
  const store: FsStore = await own.open({ folder });
  const sources: TestSources = {
    says: () => undefined,
    isOffline: false,
    mayAnswer: true,
    areConfigured: true,
    sumdb: undefined,
    unpublished: new Map(),
  };
  const upstream = playedUpstream((target) => sources.says(target));
  const freshness = {
    listMs: 60_000,
    queryMs: 600_000,
    privateMs: 10_000,
    staleWhileRevalidateMs: 600_000,
    staleIfErrorMs: 30 * 86_400_000,
    negativeMs: 60_000,
    negativeListMs: 30_000,
    partialMs: 10_000,
  };
  const plan = () =>
    plainPlan({
      upstreams: [...(options.first ?? []), upstream],
      answerClass: 'meta',
      firstByteMs: 5_000,
      lastHopeMs: 60_000,
    });
  const windows = (): Windows => ({ freshMs: 60_000, staleMs: 600_000, errorMs: 30 * 86_400_000 });
  const state = {
    isOffline: () => sources.isOffline,
    mayAnswer: () => sources.mayAnswer,
    patienceMs: () => 2_000,
  };
  const unpublished = (path: string, version: string): string | undefined =>
    sources.unpublished.get(`${path}@${version}`);
  const shared = {
    ...state,
    clock,
    store,
    plan,
    windows,
    isPrivate: () => false,
    unpublished,
    absenceHint: () => undefined,
    pathIsKnown: async () => false,
    onChanged: () => {},
    limits: { infoBytes: () => 65_536, listBytes: () => 4 << 20 },
  };
  const negatives = new NegativeCache(clock);
  const lists = new ListService(shared);
  const ingest = new Ingest({
    ...shared,
    verifier: {} as ZipVerifier,
    judge: judgeOff,
    events: new EventBus<IngestEvents>(),
    options: () => ({
      holdMs: 2_000,
      idleMs: 30_000,
      minRateBytes: 1_024,
      tailBytes: 65_536,
      firstByteMs: { meta: 5_000, zip: 10_000 },
      lastHopeMs: 60_000,
      limits: { zipBytes: 1 << 20, inflatedBytes: 1 << 20, modBytes: 1 << 20, infoBytes: 65_536 },
      concurrency: 8,
      passThroughMemoryBytes: 1 << 20,
    }),
    knownToExist: async () => false,
    shareInMemoryBytes: 1 << 20,
  });
  const lookAhead = new LookAhead({
    ingest,
    store,
    isOffline: state.isOffline,
    allowed: () => true,
    options: () => ({
      enabled: true,
      concurrency: 4,
      depth: 2,
      maxZipBytes: 1 << 20,
      bytesInFlight: 1 << 22,
      perRequest: 100,
    }),
  });
  const requireSources = (): void => {
    if (!sources.areConfigured) throw new SourcesFailure('not_fetched', 'no upstream is configured');
  };
  const artifacts = new ArtifactService({
    ...state,
    ingest,
    store,
    lists,
    lookAhead,
    negatives,
    zips: new ZipMemory(0, 0),
    freshness: () => freshness,
    requireSources,
    onWithdrawn: () => {},
  });
  const latest = new LatestService({
    ...shared,
    lists,
    artifact: (path, version, ext, signal) =>
      artifacts.bytes({ path, version, ext }, contextOf({ signal, wholeOnly: true })),
  });
  const queries = new QueryService(shared);
  const sumdb = new SumdbService({
    ...shared,
    databases: () => [
      {
        name: 'sum.test',
        direct: sources.sumdb === undefined ? [] : [sources.sumdb],
        database: undefined,
      },
    ],
    directPlan: (direct) =>
      plainPlan({ upstreams: [direct], answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 60_000 }),
  });
  const proxy = new Proxy({
    ...state,
    clock,
    store,
    artifacts,
    lists,
    latest,
    queries,
    sumdb,
    negatives,
    freshness: () => freshness,
    freshMs: (_path, what) => (what === 'list' ? freshness.listMs : freshness.queryMs),
    settle: () => undefined,
    unpublished,
    requireSources,
  });
  return { proxy, clock, folder, store, sources, upstream, lists, queries, lookAhead, negatives, ingest };
}

/** The text of a ready reply. Throws for any other. */
export function textOf(reply: { readonly kind: string }): string {
  return bytesReply(reply).body.toString();
}

export function bytesReply(reply: { readonly kind: string }): BytesReply {
  if (reply.kind !== 'bytes') throw new Error(`a reply of kind ${reply.kind}`);
  return reply as BytesReply;
}

/** Lets everything that is ready have its turn, files included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves as soon as it holds; for what happens behind a reply. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 20_000; turn += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never: ${holds.toString()}`);
}
