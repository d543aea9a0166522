/** What the sources said when an artifact was last fetched: for `modferry explain`. Bounded; gone with the process. */
import { LRUCache } from 'lru-cache';
import type { ModulePath } from '../gomod/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { SourceOutcome } from '../upstream/types.ts';

const maxArtifacts = 10_000;

export interface LastFetch {
  /** Wall clock. */
  readonly atMs: number;
  readonly tookMs: number;
  /** Whose bytes were taken; null when nobody's were. */
  readonly source: string | null;
  readonly outcomes: readonly SourceOutcome[];
}

export class LastFetches {
  readonly #kept = new LRUCache<string, LastFetch>({ max: maxArtifacts });

  constructor(events: EventBus<IngestEvents>, clock: Clock) {
    events.on('fetched', ({ key, source, outcomes, tookMs }) => {
      this.#kept.set(`${key.path}@${key.version}.${key.ext}`, {
        atMs: clock.now(),
        tookMs: Math.round(tookMs),
        source: source ?? null,
        outcomes,
      });
    });
  }

  /** By artifact: info, mod, zip. */
  of(path: ModulePath, version: string): Readonly<Record<string, LastFetch>> {
    const found: Record<string, LastFetch> = {};
    for (const ext of ['info', 'mod', 'zip']) {
      const last = this.#kept.peek(`${path}@${version}.${ext}`);
      if (last !== undefined) found[ext] = last;
    }
    return found;
  }
}
