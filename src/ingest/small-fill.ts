/** The fetch of one .info or .mod: read whole from the first source whose bytes are good. */
import { createHash } from 'node:crypto';
import { checkInfo, checkMod } from '../gomod/info-file.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Trust } from '../store/store.ts';
import { firstBody } from '../upstream/first-body.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { goModHash } from './go-mod-hash.ts';
import type { Proving } from './proving.ts';
import { type IngestEvents, type IngestOptions, SourcesFailure } from './types.ts';

export type SmallKey = ArtifactKey & { ext: 'info' | 'mod' };

/** A verified .info or .mod, perhaps not published yet. */
export interface SmallFile {
  readonly body: Buffer;
  readonly sha256: string;
  readonly trust: Trust;
  readonly source: string;
  readonly verifiedAtMs: number;
}

export interface SmallFetch {
  readonly key: SmallKey;
  /** Closed here. Undefined for a .info: nothing proves it. */
  readonly proving: Proving | undefined;
  /** Closed here. */
  readonly walk: Walk;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly options: IngestOptions;
  failure(walk: Walk): Promise<SourcesFailure>;
  onRefused(source: string, reason: string): void;
  onFetched(event: Omit<IngestEvents['fetched'], 'key'>): void;
}

/** Rejects with SourcesFailure. */
export async function fetchSmall(fetch: SmallFetch): Promise<SmallFile> {
  const { key, proving, walk, signal, clock, options } = fetch;
  const startedAtMs = clock.monotonic();
  let source: string | undefined;
  try {
    const good = await firstBody({
      walk,
      signal,
      clock,
      limitBytes: key.ext === 'info' ? options.limits.infoBytes : options.limits.modBytes,
      withinMs: options.lastHopeMs,
      judge: (body, upstream, headers) => judged(fetch, body, upstream, headers),
      isFinal: (error) => error instanceof SourcesFailure,
      onRefused: (name, reason) => fetch.onRefused(name, reason),
    });
    if (good === undefined) throw proving?.verdict(walk.outcomes) ?? (await fetch.failure(walk));
    source = good.upstream;
    proving?.settled(source);
    return { ...good.value, source, verifiedAtMs: clock.now() };
  } catch (error) {
    if (error instanceof SourcesFailure || !signal.aborted) throw error;
    throw new SourcesFailure('cancelled', 'the fetch was stopped', walk.outcomes);
  } finally {
    const tookMs = clock.monotonic() - startedAtMs;
    fetch.onFetched({ source, outcomes: walk.outcomes, tookMs });
    proving?.close();
    walk.close();
  }
}

async function judged(
  { key, proving }: SmallFetch,
  body: Buffer,
  upstream: string,
  headers: UpstreamAnswer['headers'],
): Promise<Pick<SmallFile, 'body' | 'sha256' | 'trust'>> {
  const sha256 = createHash('sha256').update(body).digest('hex');
  if (proving === undefined) {
    checkInfo(key.path, key.version, body);
    return { body, sha256, trust: { unproven: 'none' } };
  }
  const h1 = goModHash(body);
  // What is proven needs no check of ours (ruling 11); what is not, or is wrong, is told for what it is.
  if ((await proving.expectedH1()) !== h1) checkMod(body);
  const found = { h1, sha256, sizeBytes: body.length, sources: [upstream], headers };
  return { body, sha256, trust: await proving.judge(found, { body }) };
}
