/** The machine: the tools that must be there, and how busy others keep it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../src/lib/errors.ts';
import { BenchError } from './bench-error.ts';

const packages: Readonly<Record<string, string>> = { go: 'golang', nginx: 'nginx-light', wrk: 'wrk' };

/** Installs through apt-get what is missing. Throws BenchError `tool_missing` when that does not help. */
export function ensureBenchTools(): void {
  const missing = Object.keys(packages).filter((command) => !isInstalled(command));
  if (missing.length === 0) return;
  const names = missing.map((command) => packages[command] ?? command);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
    stdio: 'inherit',
    env,
  });
  const still = missing.filter((command) => !isInstalled(command));
  if (still.length > 0) {
    throw new BenchError('tool_missing', `install ${still.join(', ')} and run the bench again`);
  }
}

function isInstalled(command: string): boolean {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  return path.split(':').some((folder) => existsSync(`${folder}/${command}`));
}

/** Share of all processors in use over `sampleMs`, 0 … 1. Ask while the bench itself does nothing. */
export async function busyShare(sampleMs = 1_000): Promise<number> {
  const before = times();
  await sleep(sampleMs);
  const after = times();
  const all = after.all - before.all;
  return all === 0 ? 0 : 1 - (after.idle - before.idle) / all;
}

function times(): { idle: number; all: number } {
  let idle = 0;
  let all = 0;
  for (const cpu of cpus()) {
    idle += cpu.times.idle;
    all += cpu.times.user + cpu.times.nice + cpu.times.sys + cpu.times.irq + cpu.times.idle;
  }
  return { idle, all };
}

/** Stops the children of this process and all that they started: each leads a group of its own. */
export function stopChildren(): void {
  const threads = readdirSync('/proc/self/task');
  const children = threads.flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  for (const pid of children) {
    // wrk leads no group: it is stopped alone.
    for (const target of [-pid, pid]) {
      try {
        process.kill(target, 'SIGTERM');
      } catch (error) {
        if (errnoOf(error) !== 'ESRCH') throw error;
      }
    }
  }
}
