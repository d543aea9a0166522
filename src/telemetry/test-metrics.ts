/** Test help: metrics over made-up figures, and a reader of the text they write. */
import { onTestFinished } from 'vitest';
import { quietFigures } from '../health/test-figures.ts';
import type { HealthEvents, UpstreamFigures } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { type HotCounters, newHotCounters, type RequestEvents } from '../proxy/request-events.ts';
import type { ScrubEvents } from '../scrub/types.ts';
import { createMetrics, type Metrics, type MetricsDeps } from './metrics.ts';

export function upstreamFigures(name: string, changes: Partial<UpstreamFigures> = {}): UpstreamFigures {
  return quietFigures({
    name,
    url: `https://${name}`,
    inFlight: 2,
    queued: 1,
    favouriteOf: ['public'],
    ...changes,
  });
}

/** One line of the text. */
export interface Line {
  readonly series: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricsFixture {
  readonly metrics: Metrics;
  readonly requests: EventBus<RequestEvents>;
  readonly health: EventBus<HealthEvents>;
  readonly ingest: EventBus<IngestEvents>;
  readonly scrub: EventBus<ScrubEvents>;
  readonly hot: HotCounters;
  /** A scrape's values by series, e.g. `modferry_mode{mode="normal"}`. */
  readonly scrape: () => Promise<Map<string, Line>>;
}

/** Closed after the test. */
export function metricsFixture(changes: Partial<MetricsDeps> = {}): MetricsFixture {
  const requests = new EventBus<RequestEvents>();
  const health = new EventBus<HealthEvents>();
  const ingest = new EventBus<IngestEvents>();
  const scrub = new EventBus<ScrubEvents>();
  const hot = newHotCounters();
  const metrics = createMetrics({
    requests,
    health,
    ingest,
    hot,
    figures: () => [upstreamFigures('cn'), upstreamFigures('io', { favouriteOf: [] })],
    routeKind: (name) => (name === 'public' ? 'public' : 'private'),
    space: () => Promise.resolve({ freeBytes: 40, totalBytes: 100 }),
    databases: () => [
      {
        name: 'sum.test',
        treeSize: 9,
        isForked: false,
        lookups: { kept: 3, fetched: 2, failed: 1 },
        tilesFetched: 4,
        refused: 5,
      },
    ],
    scrub,
    now: () => 0,
    service: () => ({
      version: '0.1.0',
      nodeVersion: 'v24.0.0',
      mode: 'normal',
      revision: 3,
      fills: 5,
      queued: 7,
      joins: 11,
      lookAhead: {
        started: 9,
        used: 4,
        usedBytes: 400,
        unasked: 2,
        unaskedBytes: 200,
        dropped: 1,
        failed: 3,
      },
      negatives: 13,
      eventWriteErrors: 0,
    }),
    ...changes,
  });
  onTestFinished(() => metrics.close());
  return {
    metrics,
    requests,
    health,
    ingest,
    scrub,
    hot,
    scrape: async () => linesOf((await metrics.text()).body),
  };
}

export function linesOf(text: string): Map<string, Line> {
  const lines = new Map<string, Line>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`no line of the format: ${line}`);
    const [, name = '', labelText = '', value = ''] = match;
    const labels = Object.fromEntries(
      Array.from(labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, key = '', text = '']) => [key, text]),
    );
    const series = `${name}${labelText === '' ? '' : `{${labelText}}`}`;
    if (lines.has(series)) throw new Error(`written twice: ${series}`);
    lines.set(series, { series, name, labels, value: Number(value) });
  }
  return lines;
}
