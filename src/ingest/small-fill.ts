/** The fetch of one .info or .mod: read whole from the first source whose bytes are good. */
import { createHash } from 'node:crypto';
import { checkInfo, checkMod } from '../gomod/info-file.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { firstBody } from '../upstream/first-body.ts';
import type { Walk } from '../upstream/walk.ts';
import { type IngestEvents, type IngestOptions, SourcesFailure } from './types.ts';

export type SmallKey = ArtifactKey & { ext: 'info' | 'mod' };

/** A verified .info or .mod, perhaps not published yet. */
export interface SmallFile {
  readonly body: Buffer;
  readonly sha256: string;
  readonly source: string;
  readonly verifiedAtMs: number;
}

export interface SmallFetch {
  readonly key: SmallKey;
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
  const { key, walk, signal, clock, options } = fetch;
  const startedAtMs = clock.monotonic();
  let source: string | undefined;
  try {
    const good = await firstBody({
      walk,
      signal,
      clock,
      limitBytes: key.ext === 'info' ? options.limits.infoBytes : options.limits.modBytes,
      withinMs: options.lastHopeMs,
      judge: (body) => {
        if (key.ext === 'info') checkInfo(key.path, key.version, body);
        else checkMod(body);
        return body;
      },
      onRefused: (name, reason) => fetch.onRefused(name, reason),
    });
    if (good === undefined) throw await fetch.failure(walk);
    source = good.upstream;
    const sha256 = createHash('sha256').update(good.value).digest('hex');
    return { body: good.value, sha256, source, verifiedAtMs: clock.now() };
  } catch (error) {
    if (error instanceof SourcesFailure || !signal.aborted) throw error;
    throw new SourcesFailure('cancelled', 'the fetch was stopped', walk.outcomes);
  } finally {
    const tookMs = clock.monotonic() - startedAtMs;
    fetch.onFetched({ source, outcomes: walk.outcomes, tookMs });
    walk.close();
  }
}
