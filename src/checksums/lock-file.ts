/**
 * One writer at a time among the processes on a folder: a lock file that is made exclusively. Whoever holds it shows
 * that it lives by changing it; one that does not change any more is of a dead process and is taken away.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError } from '../lib/errors.ts';

/** A lock that did not change for so long is of a dead process. */
const staleMs = 5_000;
/** Longer than the longest work under a lock takes. */
const patienceMs = 60_000;
const lookEveryMs = 50;

/** What the work under a lock is given. */
export interface HeldLock {
  /** Shows that the holder lives; call it more often than every 5 s. */
  touch(): Promise<void>;
  /** Rejects with ModferryError `lock_lost` when another process took the lock: change nothing then. */
  check(): Promise<void>;
}

/**
 * Runs `work` while `file` is locked. Rejects as `work` does, with ModferryError `locked` when somebody alive holds it
 * for a minute, or with the system's error.
 */
export async function underLock<Result>(
  file: string,
  clock: Clock,
  work: (lock: HeldLock) => Promise<Result>,
): Promise<Result> {
  const token = randomBytes(16).toString('hex');
  await take(file, token, clock);
  let touches = 0;
  const isOurs = async (): Promise<boolean> => (await textOf(file))?.startsWith(token) === true;
  const check = async (): Promise<void> => {
    if (await isOurs()) return;
    throw new ModferryError('lock_lost', `another process took over ${file}; run the command again`);
  };
  try {
    return await work({
      check,
      async touch() {
        await check();
        touches += 1;
        await writeFile(file, `${token} ${touches}`);
      },
    });
  } finally {
    if (await isOurs().catch(() => false)) await rm(file, { force: true });
  }
}

async function take(file: string, token: string, clock: Clock): Promise<void> {
  const startedAtMs = clock.monotonic();
  let seen: { readonly text: string; readonly atMs: number } | undefined;
  while (clock.monotonic() - startedAtMs < patienceMs) {
    try {
      await writeFile(file, `${token} 0`, { flag: 'wx' });
      return;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const text = await textOf(file);
    if (text === undefined) continue;
    if (text !== seen?.text) seen = { text, atMs: clock.monotonic() };
    else if (clock.monotonic() - seen.atMs >= staleMs) {
      await takeAway(file, text);
      continue;
    }
    await new Promise<void>((resolve) => {
      clock.setTimeout(resolve, lookEveryMs);
    });
  }
  throw new ModferryError('locked', `${file} is held by another process; remove it if none is running`);
}

/** Two may find one stale lock at once: the second must not remove the lock that the first has made meanwhile. */
async function takeAway(file: string, stale: string): Promise<void> {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await textOf(aside)) !== stale) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
