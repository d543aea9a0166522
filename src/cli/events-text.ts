/** The lines of `modferry events`, for people. */
import type { HistoryEvent, Severity } from '../telemetry/history-types.ts';

const marks: Readonly<Record<Severity, string>> = { info: ' ', warning: '!', error: '✗', critical: '‼' };

/** One line each: local time, mark, message. Empty for none. */
export function eventsText(events: readonly HistoryEvent[]): string {
  return events.map(lineOf).join('');
}

function lineOf({ atMs, severity, message, count }: HistoryEvent): string {
  const repeated = count > 1 ? ` (and ${count - 1} more alike)` : '';
  return `${localTime(atMs)}  ${marks[severity]} ${printable(message)}${repeated}\n`;
}

/** What others sent, on a terminal: nothing of it may drive it. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}]/gu, '?');
}

/** `2026-01-02 03:04:05` where the reader is. */
export function localTime(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
