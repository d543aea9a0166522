/**
 * Peak memory of a process and all its descendants, read from Linux's /proc. The figure is the highest sum, over all
 * samples, of the living processes' own peaks (VmHWM): the kernel keeps those, so no spike of one process is missed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface PeakSampler {
  /** Highest sum so far, this very moment included; 0 when the process never was seen. */
  peakRssBytes(): number;
  /** Sum of the present resident sizes (VmRSS). */
  rssBytes(): number;
  /** Starts over from the present size, to measure growth. Needs the right to write /proc/PID/clear_refs. */
  resetPeak(): void;
  stop(): void;
}

/** Samples every `intervalMs` (default 200) until `stop`; does not keep this process alive. */
export function samplePeakRss(pid: number, intervalMs = 200): PeakSampler {
  let peakBytes = 0;
  const sum = (field: 'VmHWM' | 'VmRSS'): number =>
    processTree(pid).reduce((total, member) => total + statusBytes(member, field), 0);
  const sample = (): number => {
    peakBytes = Math.max(peakBytes, sum('VmHWM'));
    return peakBytes;
  };
  const timer = setInterval(sample, intervalMs);
  timer.unref();
  return {
    peakRssBytes: sample,
    rssBytes: () => sum('VmRSS'),
    resetPeak() {
      // 5: reset the peak resident size, see proc(5).
      for (const member of processTree(pid)) writeFileSync(`/proc/${member}/clear_refs`, '5');
      peakBytes = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** The process and its descendants, as far as they live. */
function processTree(pid: number): number[] {
  const children = orElse([], () =>
    readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    ),
  );
  return [pid, ...children.flatMap(processTree)];
}

function statusBytes(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const text = orElse('', () => readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

/** Processes end between two reads; what is gone counts nothing. */
function orElse<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
