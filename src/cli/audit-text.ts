/** The lines of `modferry audit`, for people. */
import type { AuditRecord } from '../audit/entry.ts';
import { localTime, printable } from './events-text.ts';
import { renderTable } from './format.ts';

const marks = { ok: '', refused: 'refused', failed: 'FAILED' } as const;

/** One line each: local time, action, result unless ok, who, from where, what, why. Empty for none. */
export function auditText(records: readonly AuditRecord[]): string {
  return renderTable(records.map((record) => rowOf(record).map(printable)));
}

function rowOf(record: AuditRecord): string[] {
  const { atMs, action, result, who, from, module = '', version, reason = '', count, lost } = record;
  const notes = [
    reason,
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
