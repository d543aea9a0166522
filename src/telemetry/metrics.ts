/**
 * `/metrics`: counts from the first request on, writes out when asked. Only the first scrape loads the client library
 * and begins to watch event loop and garbage collection; who never scrapes pays for the counting alone.
 */
import type { UpstreamFigures } from '../health/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ScrubEvents } from '../scrub/types.ts';
import type { SumdbFigures } from '../sumdb/types.ts';
import type { Exposition, Page } from './exposition.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import { ProofMetrics } from './proof-metrics.ts';
import { RequestMetrics, type RequestMetricsDeps } from './request-metrics.ts';
import { type ServiceFigures, type SpaceFigures, serviceFamilies } from './service-metrics.ts';
import { UpstreamMetrics, type UpstreamMetricsDeps } from './upstream-metrics.ts';

/** The functions are called once a scrape. */
export interface MetricsDeps extends RequestMetricsDeps, UpstreamMetricsDeps {
  figures(): readonly UpstreamFigures[];
  /** May reject: what it would tell is then left out of that scrape. */
  space(): Promise<SpaceFigures>;
  service(): Omit<ServiceFigures, 'space'>;
  databases(): readonly SumdbFigures[];
  readonly scrub: EventBus<ScrubEvents>;
  /** Wall clock. */
  now(): number;
}

export interface Metrics {
  /** Prometheus' text format. Those who ask at the same time get the same page. Rejects after `close`. */
  text(): Promise<Page>;
  /** Stops counting and watching. Idempotent. */
  close(): void;
}

export function createMetrics(deps: MetricsDeps): Metrics {
  return new CountedMetrics(deps);
}

/** What only a scrape needs. */
interface Opened {
  readonly exposition: Exposition;
  readonly process: ProcessMetrics;
}

class CountedMetrics implements Metrics {
  readonly #deps: MetricsDeps;
  readonly #requests: RequestMetrics;
  readonly #upstreams: UpstreamMetrics;
  readonly #proofs: ProofMetrics;
  #figures: readonly UpstreamFigures[] = [];
  #service: ServiceFigures | undefined;
  #opened: Promise<Opened> | undefined;
  #scrape: Promise<Page> | undefined;
  #closed = false;

  constructor(deps: MetricsDeps) {
    this.#deps = deps;
    this.#requests = new RequestMetrics(deps);
    this.#proofs = new ProofMetrics(deps);
    this.#upstreams = new UpstreamMetrics({
      health: deps.health,
      ingest: deps.ingest,
      figures: () => this.#figures,
      routeKind: (name) => deps.routeKind(name),
    });
  }

  text(): Promise<Page> {
    this.#scrape ??= this.#write().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  close(): void {
    this.#closed = true;
    this.#requests.close();
    this.#upstreams.close();
    this.#proofs.close();
    void this.#opened?.then(({ process }) => process.close()).catch(() => {});
  }

  async #write(): Promise<Page> {
    if (this.#closed) throw new ModferryError('stopping', 'modferry is stopping');
    this.#opened ??= this.#open();
    const { exposition, process } = await this.#opened;
    const [space] = await Promise.all([this.#deps.space().catch(() => undefined), process.read()]);
    this.#figures = this.#deps.figures();
    this.#service = { ...this.#deps.service(), space };
    return exposition.page();
  }

  async #open(): Promise<Opened> {
    const [{ Exposition }, { ProcessMetrics }] = await Promise.all([
      import('./exposition.ts'),
      import('./process-metrics.ts'),
    ]);
    const process = new ProcessMetrics();
    const service = serviceFamilies(() => {
      if (this.#service === undefined) throw new Error('read before a scrape');
      return this.#service;
    });
    const exposition = await Exposition.open([
      ...this.#requests.families,
      ...this.#upstreams.families,
      ...this.#proofs.families,
      ...service,
      ...process.families,
    ]);
    return { exposition, process };
  }
}
