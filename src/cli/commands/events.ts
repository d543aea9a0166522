/** `modferry events`: the history of operational events, read from the data folder, whether anything runs or not. */
import { stat } from 'node:fs/promises';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { eventFilesMark, readEvents } from '../../telemetry/history-file.ts';
import {
  type EventFilter,
  type EventKind,
  eventJson,
  type HistoryEvent,
} from '../../telemetry/history-types.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { eventsText } from '../events-text.ts';
import { writeJsonLine } from '../format.ts';
import { pollUntilSignal } from '../polling.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface EventsFlags extends FolderFlags {
  readonly json?: boolean;
  readonly follow?: boolean;
  /** How far back, in milliseconds. */
  readonly since?: number;
  readonly upstream?: string;
  readonly kind?: EventKind;
  readonly limit?: number;
}

const defaultLimit = 100;
const pollEveryMs = 500;

/** Rejects with CliError `absent` (no such folder) or `failed` (it cannot be read), ConfigError. */
export async function events(this: CliContext, flags: EventsFlags): Promise<void> {
  const { dataDir } = await loadFolder(this, flags);
  await stat(dataDir).catch(() => {
    throw new CliError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  const filter: EventFilter = {
    upstream: flags.upstream,
    kind: flags.kind,
    sinceMs: flags.since === undefined ? undefined : this.clock.now() - flags.since,
  };
  // Taken before reading: what is appended meanwhile is then read once more, not missed.
  const mark = await eventFilesMark(dataDir);
  const found = await read(dataDir, filter);
  const shown = found.slice(Math.max(0, found.length - (flags.limit ?? defaultLimit)));
  print(this, flags, shown);
  await this.stdout.drained();
  if (flags.follow === true) await follow(this, flags, { dataDir, filter, mark, found });
  else if (shown.length === 0) this.stderr.write('no such events\n');
}

interface Followed {
  readonly dataDir: string;
  readonly filter: EventFilter;
  readonly mark: string;
  readonly found: readonly HistoryEvent[];
}

/** Until SIGINT or SIGTERM. The files are small: they are read anew when one of them has changed. */
async function follow(context: CliContext, flags: EventsFlags, from: Followed): Promise<void> {
  let { mark } = from;
  let known = new Set(from.found.map(nameOf));
  await pollUntilSignal(context, pollEveryMs, async () => {
    const now = await eventFilesMark(from.dataDir);
    if (now === mark) return;
    mark = now;
    const found = await read(from.dataDir, from.filter);
    print(
      context,
      flags,
      found.filter((event) => !known.has(nameOf(event))),
    );
    known = new Set(found.map(nameOf));
    await context.stdout.drained();
  });
}

async function read(dataDir: string, filter: EventFilter): Promise<HistoryEvent[]> {
  try {
    return await readEvents(dataDir, filter);
  } catch (error) {
    const hint = errnoOf(error) === 'EACCES' ? '; run it as the user that modferry runs as' : '';
    throw new CliError('failed', `the events in ${dataDir} cannot be read: ${messageOf(error)}${hint}`, {
      cause: error,
    });
  }
}

function print(context: CliContext, flags: EventsFlags, found: readonly HistoryEvent[]): void {
  if (flags.json !== true) {
    context.stdout.write(eventsText(found));
    return;
  }
  for (const event of found) writeJsonLine(context.stdout, eventJson(event));
}

function nameOf({ instance, number }: HistoryEvent): string {
  return `${instance} ${number}`;
}
