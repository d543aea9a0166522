/** What an event of the history is, and its one line of JSON in the data folder. */

export const eventKinds = [
  'state',
  'switch',
  'breaker',
  'rest',
  'take_over',
  'refused',
  'budget',
  'conflict',
  'mismatch',
  'healed',
  'moved_tag',
  'fork',
  'sumdb',
  'proof',
  'rotten',
  'scrub',
  'quarantine',
  'withdrawn',
  'disk',
  'mode',
  'control',
  'reload',
  'start',
  'stop',
] as const;

export type EventKind = (typeof eventKinds)[number];

/** `critical`: trust itself is at stake; wake somebody. */
export type Severity = 'info' | 'warning' | 'error' | 'critical';

const severities: readonly Severity[] = ['info', 'warning', 'error', 'critical'];

/** Small: what goes into one line. */
export type EventData = Readonly<Record<string, string | number | boolean | null>>;

/** An event as it is told. */
export interface NewEvent {
  readonly kind: EventKind;
  readonly severity: Severity;
  readonly upstream?: string | undefined;
  readonly route?: string | undefined;
  readonly module?: string | undefined;
  /** One sentence with its numbers, for people. */
  readonly message: string;
  /** The same for scripts. */
  readonly data?: EventData | undefined;
}

/** An event as it is kept. */
export interface HistoryEvent extends NewEvent {
  /** Wall clock. */
  readonly atMs: number;
  /** The process that told it. */
  readonly instance: string;
  /** Counts the events of that process: with `instance` it names one event. */
  readonly number: number;
  /** More than 1: that many alike that were not told one by one, this being the last. */
  readonly count: number;
}

export interface EventFilter {
  /** The newest so many. Default: all. */
  readonly limit?: number | undefined;
  /** Wall clock: not older. */
  readonly sinceMs?: number | undefined;
  readonly upstream?: string | undefined;
  readonly kind?: EventKind | undefined;
}

const maxMessageLength = 500;
const maxNameLength = 300;

/** The object of one line, also what `modferry events --json` prints. */
export function eventJson(event: HistoryEvent): object {
  const { atMs, instance, number, kind, severity, upstream, route, module, message, data, count } = event;
  return {
    at: new Date(atMs).toISOString(),
    instance,
    number,
    kind,
    severity,
    upstream,
    route,
    module,
    message,
    ...(count > 1 ? { count } : {}),
    ...(data === undefined ? {} : { data }),
  };
}

/** With its line feed. */
export function eventLine(event: HistoryEvent): string {
  return `${JSON.stringify(eventJson(event))}\n`;
}

/** Undefined for a torn line, or one of something else. */
export function parseEventLine(line: string): HistoryEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const field = (name: string): unknown => Reflect.get(value, name);
  const kind = eventKinds.find((known) => known === field('kind'));
  const severity = severities.find((known) => known === field('severity'));
  const [instance, message] = [textOf(field('instance')), textOf(field('message'))];
  const atMs = Date.parse(textOf(field('at')) ?? '');
  const number = countOf(field('number'));
  if (kind === undefined || severity === undefined || instance === undefined || message === undefined) {
    return undefined;
  }
  if (number === undefined || Number.isNaN(atMs)) return undefined;
  return {
    atMs,
    instance,
    number,
    kind,
    severity,
    upstream: textOf(field('upstream')),
    route: textOf(field('route')),
    module: textOf(field('module')),
    message,
    count: countOf(field('count')) ?? 1,
    data: dataOf(field('data')),
  };
}

export function matches(event: HistoryEvent, { sinceMs, upstream, kind }: EventFilter): boolean {
  return (
    (sinceMs === undefined || event.atMs >= sinceMs) &&
    (upstream === undefined || event.upstream === upstream) &&
    (kind === undefined || event.kind === kind)
  );
}

/** `events` oldest first; those that match, the newest `limit` of them. */
export function selectEvents(events: readonly HistoryEvent[], filter: EventFilter): HistoryEvent[] {
  const found = events.filter((event) => matches(event, filter));
  return filter.limit === undefined ? found : found.slice(Math.max(0, found.length - filter.limit));
}

/** Texts of upstreams end up in messages: one line, of a bounded length. */
export function boundedEvent(event: NewEvent): NewEvent {
  return {
    ...event,
    message: shortened(event.message, maxMessageLength),
    upstream: event.upstream === undefined ? undefined : shortened(event.upstream, maxNameLength),
    module: event.module === undefined ? undefined : shortened(event.module, maxNameLength),
    data:
      event.data === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(event.data).map(([name, value]) => [
              name,
              typeof value === 'string' ? shortened(value, maxNameLength) : value,
            ]),
          ),
  };
}

function shortened(text: string, max: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function dataOf(value: unknown): EventData | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string | number | boolean | null] =>
      entry[1] === null || ['string', 'number', 'boolean'].includes(typeof entry[1]),
  );
  return Object.fromEntries(entries);
}
