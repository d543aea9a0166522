/** Metrics of what clients asked and got. */
import type { EventBus } from '../lib/event-bus.ts';
import { type HotCounters, type RequestEvents, requestArtifacts } from '../proxy/request-events.ts';
import type { Family } from './exposition.ts';
import { Distribution, type Sample, Tally } from './series.ts';

/** Seconds: from a file on this machine to a large zip over a slow link. */
const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export interface RequestMetricsDeps {
  readonly requests: EventBus<RequestEvents>;
  /** Ready answers; read at each scrape. */
  readonly hot: HotCounters;
}

export class RequestMetrics {
  readonly families: readonly Family[];
  readonly #hot: HotCounters;
  readonly #answers = new Tally('artifact', 'source', 'status');
  readonly #bytes = new Tally('artifact', 'source');
  readonly #aborted = new Tally('artifact');
  readonly #durations = new Distribution(durationBounds, 'artifact', 'source');
  readonly #firstBytes = new Distribution(durationBounds, 'artifact', 'source');
  readonly #misses = new Tally('artifact');
  readonly #unsubscribe: () => void;
  #diskHits = 0;

  constructor({ requests, hot }: RequestMetricsDeps) {
    this.#hot = hot;
    this.#unsubscribe = requests.on('request', (event) => this.#count(event));
    this.families = this.#describe();
  }

  close(): void {
    this.#unsubscribe();
  }

  #count(event: RequestEvents['request']): void {
    const { artifact } = event;
    const source = sourceClassOf(event.source);
    const both = [artifact, source];
    this.#answers.add([artifact, source, statusLabel(event.status)]);
    this.#bytes.add(both, event.bytes);
    if (source === 'store') this.#diskHits += 1;
    else if (source === 'upstream') this.#misses.add([artifact]);
    if (event.aborted) {
      // How long a client stayed tells nothing of how long an answer takes.
      this.#aborted.add([artifact]);
      return;
    }
    this.#durations.observe(both, event.tookMs / 1000);
    this.#firstBytes.observe(both, event.firstByteMs / 1000);
  }

  #describe(): Family[] {
    return [
      {
        name: 'modferry_requests_total',
        help: 'Requests answered, ready answers included.',
        type: 'counter',
        labels: ['artifact', 'source', 'status'],
        samples: () =>
          withHot(this.#answers.samples(), this.#hotSamples('requests'), ['artifact', 'source', 'status']),
      },
      {
        name: 'modferry_response_bytes_total',
        help: 'Body bytes sent to clients, ready answers included.',
        type: 'counter',
        labels: ['artifact', 'source'],
        samples: () => withHot(this.#bytes.samples(), this.#hotSamples('bytes'), ['artifact', 'source']),
      },
      {
        name: 'modferry_request_duration_seconds',
        help: 'Time to the end of the answer, without ready answers and aborted requests.',
        type: 'histogram',
        labels: ['artifact', 'source'],
        samples: () => this.#durations.samples(),
      },
      {
        name: 'modferry_request_first_byte_seconds',
        help: 'Time to the first byte of the answer, without ready answers and aborted requests.',
        type: 'histogram',
        labels: ['artifact', 'source'],
        samples: () => this.#firstBytes.samples(),
      },
      {
        name: 'modferry_requests_aborted_total',
        help: 'Requests whose client went away, or whose transfer had to be broken.',
        type: 'counter',
        labels: ['artifact'],
        samples: () => this.#aborted.samples(),
      },
      {
        name: 'modferry_hits_total',
        help: 'Requests answered from the store: ready in memory under their URL, or looked up.',
        type: 'counter',
        labels: ['kind'],
        samples: () => [
          { labels: { kind: 'memory' }, value: this.#hotSamples('requests').reduce(sumOf, 0) },
          { labels: { kind: 'disk' }, value: this.#diskHits },
        ],
      },
      {
        name: 'modferry_misses_total',
        help: 'Requests answered with what an upstream sent for them.',
        type: 'counter',
        labels: ['artifact'],
        samples: () => this.#misses.samples(),
      },
    ];
  }

  #hotSamples(what: 'requests' | 'bytes'): Sample[] {
    return requestArtifacts
      .filter((artifact) => this.#hot[artifact].requests > 0)
      .map((artifact) => ({
        labels: { artifact, source: 'store', status: '200' },
        value: this.#hot[artifact][what],
      }));
  }
}

function sumOf(sum: number, { value }: Sample): number {
  return sum + value;
}

/** Both kinds of one series as one. */
function withHot(cold: readonly Sample[], hot: readonly Sample[], names: readonly string[]): Sample[] {
  const sums = new Map<string, { labels: Record<string, string>; value: number }>();
  for (const { labels, value } of [...cold, ...hot]) {
    const own = Object.fromEntries(names.map((name) => [name, labels[name] ?? '']));
    const key = JSON.stringify(own);
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { labels: own, value });
    else sum.value += value;
  }
  return [...sums.values()];
}

/** The access log names the upstream; as a label it would multiply every series. */
function sourceClassOf(source: string): string {
  if (source === 'store' || source === 'modferry') return source;
  return source === 'upstream' || source.startsWith('upstream:') ? 'upstream' : 'none';
}

function statusLabel(status: number): string {
  return Number.isInteger(status) && status >= 100 && status <= 599 ? String(status) : 'other';
}
