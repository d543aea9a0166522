/** The lines of `modferry audit`, for people. */
import type { AuditRecord } from '../audit/entry.ts';
import { localTime, printable } from './events-text.ts';
import { renderTable } from './format.ts';

const marks = { ok: '', refused: 'refused', failed: 'FAILED' } as const;

/** One line each: local time, action, result unless ok, who, from where, what, why, further facts. Empty for none. */
export function auditText(records: readonly AuditRecord[]): string {
  return renderTable(records.map((record) => rowOf(record).map(printable)));
}

function rowOf(record: AuditRecord): string[] {
  const { atMs, action, result, who, from, module = '', version, reason = '', data, count, lost } = record;
  const notes = [
    reason,
    data === undefined ? '' : dataText(data),
    count > 1 ? `(${count} times)` : '',
    lost > 0 ? `(${lost} entries before this one were lost)` : '',
  ];
  return [
    localTime(atMs),
    action,
    marks[result],
    who,
    `from ${from}`,
    version === undefined ? module : `${module}@${version}`,
    notes.filter((note) => note !== '').join(' '),
  ];
}

const maxFacts = 6;
const maxFactLength = 60;

/** `name ci, id 3f9a0c21`: the name first, as it is what a reader knows. */
function dataText(data: Readonly<Record<string, unknown>>): string {
  const facts = Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== null && !isEmpty(value))
    .sort(([a], [b]) => Number(b === 'name') - Number(a === 'name'))
    .map(([name, value]) => `${name} ${cut(typeof value === 'string' ? value : JSON.stringify(value))}`);
  return facts.length > maxFacts ? `${facts.slice(0, maxFacts).join(', ')}, …` : facts.join(', ');
}

function isEmpty(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0);
}

function cut(text: string): string {
  return text.length > maxFactLength ? `${text.slice(0, maxFactLength)}…` : text;
}
