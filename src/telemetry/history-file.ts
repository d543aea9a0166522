/**
 * The history in the data folder: `meta/events.jsonl`, one JSON line an event, and `meta/events.1.jsonl`, the one
 * before it. Several processes append. A reader takes what it can read: torn and foreign lines are passed over, what was
 * written twice is taken once.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { JsonLinesFile } from '../lib/json-lines-file.ts';
import { type EventFilter, type HistoryEvent, parseEventLine, selectEvents } from './history-types.ts';

const maxBytes = 1024 * 1024;

export interface EventFiles {
  readonly current: string;
  readonly before: string;
}

export function eventFilesIn(dataDir: string): EventFiles {
  const meta = join(dataDir, 'meta');
  return { current: join(meta, 'events.jsonl'), before: join(meta, 'events.1.jsonl') };
}

/** Appends to the files of one data folder; see JsonLinesFile. */
export function eventWriter(dataDir: string, clock: Clock): JsonLinesFile {
  return new JsonLinesFile(eventFilesIn(dataDir).current, { clock, maxBytes, keep: 1 });
}

/** All that is there, oldest first. Rejects with the system's error unless the files are merely absent. */
export async function readEvents(dataDir: string, filter: EventFilter = {}): Promise<HistoryEvent[]> {
  const files = eventFilesIn(dataDir);
  // The current file first: what is moved away between the two readings is then read twice, not missed.
  const current = await textIn(files.current);
  const before = await textIn(files.before);
  const events = new Map<string, HistoryEvent>();
  for (const line of `${before}\n${current}`.split('\n')) {
    const event = line === '' ? undefined : parseEventLine(line);
    if (event !== undefined) events.set(`${event.instance} ${event.number}`, event);
  }
  const sorted = [...events.values()].sort((a, b) => a.atMs - b.atMs || byOrigin(a, b));
  return selectEvents(sorted, filter);
}

/** Changes whenever something was appended. Empty where there is no file. */
export async function eventFilesMark(dataDir: string): Promise<string> {
  const facts = await stat(eventFilesIn(dataDir).current).catch(() => undefined);
  return facts === undefined ? '' : `${facts.ino} ${facts.size}`;
}

function byOrigin(a: HistoryEvent, b: HistoryEvent): number {
  if (a.instance === b.instance) return a.number - b.number;
  return a.instance < b.instance ? -1 : 1;
}

/** As much of the end of the file as it should have at most: it may be something foreign of any size. */
async function textIn(path: string): Promise<string> {
  const facts = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  });
  if (facts === undefined || !facts.isFile()) return '';
  if (facts.size <= 2 * maxBytes) return readFile(path, 'utf8').catch(absentText);
  const handle = await open(path, 'r');
  try {
    const block = Buffer.alloc(2 * maxBytes);
    const { bytesRead } = await handle.read(block, 0, block.length, facts.size - block.length);
    return block.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function absentText(error: unknown): string {
  if (errnoOf(error) === 'ENOENT') return '';
  throw error;
}
