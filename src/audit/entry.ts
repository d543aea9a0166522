/** One line of the audit: written from an entry with every value cut and harmless, read back with what is there. */
import { type AuditAction, type AuditEntry, auditActions, auditResults } from './types.ts';

/** An entry as it is kept. */
export interface AuditRecord extends AuditEntry {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** The process that wrote it. */
  readonly instance: string;
  /** Counts the entries of that process: with `instance` it names one. */
  readonly seq: number;
  /** More than 1: so many alike within a second, all of them refusals. */
  readonly count: number;
  /** Entries of this process that could not be written before this one. */
  readonly lost: number;
}

/** A write of this length is not mixed with those of others. */
const maxLineBytes = 4096;

const maxLength = { who: 200, from: 100, module: 300, version: 150, reason: 500, data: 1500 } as const;

/** A copy that nobody changes any more, in which nothing is longer than it may be. */
export function boundedEntry(entry: AuditEntry): AuditEntry {
  return {
    action: entry.action,
    who: cut(entry.who, maxLength.who),
    from: cut(entry.from, maxLength.from),
    result: entry.result,
    module: entry.module === undefined ? undefined : cut(entry.module, maxLength.module),
    version: entry.version === undefined ? undefined : cut(entry.version, maxLength.version),
    reason: entry.reason === undefined ? undefined : cut(entry.reason, maxLength.reason),
    data: entry.data === undefined ? undefined : boundedData(entry.data),
  };
}

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}

/** As JSON has it; what is too long, or no JSON, is told to have been left out. */
function boundedData(data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    const text = JSON.stringify(data);
    if (text.length <= maxLength.data) return JSON.parse(text) as Record<string, unknown>;
    return { leftOut: `${text.length} characters` };
  } catch {
    return { leftOut: 'no JSON' };
  }
}

/** With its line feed; never more than 4,096 bytes. */
export function auditLine(record: AuditRecord): string {
  const whole = lineOf(record);
  if (Buffer.byteLength(whole) <= maxLineBytes) return whole;
  // Characters of several bytes, or many that are escaped.
  const slim = { ...record, data: record.data === undefined ? undefined : { leftOut: 'too long' } };
  for (const max of [200, 100, 30]) {
    const line = lineOf({
      ...slim,
      who: cut(record.who, max),
      from: cut(record.from, max),
      module: record.module === undefined ? undefined : cut(record.module, max),
      version: record.version === undefined ? undefined : cut(record.version, max),
      reason: record.reason === undefined ? undefined : cut(record.reason, max),
    });
    if (Buffer.byteLength(line) <= maxLineBytes) return line;
  }
  return lineOf({ ...slim, who: '…', from: '…', module: undefined, version: undefined, reason: undefined });
}

function lineOf(record: AuditRecord): string {
  return `${escapeControls(JSON.stringify(auditJson(record)))}\n`;
}

/**
 * JSON leaves C1 control characters, line separators and those that turn the direction of writing as they are; in a
 * pager or a log viewer they forge lines.
 */
function escapeControls(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The object of one line, also what `modferry audit --json` prints. */
export function auditJson(record: AuditRecord): object {
  const { atMs, instance, seq, action, who, from, result, module, version, reason, data } = record;
  return {
    at: new Date(atMs).toISOString(),
    instance,
    seq,
    action,
    who,
    from,
    result,
    module,
    version,
    reason,
    data,
    ...(record.count > 1 ? { count: record.count } : {}),
    ...(record.lost > 0 ? { lost: record.lost } : {}),
  };
}

/** Undefined for a torn line, or one of something else. */
export function parseAuditLine(line: string): AuditRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const field = (name: string): unknown =>
    Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
  const action: AuditAction | undefined = auditActions.find((known) => known === field('action'));
  const result = auditResults.find((known) => known === field('result'));
  const [instance, who, from] = [textOf(field('instance')), textOf(field('who')), textOf(field('from'))];
  const atMs = Date.parse(textOf(field('at')) ?? '');
  const seq = countOf(field('seq'));
  if (action === undefined || result === undefined || seq === undefined || Number.isNaN(atMs))
    return undefined;
  if (instance === undefined || who === undefined || from === undefined) return undefined;
  const data = field('data');
  return {
    atMs,
    instance,
    seq,
    action,
    who,
    from,
    result,
    module: textOf(field('module')),
    version: textOf(field('version')),
    reason: textOf(field('reason')),
    data: typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : undefined,
    count: countOf(field('count')) ?? 1,
    lost: countOf(field('lost')) ?? 0,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
