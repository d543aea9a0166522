/**
 * Who a process is, so that another one on the same folder can tell whether it is still alive. A pid alone is not
 * enough: it is given again, so the boot and the start time within the boot go with it.
 */
import fs from 'node:fs';
import { hostname } from 'node:os';
import { errnoOf } from '../../lib/errors.ts';

export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** The kernel's boot id; empty where there is none. */
  readonly bootId: string;
  /** Field 22 of /proc/PID/stat, clock ticks since boot; empty where there is none. */
  readonly startTime: string;
  /** The pid namespace (containers): pids of different ones cannot be compared. Empty where there is none. */
  readonly pidNamespace: string;
}

export type Liveness = 'alive' | 'dead' | 'unknown';

/** Reads three small files of /proc; elsewhere the fields stay empty. */
export function thisProcess(): ProcessIdentity {
  return {
    host: hostname(),
    pid: process.pid,
    bootId: readNow('/proc/sys/kernel/random/boot_id'),
    startTime: startTimeOf(process.pid) ?? '',
    pidNamespace: pidNamespace(),
  };
}

/** Says `dead` only when it is proven; another host's process is always `unknown`. */
export function livenessOf(other: ProcessIdentity, self: ProcessIdentity): Liveness {
  if (other.host !== self.host) return 'unknown';
  if (other.bootId !== self.bootId) return 'dead';
  if (other.pidNamespace !== self.pidNamespace) return 'unknown';
  if (!runs(other.pid)) return 'dead';
  const startTime = startTimeOf(other.pid);
  if (startTime === undefined || other.startTime === '') return 'alive';
  return startTime === other.startTime ? 'alive' : 'dead';
}

/** Checks the shape of what was read from JSON. */
export function isProcessIdentity(value: unknown): value is ProcessIdentity {
  return (
    typeof value === 'object' &&
    value !== null &&
    'host' in value &&
    typeof value.host === 'string' &&
    'pid' in value &&
    Number.isInteger(value.pid) &&
    'bootId' in value &&
    typeof value.bootId === 'string' &&
    'startTime' in value &&
    typeof value.startTime === 'string' &&
    'pidNamespace' in value &&
    typeof value.pidNamespace === 'string'
  );
}

function runs(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

function startTimeOf(pid: number): string | undefined {
  const stat = readNow(`/proc/${pid}/stat`);
  // The second field, the command, may hold spaces and parentheses: count from the last one. Field 3 comes next.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie keeps its pid until its parent looks, but it does nothing any more.
  if (fields[0] === 'Z') return 'zombie';
  return fields[22 - 3];
}

function pidNamespace(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** These files are a line of kernel memory: reading them never waits for a disk. */
function readNow(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
