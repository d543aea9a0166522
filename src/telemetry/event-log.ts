/** Writes what ingest and health tell into the log. Repeats of one disk trouble are one line, not one per request. */
import type { HealthEvents } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ScrubEvents } from '../scrub/types.ts';
import { stateSeverity, switchSeverity } from './history-events.ts';
import type { ProofSources } from './history-proofs.ts';
import type { Severity } from './history-types.ts';
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
    events.on('mismatch', ({ key, ...facts }) => {
      log.error({ ...asked(key), ...facts }, 'a source sent other content than proven');
    }),
    events.on('healed', ({ key, from, source }) => {
      log.warn({ ...asked(key), from, source }, 'another source had the right content');
    }),
    events.on('takeOver', ({ key, from, to, atByte, how, cause }) => {
      log.warn({ ...asked(key), from, to, atByte, how, cause }, 'another upstream took over a zip');
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
    events.on('disowned', ({ path, version, source }) => {
      log.warn({ module: path, version, source }, 'private now, but stored from another source: removed');
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

/** Returns the unsubscribe. */
export function logProofs({ sumdb, checksums }: ProofSources, log: Logger): () => void {
  const unsubscribes = [
    sumdb.on('forked', (facts) => {
      log.fatal(facts, 'a checksum database has signed two logs that contradict each other');
    }),
    sumdb.on('refused', (facts) => log.warn(facts, 'refused what a source sent of a checksum database')),
    sumdb.on('rotten', (facts) => log.warn(facts, 'a kept part of a checksum database was damaged')),
    sumdb.on('reset', (facts) => log.warn(facts, 'a checksum database was reset by order')),
    sumdb.on('head', (facts) => log.debug(facts, 'a checksum database has grown')),
    checksums.on('contradiction', ({ key, ...facts }) => {
      log.error({ ...asked(key), ...facts }, 'an imported go.sum contradicts the checksum database');
    }),
    checksums.on('linesUnread', (facts) => {
      log.error(facts, 'the trusted go.sum lines cannot be read: nothing is proven until they are');
    }),
    checksums.on('linesDamaged', (facts) => {
      log.warn(
        facts,
        'trusted go.sum lines are damaged and hold for nothing; mend or remove them in the file',
      );
    }),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

/** Returns the unsubscribe. */
export function logScrub(scrub: EventBus<ScrubEvents>, log: Logger): () => void {
  const unsubscribes = [
    scrub.on('started', (facts) => log.info(facts, 'the scrub begins')),
    scrub.on('finished', (report) => log.info(report, 'the scrub has read the store')),
    scrub.on('failed', (facts) => log.error(facts, 'the scrub stopped')),
    scrub.on('rotten', ({ key, ...facts }) => {
      log.error({ ...asked(key), ...facts }, 'a stored file is not what it should be');
    }),
    scrub.on('healed', ({ key, source }) => log.warn({ ...asked(key), source }, 'a good copy was found')),
    scrub.on('quarantined', ({ key, id, reason }) => {
      log.error({ ...asked(key), id, reason }, 'no good copy was found');
    }),
    scrub.on('stuck', ({ key, reason }) => {
      log.error({ ...asked(key), reason }, 'a bad stored file could not be taken out');
    }),
    scrub.on('unreadable', ({ key, reason }) => {
      log.error({ ...asked(key), reason }, 'a stored file could not be read');
    }),
    scrub.on('renewed', ({ key, reason }) =>
      log.warn({ ...asked(key), reason }, 'a record was written anew'),
    ),
    scrub.on('proven', ({ key, by }) => log.debug({ ...asked(key), by }, 'proven afterwards')),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

/** Trouble of upstreams as warnings, recovery as information, single questions for debugging. Returns the unsubscribe. */
export function logHealthEvents(events: EventBus<HealthEvents>, log: Logger): () => void {
  const unsubscribes = [
    events.on('state', ({ score, ...facts }) => {
      log[levelOf(stateSeverity(facts.to))](
        { ...facts, score: Math.round(score) },
        'an upstream changed its state',
      );
    }),
    events.on('breaker', (facts) => {
      log[facts.to === 'open' ? 'warn' : 'info'](facts, 'a breaker changed its state');
    }),
    events.on('switched', (facts) => {
      log[levelOf(switchSeverity(facts))](facts, 'the favourite upstream changed');
    }),
    events.on('rest', (facts) => log.warn(facts, 'an upstream asked for a pause')),
    events.on('budgetSpent', (facts) => log.warn(facts, 'a budget is used up')),
    events.on('avoided', ({ path, ...facts }) => {
      log.info({ module: path, ...facts }, 'an upstream is asked last for a module');
    }),
    events.on('attempt', (facts) => log.debug(facts, 'asked an upstream')),
    events.on('body', (facts) => log.debug(facts, 'read a body')),
    events.on('probe', (facts) => log.debug(facts, 'probed an upstream')),
    events.on('hedge', (facts) => log.debug(facts, 'asked another upstream as well')),
    events.on('repeat', (facts) => log.debug(facts, 'asked an upstream again')),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

/** An upstream that is out is no fault of modferry: errors in the log are for what needs a hand here. */
function levelOf(severity: Severity): 'info' | 'warn' {
  return severity === 'info' ? 'info' : 'warn';
}

function asked(key: { path: string; version: string; ext: string }): object {
  return { module: key.path, version: key.version, artifact: key.ext };
}
