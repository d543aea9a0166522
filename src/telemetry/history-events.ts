/** What the parts tell, as events of the history: each a sentence with its numbers. */
import type { HealthEvents, HealthState } from '../health/types.ts';
import type { IngestEvents } from '../ingest/types.ts';
import { formatDuration } from '../lib/duration.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { History } from './history.ts';
import type { NewEvent, Severity } from './history-types.ts';

export interface HistorySources {
  readonly health: EventBus<HealthEvents>;
  readonly ingest: EventBus<IngestEvents>;
}

/** Returns the unsubscribe. */
export function keepHistory(history: Pick<History, 'note'>, { health, ingest }: HistorySources): () => void {
  const unsubscribes = [
    ...(['state', 'breaker', 'switched', 'rest', 'budgetSpent'] as const).map((type) =>
      subscribe(history, health, type, healthEvents[type]),
    ),
    ...ingestTypes.map((type) => subscribe(history, ingest, type, ingestEvents[type])),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

function subscribe<Events extends object>(
  history: Pick<History, 'note'>,
  bus: EventBus<Events>,
  type: keyof Events,
  make: (payload: never) => NewEvent,
): () => void {
  return bus.on(type, (payload) => history.note(make(payload as never)));
}

type Makers<Events, Type extends keyof Events> = { readonly [T in Type]: (payload: Events[T]) => NewEvent };

const healthEvents: Makers<HealthEvents, 'state' | 'breaker' | 'switched' | 'rest' | 'budgetSpent'> = {
  state: ({ upstream, from, to, cause, score }) => ({
    kind: 'state',
    severity: stateSeverity(to),
    upstream,
    message: `${upstream} is ${to}, was ${from}: ${cause} (score ${Math.round(score)})`,
    data: { from, to, cause, score: Math.round(score) },
  }),
  breaker: ({ upstream, from, to, cause, openMs }) => ({
    kind: 'breaker',
    severity: to === 'open' ? 'warning' : 'info',
    upstream,
    message:
      to === 'open'
        ? `the breaker of ${upstream} opened${openMs === undefined ? '' : ` for ${timeText(openMs)}`}: ${cause}`
        : `the breaker of ${upstream} is ${to === 'half_open' ? 'half-open' : 'closed'}: ${cause}`,
    data: { from, to, cause, openMs: openMs ?? null },
  }),
  switched: (change) => {
    const { route, from, to, cause } = change;
    return {
      kind: 'switch',
      severity: switchSeverity(change),
      upstream: to ?? from,
      route,
      message: switchText(change),
      data: { from: from ?? null, to: to ?? null, cause },
    };
  },
  rest: ({ upstream, forMs, status }) => ({
    kind: 'rest',
    severity: 'warning',
    upstream,
    message: `${upstream} asked for a pause and gets ${timeText(forMs)}${status === undefined ? '' : ` (status ${status})`}`,
    data: { forMs, status: status ?? null },
  }),
  budgetSpent: ({ what }) => ({
    kind: 'budget',
    severity: 'warning',
    message:
      what === 'hedge'
        ? 'the budget for hedges is used up: slow answers are waited for'
        : 'the budget for repeats is used up: failed requests are not asked again',
    data: { what },
  }),
};

const ingestTypes = [
  'takeOver',
  'refused',
  'mismatch',
  'healed',
  'conflict',
  'withdrawn',
  'disowned',
  'passedThrough',
  'publishFailed',
] as const;

const ingestEvents: Makers<IngestEvents, (typeof ingestTypes)[number]> = {
  takeOver: ({ key, from, to, atByte, how, cause }) => ({
    kind: 'take_over',
    severity: 'warning',
    upstream: from,
    module: key.path,
    message: `${to} took over ${fileText(key)} from ${from} at byte ${atByte} (${how}): ${cause}`,
    data: { version: key.version, artifact: key.ext, from, to, atByte, how, cause },
  }),
  refused: ({ key, source, reason }) => ({
    kind: 'refused',
    severity: 'warning',
    upstream: source,
    module: key.path,
    message: `refused what ${source} sent as ${fileText(key)}: ${reason}`,
    data: { version: key.version, artifact: key.ext, reason },
  }),
  mismatch: ({ key, source, cause, reason, expectedH1, foundH1, sha256, quarantineId }) => ({
    kind: 'mismatch',
    severity: 'error',
    upstream: source,
    module: key.path,
    message: `${source} sent other content as ${fileText(key)} than it should be: ${reason}${quarantineId === undefined ? '' : `; quarantined as ${quarantineId}`}`,
    data: {
      version: key.version,
      artifact: key.ext,
      cause,
      expectedH1: expectedH1 ?? null,
      foundH1: foundH1 ?? null,
      sha256,
      quarantineId: quarantineId ?? null,
    },
  }),
  healed: ({ key, from, source }) => ({
    kind: 'healed',
    severity: 'warning',
    upstream: source,
    module: key.path,
    message: `${fileText(key)} came right from ${source}, after other content from ${from.join(', ')}`,
    data: { version: key.version, artifact: key.ext, from: from.join(', ') },
  }),
  conflict: ({ key, source, storedSha256, offeredSha256 }) => ({
    kind: 'conflict',
    severity: 'error',
    upstream: source,
    module: key.path,
    message: `${source} sent other bytes as ${fileText(key)} than those stored; the stored ones stay`,
    data: { version: key.version, artifact: key.ext, storedSha256, offeredSha256 },
  }),
  withdrawn: ({ path, version, source }) => ({
    kind: 'withdrawn',
    severity: 'warning',
    upstream: source,
    module: path,
    message: `${path}@${version} is listed by ${source}, but every source refuses it; it leaves the list for a while`,
    data: { version },
  }),
  disowned: ({ path, version, source }) => ({
    kind: 'withdrawn',
    severity: 'warning',
    upstream: source,
    module: path,
    message: `${path} is private now, and ${path}@${version} came from ${source}, which is none of its sources: removed from the store`,
    data: { version },
  }),
  passedThrough: ({ key, reason }) => ({
    kind: 'disk',
    severity: 'error',
    module: key.path,
    message: `${fileText(key)} was passed on without being stored: ${reason}`,
    data: { version: key.version, artifact: key.ext, reason },
  }),
  publishFailed: ({ key, code, message }) => ({
    kind: 'disk',
    severity: 'error',
    module: key.path,
    message: `${fileText(key)} could not be stored: ${message}`,
    data: { version: key.version, artifact: key.ext, code },
  }),
};

export function stateSeverity(to: HealthState): Severity {
  if (to === 'out') return 'error';
  return to === 'suspect' || to === 'slow' ? 'warning' : 'info';
}

/** A change because the favourite is ill; one by choice, or by an operator's hand, is no trouble. */
export function switchSeverity({ from, to, cause }: HealthEvents['switched']): Severity {
  if (to === undefined) return 'error';
  if (from === undefined) return 'info';
  return cause.startsWith(`${from}: `) || cause.startsWith(`${from} `) ? 'warning' : 'info';
}

function switchText({ route, from, to, cause }: HealthEvents['switched']): string {
  if (to === undefined) return `nobody is well enough to be asked first for ${route} modules: ${cause}`;
  if (from === undefined) return `${to} is asked first for ${route} modules: ${cause}`;
  return `${to} is asked first for ${route} modules instead of ${from}: ${cause}`;
}

function fileText({ path, version, ext }: IngestEvents['refused']['key']): string {
  return `${path}@${version}.${ext}`;
}

/** Whole seconds: `1m30s`. */
function timeText(ms: number): string {
  return formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000);
}
