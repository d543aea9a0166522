/** Writes metrics out in Prometheus' text format through its kept client library, which is loaded when first asked. */
import type * as library from '@prometheus-io/client';
import type { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { Sample } from './series.ts';

/** One metric with all its series. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  /** As they are now. Called once a scrape. */
  samples(): readonly Sample[];
}

export interface Page {
  readonly contentType: string;
  readonly body: string;
}

type Library = typeof library;

export class Exposition {
  readonly #registry: Registry;

  private constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Takes about 100 ms the first time in a process. A registry of its own: nothing is global. */
  static async open(families: readonly Family[]): Promise<Exposition> {
    const library = await import('@prometheus-io/client');
    const registry = new library.Registry();
    for (const family of families) {
      if (family.type === 'counter') addCounter(library, registry, family);
      else if (family.type === 'gauge') addGauge(library, registry, family);
      else addHistogram(library, registry, family);
    }
    return new Exposition(registry);
  }

  async page(): Promise<Page> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

function addCounter(library: Library, registry: Registry, family: Family): Counter<string> {
  return new library.Counter<string>({
    ...settings(registry, family),
    collect() {
      empty(this);
      for (const { labels, value } of family.samples()) this.inc(labels, value);
    },
  });
}

function addGauge(library: Library, registry: Registry, family: Family): Gauge<string> {
  return new library.Gauge<string>({
    ...settings(registry, family),
    collect() {
      empty(this);
      for (const { labels, value } of family.samples()) this.set(labels, value);
    },
  });
}

/** The library's own counts each observation as it comes; ours are counted before it is loaded. */
function addHistogram(library: Library, registry: Registry, family: Family): Histogram<string> {
  class Counted extends library.Histogram<string> {
    override async get(): ReturnType<Histogram<string>['get']> {
      const values = family.samples().map(({ labels, value, suffix = '' }) => ({
        labels,
        value,
        metricName: `${family.name}${suffix}`,
      }));
      return {
        name: family.name,
        help: family.help,
        type: 'histogram',
        aggregator: 'sum',
        collect() {},
        values,
      };
    }

    /** What the registry asks before `get`, unknown to the library's types. */
    getForPromString(): ReturnType<Histogram<string>['get']> {
      return this.get();
    }
  }
  // The library would keep buckets of its own here; they stay empty.
  return new Counted(settings(registry, family));
}

function settings(registry: Registry, { name, help, labels }: Family) {
  return {
    name,
    help,
    labelNames: [...labels],
    registers: [registry as Registry<typeof registry.contentType>],
  };
}

/** After a reset, one without labels is 0: what is not known is left out instead. */
function empty(metric: Counter<string> | Gauge<string>): void {
  metric.reset();
  metric.remove({});
}
