/** Metrics of the upstreams: what happened to attempts (events), and how each one is (figures at the scrape). */
import type { BreakerState, HealthEvents, HealthState, UpstreamFigures } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { Family } from './exposition.ts';
import { CappedNames, Distribution, type Sample, Tally } from './series.ts';

/** Seconds to a first byte: public mirrors fetch on demand, so a minute is possible. */
const firstByteBounds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 60];

/** Names come from configuration, which may change any number of times. */
const maxNames = 50;

const states: readonly HealthState[] = ['healthy', 'slow', 'recovering', 'suspect', 'out'];
const breakers: readonly BreakerState[] = ['closed', 'half_open', 'open'];
const routes = ['public', 'private'] as const;

export interface UpstreamMetricsDeps {
  readonly health: EventBus<HealthEvents>;
  readonly ingest: EventBus<IngestEvents>;
  figures(): readonly UpstreamFigures[];
  /** What a route is, by its name. Names may be patterns of private modules, so they are no labels. */
  routeKind(name: string): 'public' | 'private';
}

interface Shown {
  readonly name: string;
  readonly figures: UpstreamFigures;
}

export class UpstreamMetrics {
  readonly families: readonly Family[];
  readonly #deps: UpstreamMetricsDeps;
  readonly #names = new CappedNames(maxNames);
  readonly #attempts = new Tally('upstream', 'class', 'result');
  readonly #firstBytes = new Distribution(firstByteBounds, 'upstream', 'class');
  readonly #bytes = new Tally('upstream');
  readonly #switches = new Tally('route');
  readonly #hedges = new Tally('upstream');
  readonly #repeats = new Tally('upstream');
  readonly #takeOvers = new Tally('how');
  readonly #refused = new Tally('upstream');
  readonly #probes = new Tally('upstream', 'result');
  readonly #unsubscribes: readonly (() => void)[];

  constructor(deps: UpstreamMetricsDeps) {
    this.#deps = deps;
    for (const route of routes) this.#switches.add([route], 0);
    for (const how of ['resumed', 'restarted']) this.#takeOvers.add([how], 0);
    this.#unsubscribes = this.#subscribe();
    this.families = [...this.#counted(), ...this.#observed()];
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  #subscribe(): (() => void)[] {
    const { health, ingest } = this.#deps;
    const label = (name: string): string => this.#names.labelOf(name);
    return [
      health.on('attempt', ({ upstream, answerClass, code, tookMs }) => {
        const name = label(upstream);
        this.#attempts.add([name, answerClass, code]);
        if (code === 'ok') this.#firstBytes.observe([name, answerClass], tookMs / 1000);
      }),
      health.on('body', ({ upstream, bytes }) => this.#bytes.add([label(upstream)], bytes)),
      health.on('probe', ({ upstream, code }) => this.#probes.add([label(upstream), code])),
      health.on('hedge', ({ upstream }) => this.#hedges.add([label(upstream)])),
      health.on('repeat', ({ upstream }) => this.#repeats.add([label(upstream)])),
      health.on('switched', ({ route, from }) => {
        // The first choice after the start is no change.
        if (from !== undefined) this.#switches.add([this.#deps.routeKind(route)]);
      }),
      ingest.on('takeOver', ({ how }) => this.#takeOvers.add([how])),
      ingest.on('refused', ({ source }) => this.#refused.add([label(source)])),
    ];
  }

  #counted(): Family[] {
    const counter = (
      name: string,
      help: string,
      labels: readonly string[],
      tally: { samples(): Sample[] },
    ): Family => ({ name, help, labels, type: 'counter', samples: () => tally.samples() });
    const ofEach = (name: string, help: string, tally: Tally<'upstream'>): Family => ({
      ...counter(name, help, ['upstream'], tally),
      samples: () => {
        for (const shown of this.#shown()) tally.add([shown.name], 0);
        return tally.samples();
      },
    });
    return [
      counter(
        'modferry_upstream_attempts_total',
        'Questions to upstreams, by what became of them.',
        ['upstream', 'class', 'result'],
        this.#attempts,
      ),
      {
        name: 'modferry_upstream_first_byte_seconds',
        help: 'Time to the first byte of good answers of upstreams.',
        type: 'histogram',
        labels: ['upstream', 'class'],
        samples: () => this.#firstBytes.samples(),
      },
      ofEach('modferry_upstream_bytes_total', 'Body bytes received from upstreams.', this.#bytes),
      counter('modferry_switches_total', 'Changes of the favourite upstream.', ['route'], this.#switches),
      ofEach(
        'modferry_hedges_total',
        'Upstreams asked as well because another was silent for long.',
        this.#hedges,
      ),
      ofEach('modferry_repeats_total', 'Upstreams asked again in one request.', this.#repeats),
      counter(
        'modferry_take_overs_total',
        'Zips that another upstream went on with in the middle.',
        ['how'],
        this.#takeOvers,
      ),
      ofEach(
        'modferry_refused_bodies_total',
        'Answers of upstreams whose content was refused.',
        this.#refused,
      ),
      counter('modferry_probes_total', 'Probes of upstreams.', ['upstream', 'result'], this.#probes),
    ];
  }

  #observed(): Family[] {
    const gauge = (
      name: string,
      help: string,
      labels: readonly string[],
      of: (shown: Shown) => readonly Sample[],
    ): Family => ({ name, help, labels, type: 'gauge', samples: () => this.#shown().flatMap(of) });
    const oneOf =
      (label: string, words: readonly string[], is: (figures: UpstreamFigures, word: string) => boolean) =>
      ({ name, figures }: Shown): Sample[] =>
        words.map((word) => ({
          labels: { upstream: name, [label]: word },
          value: is(figures, word) ? 1 : 0,
        }));
    const number =
      (of: (figures: UpstreamFigures) => number) =>
      ({ name, figures }: Shown): Sample[] => [{ labels: { upstream: name }, value: of(figures) }];
    return [
      gauge(
        'modferry_upstream_state',
        '1 for the state the upstream is in, 0 for the others.',
        ['upstream', 'state'],
        oneOf('state', states, ({ state }, word) => state === word),
      ),
      gauge(
        'modferry_upstream_score',
        'Score of the upstream, 0 to 100.',
        ['upstream'],
        number(({ score }) => score),
      ),
      gauge(
        'modferry_upstream_breaker_state',
        '1 for the state its breaker is in, 0 for the others.',
        ['upstream', 'state'],
        oneOf('state', breakers, ({ breaker }, word) => breaker === word),
      ),
      gauge(
        'modferry_upstream_in_flight',
        'Requests under way to the upstream.',
        ['upstream'],
        number(({ inFlight }) => inFlight),
      ),
      gauge(
        'modferry_upstream_queued',
        'Requests that wait for a connection to the upstream.',
        ['upstream'],
        number(({ queued }) => queued),
      ),
      gauge(
        'modferry_upstream_favourite',
        '1 where the upstream is asked first on the route.',
        ['route', 'upstream'],
        oneOf('route', routes, ({ favouriteOf }, kind) =>
          favouriteOf.some((name) => this.#deps.routeKind(name) === kind),
        ),
      ),
    ];
  }

  /** Those without a name of their own are left out: a state of several upstreams together means nothing. */
  #shown(): Shown[] {
    return this.#deps
      .figures()
      .map((figures) => ({ name: this.#names.labelOf(figures.name), figures }))
      .filter(({ name, figures }) => name === figures.name);
  }
}
