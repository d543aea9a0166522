/** Metrics of the service itself, read from it at each scrape. What is not known is left out, never 0. */
import type { Mode } from '../health/types.ts';
import type { LookAheadCounts } from '../proxy/look-ahead.ts';
import type { Family } from './exposition.ts';
import type { Sample } from './series.ts';

/** What a scrape shows of the service, taken at its beginning. */
export interface ServiceFigures {
  readonly version: string;
  readonly nodeVersion: string;
  readonly mode: Mode;
  /** How many configurations have been in force, this one included. */
  readonly revision: number;
  /** Artifacts being fetched. */
  readonly fills: number;
  /** Fetches that wait for a place; undefined: not known. */
  readonly queued: number | undefined;
  /** Askers that joined a fetch which another one had begun; undefined: not counted. */
  readonly joins: number | undefined;
  readonly lookAhead: LookAheadCounts;
  /** Remembered absences, some of them perhaps over by now. */
  readonly negatives: number;
  /** Of the disk the store is on, and of the store where that is known. Undefined: it could not be read. */
  readonly space: SpaceFigures | undefined;
  /** Writes of the event history that failed. */
  readonly eventWriteErrors: number;
}

export interface SpaceFigures {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly usedBytes?: number | undefined;
}

const modes: readonly Mode[] = ['normal', 'offline', 'direct'];

/** `figures`: those of the scrape under way. */
export function serviceFamilies(figures: () => ServiceFigures): Family[] {
  const plain = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    of: (now: ServiceFigures) => number | undefined,
  ): Family => ({
    name,
    help,
    type,
    labels: [],
    samples: () => {
      const value = of(figures());
      return value === undefined ? [] : [{ labels: {}, value }];
    },
  });
  return [
    plain(
      'counter',
      'modferry_single_flight_joins_total',
      'Askers that joined a fetch which another one had begun.',
      ({ joins }) => joins,
    ),
    ...lookAheadFamilies(figures),
    plain('gauge', 'modferry_fills_in_progress', 'Artifacts being fetched.', ({ fills }) => fills),
    plain('gauge', 'modferry_fetch_queue_length', 'Fetches that wait for a place.', ({ queued }) => queued),
    {
      name: 'modferry_mode',
      help: '1 for the mode in force, 0 for the others.',
      type: 'gauge',
      labels: ['mode'],
      samples: () => modes.map((mode) => ({ labels: { mode }, value: figures().mode === mode ? 1 : 0 })),
    },
    plain(
      'gauge',
      'modferry_store_bytes',
      'Size of the store, where known.',
      ({ space }) => space?.usedBytes,
    ),
    plain(
      'gauge',
      'modferry_store_free_bytes',
      'Free space on the disk of the store.',
      ({ space }) => space?.freeBytes,
    ),
    plain(
      'gauge',
      'modferry_store_total_bytes',
      'Size of the disk of the store.',
      ({ space }) => space?.totalBytes,
    ),
    plain('gauge', 'modferry_negative_answers', 'Remembered absences.', ({ negatives }) => negatives),
    plain(
      'counter',
      'modferry_event_write_errors_total',
      'Writes of the event history that failed.',
      ({ eventWriteErrors }) => eventWriteErrors,
    ),
    plain(
      'gauge',
      'modferry_config_revision',
      'Configurations that have been in force, this one included.',
      ({ revision }) => revision,
    ),
    {
      name: 'modferry_build_info',
      help: 'Always 1; versions are in the labels.',
      type: 'gauge',
      labels: ['version', 'node'],
      samples: () => [{ labels: { version: figures().version, node: figures().nodeVersion }, value: 1 }],
    },
  ];
}

/** What was fetched and never asked for is fetched − used. */
function lookAheadFamilies(figures: () => ServiceFigures): Family[] {
  const what = (of: (counts: LookAheadCounts) => Readonly<Record<string, number>>) => (): Sample[] =>
    Object.entries(of(figures().lookAhead)).map(([word, value]) => ({ labels: { what: word }, value }));
  return [
    {
      name: 'modferry_look_ahead_files_total',
      help: 'Files fetched ahead of clients: begun, fetched, used by a client since, dropped unfetched, failed.',
      type: 'counter',
      labels: ['what'],
      samples: what(({ started, used, unasked, dropped, failed }) => ({
        started,
        fetched: used + unasked,
        used,
        dropped,
        failed,
      })),
    },
    {
      name: 'modferry_look_ahead_bytes_total',
      help: 'Bytes of files fetched ahead of clients, and of those used by a client since.',
      type: 'counter',
      labels: ['what'],
      samples: what(({ usedBytes, unaskedBytes }) => ({
        fetched: usedBytes + unaskedBytes,
        used: usedBytes,
      })),
    },
  ];
}
