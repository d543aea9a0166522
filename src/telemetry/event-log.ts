/** Writes what ingest tells into the log. Repeats of one disk trouble are one line, not one per request. */

import type { IngestEvents } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Logger } from './log.ts';

const repeatAfterMs = 10_000;

/** Returns the unsubscribe. */
export function logEvents(events: EventBus<IngestEvents>, log: Logger, clock: Clock): () => void {
  const lastAtMs = new Map<string, number>();
  function seldom(kind: string): boolean {
    const now = clock.monotonic();
    const last = lastAtMs.get(kind);
    if (last !== undefined && now - last < repeatAfterMs) return false;
    lastAtMs.set(kind, now);
    return true;
  }
  const unsubscribes = [
    events.on('published', ({ key, sizeBytes, source, byLookAhead }) => {
      log.debug({ ...asked(key), bytes: sizeBytes, source, byLookAhead }, 'published');
    }),
    events.on('refused', ({ key, source, reason }) => {
      log.warn({ ...asked(key), source, reason }, 'refused what a source sent');
    }),
    events.on('conflict', ({ key, source, storedSha256, offeredSha256 }) => {
      log.error(
        { ...asked(key), source, storedSha256, offeredSha256 },
        'a source sent other bytes than those stored; the stored ones stay',
      );
    }),
    events.on('withdrawn', ({ path, version, source }) => {
      log.warn({ module: path, version, source }, 'a listed version is refused by every source');
    }),
    events.on('publishFailed', ({ key, code, message }) => {
      log.error({ ...asked(key), code, reason: message }, 'could not store what was fetched');
    }),
    events.on('passedThrough', ({ key, reason }) => {
      if (seldom('passedThrough')) {
        log.error({ ...asked(key), reason }, 'the disk takes no more: passing through without storing');
      }
    }),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

function asked(key: { path: string; version: string; ext: string }): object {
  return { module: key.path, version: key.version, artifact: key.ext };
}
