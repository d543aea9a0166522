/** The lines of `modferry deliveries`, for people. */
import type { DeliveryRecord } from '../webhooks/delivery.ts';
import { localTime, printable } from './events-text.ts';
import { plural, renderTable } from './format.ts';

const maxShown = 5;

/** One line each: id, local time, state, webhook, repository, refs, what came of it. Empty for none. */
export function deliveriesText(records: readonly DeliveryRecord[]): string {
  return renderTable(records.map((record) => rowOf(record).map(printable)));
}

function rowOf(record: DeliveryRecord): string[] {
  const { id, atMs, state, webhook, push, refsLeftOut, replayOf } = record;
  const names = push.refs.map(({ ref, after }) => `${after === undefined ? '-' : ''}${shortRef(ref)}`);
  return [
    id,
    localTime(atMs),
    state,
    webhook,
    push.urls[0] ?? '',
    `${listed(names)}${refsLeftOut > 0 ? ` and ${refsLeftOut} more` : ''}`,
    `${replayOf === undefined ? '' : `(replay of ${replayOf}) `}${outcomeOf(record)}`,
  ];
}

function outcomeOf({ state, result, tookMs }: DeliveryRecord): string {
  if (state === 'unknown') return 'no module here is from this repository';
  if (result === undefined) return '';
  const parts = [
    result.published.length > 0 ? `stored ${listed(result.published)}` : '',
    result.refreshed.length > 0 ? `refreshed ${plural(result.refreshed.length, 'module')}` : '',
    ...result.refused.slice(0, maxShown).map(({ name, why }) => `${name}: ${why}`),
  ].filter((part) => part !== '');
  const took = tookMs === undefined ? '' : ` (${(tookMs / 1000).toFixed(1)} s)`;
  return `${parts.join('; ')}${took}`;
}

/** `v1.0.0` of `refs/tags/v1.0.0`. */
function shortRef(ref: string): string {
  return ref.replace(/^refs\/(?:tags|heads)\//, '');
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, maxShown).join(', ');
  return names.length > maxShown ? `${shown} and ${names.length - maxShown} more` : shown;
}
