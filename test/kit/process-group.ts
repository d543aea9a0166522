/** Children as groups of their own, so that stopping one stops all it started and nothing else. */
import type { ChildProcess } from 'node:child_process';
import { errnoOf } from '../../src/lib/errors.ts';

/** Signals the group of a child that was spawned with `detached: true`. A group that is gone already is fine. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
