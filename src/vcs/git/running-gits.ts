/**
 * The gits that write into mirrors, each with the modferry that runs it, in files beside the mirrors: one whose modferry
 * was killed goes on by itself, and whoever comes next ends it. Processes are told by their start as well, so that
 * nobody else's is ever hit. Where there is no /proc, nothing is kept.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';

/** A record of another machine, or of one before its last start, is taken away after that long. */
const foreignForMs = 24 * 3_600_000;
const suffix = '.running';

interface KnownProcess {
  readonly pid: number;
  /** In ticks since the machine was started. */
  readonly startedAt: string;
}

interface GitRecord {
  /** This start of this machine, and the numbering of its processes. */
  readonly machine: string;
  readonly git: KnownProcess;
  readonly owner: KnownProcess;
}

export class RunningGits {
  readonly #dir: string;
  readonly #clock: Clock;

  /** `dir`: the folder of the mirrors, which must be there. */
  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** Writes down a git by its process group, which its first process leads. Call the result when it is over. */
  readonly record = (group: number): (() => void) => {
    const file = join(this.#dir, `${group}-${randomBytes(6).toString('hex')}${suffix}`);
    try {
      const git = { pid: group, startedAt: startOf(group) };
      const owner = { pid: process.pid, startedAt: startOf(process.pid) };
      // One that is cut off by a crash is nobody's record, and goes in time.
      writeFileSync(file, JSON.stringify({ machine: machine(), git, owner }), { flag: 'wx', mode: 0o600 });
    } catch {
      // It only makes the day after a crash better.
      return () => {};
    }
    return () => {
      try {
        rmSync(file, { force: true });
      } catch {
        // Then the next one finds that it is of a process that is gone.
      }
    };
  };

  /** Ends the gits whose modferry is gone. Never rejects. */
  async endOrphans(): Promise<void> {
    for (const name of await readdir(this.#dir).catch(() => [])) {
      if (!name.endsWith(suffix)) continue;
      const file = join(this.#dir, name);
      if (await this.#isDone(file).catch(() => false)) await rm(file, { force: true }).catch(() => {});
    }
  }

  /** False: the record is to stay. */
  async #isDone(file: string): Promise<boolean> {
    const record = recordOf(await readFile(file, 'utf8'));
    if (record === undefined || record.machine !== machine()) {
      return this.#clock.now() - (await stat(file)).mtimeMs > foreignForMs;
    }
    if (isRunning(record.owner)) return false;
    if (isRunning(record.git)) process.kill(-record.git.pid, 'SIGKILL');
    return true;
  }
}

function machine(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
}

function isRunning({ pid, startedAt }: KnownProcess): boolean {
  try {
    return startOf(pid) === startedAt;
  } catch {
    return false;
  }
}

/** Throws the system's error when there is no such process. */
function startOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The program's name stands in parentheses and may have any in itself; the start is the 20th field behind it.
  const [, ...fields] = text.slice(text.lastIndexOf(')')).split(' ');
  return fields[19] ?? '';
}

function recordOf(text: string): GitRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    if (!('machine' in value) || !('git' in value) || !('owner' in value)) return undefined;
    const { machine: of, git, owner } = value;
    return typeof of === 'string' && isKnown(git) && isKnown(owner) ? { machine: of, git, owner } : undefined;
  } catch {
    return undefined;
  }
}

function isKnown(value: unknown): value is KnownProcess {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isSafeInteger(value.pid) &&
    Number(value.pid) > 1 &&
    'startedAt' in value &&
    typeof value.startedAt === 'string' &&
    value.startedAt !== ''
  );
}
