/**
 * The log of everything but requests: pino, one JSON line each, or short text lines on a terminal. Messages of
 * warn and above are constant strings with their facts beside them, so that they can be grouped.
 */
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'json' | 'text';
  readonly write: (text: string) => void;
}

export function createLog(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: options.format === 'json' ? options.write : (line: string) => options.write(asText(line)) },
  );
}

function asText(line: string): string {
  try {
    const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const facts = Object.entries(fields).map(
      ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    // Facts may hold what a client sent: nothing of it may drive the terminal.
    const text = `${String(time).slice(11, 19)} ${String(level)} ${String(msg)}${facts.join('')}`;
    return `${text.replaceAll(/[^\P{C}]/gu, '?')}\n`;
  } catch {
    return line;
  }
}
