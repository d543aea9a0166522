/** Metrics of proofs: what was published with which, what differed, and how the checksum databases' clients are. */
import type { IngestEvents } from '../ingest/types.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ScrubEvents } from '../scrub/types.ts';
import type { SumdbFigures } from '../sumdb/types.ts';
import type { Family } from './exposition.ts';
import { CappedNames, Tally } from './series.ts';

/** Sources come from the configuration, which changes. */
const maxUpstreams = 100;

export interface ProofMetricsDeps {
  readonly ingest: EventBus<IngestEvents>;
  readonly scrub: EventBus<ScrubEvents>;
  /** Wall clock. */
  now(): number;
  /** Of the scrape under way. */
  databases(): readonly SumdbFigures[];
}

export class ProofMetrics {
  readonly families: readonly Family[];
  readonly #databases: () => readonly SumdbFigures[];
  readonly #published = new Tally('artifact', 'proof');
  readonly #mismatches = new Tally('upstream', 'cause');
  readonly #healed = new Tally('artifact');
  readonly #scrubbed = new Tally('result');
  #lastScrubMs: number | undefined;
  readonly #names = new CappedNames(maxUpstreams);
  readonly #unsubscribes: readonly (() => void)[];

  constructor(deps: ProofMetricsDeps) {
    const { ingest, scrub } = deps;
    this.#databases = () => deps.databases();
    this.#unsubscribes = [
      ingest.on('published', ({ key, trust }) => {
        const proof =
          trust.proof?.by ?? (trust.unproven === undefined ? 'unknown' : `none_${trust.unproven}`);
        this.#published.add([key.ext, proof]);
      }),
      ingest.on('mismatch', ({ source, cause }) =>
        this.#mismatches.add([this.#names.labelOf(source), cause]),
      ),
      ingest.on('healed', ({ key }) => this.#healed.add([key.ext])),
      ...(['rotten', 'healed', 'quarantined', 'stuck', 'unreadable', 'renewed', 'proven'] as const).map(
        (result) => scrub.on(result, () => this.#scrubbed.add([result])),
      ),
      scrub.on('finished', () => {
        this.#lastScrubMs = deps.now();
      }),
    ];
    this.families = this.#describe();
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  #describe(): Family[] {
    const ofDatabase = (
      type: 'counter' | 'gauge',
      name: string,
      help: string,
      value: (database: SumdbFigures) => number | undefined,
    ): Family => ({
      name,
      help,
      type,
      labels: ['database'],
      samples: () =>
        this.#databases().flatMap((database) => {
          const now = value(database);
          return now === undefined ? [] : [{ labels: { database: database.name }, value: now }];
        }),
    });
    return [
      {
        name: 'modferry_published_total',
        help: 'Artifacts published, by what proves them.',
        type: 'counter',
        labels: ['artifact', 'proof'],
        samples: () => this.#published.samples(),
      },
      {
        name: 'modferry_mismatches_total',
        help: 'Answers of upstreams whose content is not what was proven.',
        type: 'counter',
        labels: ['upstream', 'cause'],
        samples: () => this.#mismatches.samples(),
      },
      {
        name: 'modferry_healed_total',
        help: 'Fetches in which another upstream had the right content after one had not.',
        type: 'counter',
        labels: ['artifact'],
        samples: () => this.#healed.samples(),
      },
      {
        name: 'modferry_sumdb_lookups_total',
        help: 'Records asked of the clients of checksum databases: kept here, fetched, failed.',
        type: 'counter',
        labels: ['database', 'result'],
        samples: () =>
          this.#databases().flatMap(({ name, lookups }) =>
            Object.entries(lookups).map(([result, value]) => ({ labels: { database: name, result }, value })),
          ),
      },
      {
        name: 'modferry_stored_files_checked_total',
        help: 'Stored files that were found to be other than recorded or proven, and what became of them.',
        type: 'counter',
        labels: ['result'],
        samples: () => this.#scrubbed.samples(),
      },
      {
        name: 'modferry_scrub_finished_timestamp_seconds',
        help: 'When this process last came to the end of the store.',
        type: 'gauge',
        labels: [],
        samples: () =>
          this.#lastScrubMs === undefined ? [] : [{ labels: {}, value: this.#lastScrubMs / 1000 }],
      },
      ofDatabase(
        'counter',
        'modferry_sumdb_tiles_fetched_total',
        'Tiles of hashes that were fetched to prove records.',
        ({ tilesFetched }) => tilesFetched,
      ),
      ofDatabase(
        'counter',
        'modferry_sumdb_refused_total',
        'Answers about a checksum database that failed their verification.',
        ({ refused }) => refused,
      ),
      ofDatabase(
        'gauge',
        'modferry_sumdb_tree_size',
        'Records in the largest tree known of a checksum database.',
        ({ treeSize }) => treeSize,
      ),
      ofDatabase(
        'gauge',
        'modferry_sumdb_forked',
        '1 while two signed heads contradict each other and no new record is trusted.',
        ({ isForked }) => (isForked ? 1 : 0),
      ),
    ];
  }
}
