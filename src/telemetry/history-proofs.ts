/** What the clients of checksum databases and the judge tell, as events of the history. */
import type { ChecksumEvents } from '../checksums/checksums.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { SumdbEvents } from '../sumdb/types.ts';
import type { History } from './history.ts';

export interface ProofSources {
  readonly sumdb: EventBus<SumdbEvents>;
  readonly checksums: EventBus<ChecksumEvents>;
}

/** Returns the unsubscribe. */
export function keepProofHistory(
  history: Pick<History, 'note'>,
  { sumdb, checksums }: ProofSources,
): () => void {
  const unsubscribes = [
    sumdb.on('forked', ({ database, source, knownSize, otherSize }) =>
      history.note({
        kind: 'fork',
        severity: 'critical',
        upstream: source,
        message: `${database} has signed two logs that contradict each other (known size ${knownSize}, ${source} gave size ${otherSize}): no new record is trusted; see modferry sumdb show ${database}`,
        data: { database, knownSize, otherSize },
      }),
    ),
    sumdb.on('refused', ({ database, source, what, reason }) =>
      history.note({
        kind: 'refused',
        severity: 'warning',
        upstream: source,
        message: `refused what ${source} sent as ${what} of ${database}: ${reason}`,
        data: { database, what, reason },
      }),
    ),
    sumdb.on('rotten', ({ database, what, isTrustLost }) =>
      history.note({
        kind: 'rotten',
        severity: isTrustLost ? 'critical' : 'warning',
        message: isTrustLost
          ? `the ${what} that was known of ${database} and its copy cannot be read on this disk: the next one is taken if it has the records that are kept; check the disk, and compare modferry sumdb show ${database} with another machine`
          : `${what} of ${database} was no longer what had been proven on this disk; it is fetched anew`,
        data: { database, what, isTrustLost },
      }),
    ),
    sumdb.on('reset', ({ database, reason }) =>
      history.note({
        kind: 'sumdb',
        severity: 'warning',
        message: `what was known of ${database} was forgotten by order: ${reason}`,
        data: { database, reason },
      }),
    ),
    checksums.on('contradiction', ({ key, label, trustedH1, database, databaseH1 }) =>
      history.note({
        kind: 'proof',
        severity: 'error',
        module: key.path,
        message: `the imported go.sum ${label} says ${trustedH1} of ${key.path}@${key.version}.${key.ext}, ${database} says ${databaseH1}: the database is believed`,
        data: { version: key.version, artifact: key.ext, label, trustedH1, database, databaseH1 },
      }),
    ),
    checksums.on('linesUnread', ({ reason }) =>
      history.note({
        kind: 'proof',
        severity: 'error',
        message: `the trusted go.sum lines cannot be read, so nothing is proven until they are: ${reason}`,
        data: { reason },
      }),
    ),
    checksums.on('linesDamaged', ({ file, lines }) =>
      history.note({
        kind: 'proof',
        severity: 'warning',
        message: `${lines === 1 ? '1 line' : `${lines} lines`} of ${file} cannot be understood and hold for nothing; mend or remove them there`,
        data: { file, lines },
      }),
    ),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}
