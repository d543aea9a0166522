/**
 * The scrub's progress in the data folder, `meta/scrub.json`: replaced whole, and changed under a lock file, so that of
 * two processes exactly one begins. It only saves work: what nobody can understand counts as nothing.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { removeLeftovers } from '../lib/leftovers.ts';
import { type HeldLock, LockFile } from '../lib/lock-file.ts';
import {
  noCounts,
  type ScrubCounts,
  type ScrubCursor,
  type ScrubPass,
  type ScrubProgress,
  type ScrubState,
} from './types.ts';

const maxTextLength = 4_096;

/** `clock` times the tries for the lock. */
export function openScrubState(dataDir: string, clock: Clock): ScrubState {
  const file = join(dataDir, 'meta', 'scrub.json');
  const lock = new LockFile(`${file}.lock`, clock);
  let isTidy = false;
  const read = (): Promise<ScrubProgress> => readProgress(file);
  return {
    read,
    async update(change) {
      await mkdir(dirname(file), { recursive: true });
      return await lock.run(async (held) => {
        if (!isTidy) await removeLeftovers(file, clock);
        isTidy = true;
        const before = await read();
        const after = change(before);
        if (after === undefined) return before;
        await replace(file, after, held);
        return after;
      });
    },
  };
}

async function readProgress(file: string): Promise<ScrubProgress> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw error;
  }
  try {
    return parseProgress(JSON.parse(text));
  } catch {
    return {};
  }
}

async function replace(file: string, progress: ScrubProgress, held: HeldLock): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(`${JSON.stringify(progress)}\n`);
      // Without it a power cut may leave an empty file under the new name.
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await held.check();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** From a file that may hold anything: what is not understood counts as absent. Never throws. */
export function parseProgress(value: unknown): ScrubProgress {
  const raw = objectOf(value);
  const holder = objectOf(raw['holder']);
  const last = objectOf(raw['last']);
  const pass = parsePass(raw['pass']);
  const { instance, heartbeatAtMs } = holder;
  const { finishedAtMs, tookMs } = last;
  return {
    ...(isText(instance) && isCount(heartbeatAtMs) ? { holder: { instance, heartbeatAtMs } } : {}),
    ...(pass === undefined ? {} : { pass }),
    ...(isCount(finishedAtMs) && isCount(tookMs)
      ? { last: { ...countsOf(last), finishedAtMs, tookMs } }
      : {}),
  };
}

function parsePass(value: unknown): ScrubPass | undefined {
  const { startedAtMs, cursor, counts } = objectOf(value);
  if (!isCount(startedAtMs)) return undefined;
  const at = parseCursor(cursor);
  return { startedAtMs, counts: countsOf(objectOf(counts)), ...(at === undefined ? {} : { cursor: at }) };
}

function parseCursor(value: unknown): ScrubCursor | undefined {
  const { path, version } = objectOf(value);
  return isText(path) && isText(version) ? { path, version } : undefined;
}

function countsOf(raw: Readonly<Record<string, unknown>>): ScrubCounts {
  const counts: Record<string, number> = {};
  for (const name of Object.keys(noCounts)) {
    const value = raw[name];
    counts[name] = isCount(value) ? value : 0;
  }
  return { ...noCounts, ...counts };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxTextLength;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
