/**
 * Processor time of a server and its children. On a machine that others use too it is the steadier figure: a busy
 * neighbour takes turns away and so lowers rates, but adds little to what one request costs.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second, whatever the kernel's own clock (see proc(5), sysconf(_SC_CLK_TCK)). */
const tickMs = 10;

/** Milliseconds in user and kernel mode so far, of `pid` and its living descendants. */
export function cpuTimeMs(pid: number): number {
  try {
    return ownTimeMs(readFileSync(`/proc/${pid}/stat`, 'utf8')) + sum(childrenOf(pid).map(cpuTimeMs));
  } catch {
    // It ended between two reads.
    return 0;
  }
}

/** From a line of /proc/PID/stat. The name in brackets may hold anything, brackets and blanks included. */
export function ownTimeMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Counted from the state, which is field 3: utime is 14, stime 15.
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
