/**
 * Metrics of the process, under the names that dashboards for Node.js know. The library's own set is not used: it
 * leaves an interval of 100 ms that cannot be stopped, reads undocumented parts of Node.js, and calls gauges `_total`.
 */
import { readdir, readFile } from 'node:fs/promises';
import {
  constants,
  type EventLoopUtilization,
  monitorEventLoopDelay,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks';
import type { Family } from './exposition.ts';
import { Distribution } from './series.ts';

/** The histogram of delays has the monitor's own interval in each value. */
const lagResolutionMs = 20;

const gcBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1];

const gcKinds: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/** Taken once a scrape. Undefined: not known on this system. */
interface Reading {
  readonly memory: NodeJS.MemoryUsage;
  readonly cpuSeconds: number;
  readonly openFds: number | undefined;
  readonly maxFds: number | undefined;
  readonly utilization: number;
  readonly lag: Readonly<Record<'p50' | 'p99' | 'max', number>> | undefined;
}

/** Watches from its making on, so make it at the first scrape. `close` ends that; nothing keeps the process alive. */
export class ProcessMetrics {
  readonly families: readonly Family[];
  readonly #lag = monitorEventLoopDelay({ resolution: lagResolutionMs });
  readonly #gc = new Distribution(gcBounds, 'kind');
  readonly #observer: PerformanceObserver;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #reading: Reading | undefined;

  constructor() {
    this.#lag.enable();
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        this.#gc.observe([gcKindOf(entry)], entry.duration / 1000);
      }
    });
    this.#observer.observe({ entryTypes: ['gc'] });
    this.families = this.#describe();
  }

  /** Reads anew what the families show. */
  async read(): Promise<void> {
    const [openFds, maxFds] = await Promise.all([countFds(), fdLimit()]);
    const { user, system } = process.cpuUsage();
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    this.#reading = {
      memory: process.memoryUsage(),
      cpuSeconds: (user + system) / 1e6,
      openFds,
      maxFds,
      utilization,
      lag: this.#readLag(),
    };
  }

  close(): void {
    this.#lag.disable();
    this.#observer.disconnect();
  }

  #readLag(): Reading['lag'] {
    const lag = this.#lag;
    if (lag.count === 0) return undefined;
    const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - lagResolutionMs / 1000);
    const reading = {
      p50: seconds(lag.percentile(50)),
      p99: seconds(lag.percentile(99)),
      max: seconds(lag.max),
    };
    lag.reset();
    return reading;
  }

  #describe(): Family[] {
    const startedAtSeconds = performance.timeOrigin / 1000;
    const plain = (
      type: 'counter' | 'gauge',
      name: string,
      help: string,
      of: (reading: Reading) => number | undefined,
    ): Family => ({
      name,
      help,
      type,
      labels: [],
      samples: () => {
        const value = this.#reading === undefined ? undefined : of(this.#reading);
        return value === undefined ? [] : [{ labels: {}, value }];
      },
    });
    return [
      plain(
        'counter',
        'process_cpu_seconds_total',
        'Processor time, user and system.',
        (now) => now.cpuSeconds,
      ),
      plain(
        'gauge',
        'process_start_time_seconds',
        'When the process started, Unix time.',
        () => startedAtSeconds,
      ),
      plain('gauge', 'process_resident_memory_bytes', 'Resident memory.', ({ memory }) => memory.rss),
      plain('gauge', 'process_open_fds', 'Open file descriptors.', ({ openFds }) => openFds),
      plain('gauge', 'process_max_fds', 'How many file descriptors may be open.', ({ maxFds }) => maxFds),
      plain('gauge', 'nodejs_heap_size_total_bytes', 'Heap of JavaScript.', ({ memory }) => memory.heapTotal),
      plain('gauge', 'nodejs_heap_size_used_bytes', 'Of it in use.', ({ memory }) => memory.heapUsed),
      plain(
        'gauge',
        'nodejs_external_memory_bytes',
        'Buffers and other memory outside the heap.',
        ({ memory }) => memory.external,
      ),
      plain(
        'gauge',
        'nodejs_eventloop_lag_p50_seconds',
        'Delay of the event loop since the last scrape, half of the samples.',
        ({ lag }) => lag?.p50,
      ),
      plain(
        'gauge',
        'nodejs_eventloop_lag_p99_seconds',
        'The same, 99 of 100 samples.',
        ({ lag }) => lag?.p99,
      ),
      plain('gauge', 'nodejs_eventloop_lag_max_seconds', 'The same, the longest.', ({ lag }) => lag?.max),
      plain(
        'gauge',
        'nodejs_eventloop_utilization_ratio',
        'Share of time the event loop was busy since the last scrape, 0 to 1.',
        ({ utilization }) => utilization,
      ),
      {
        name: 'nodejs_gc_duration_seconds',
        help: 'Pauses of garbage collection since the first scrape.',
        type: 'histogram',
        labels: ['kind'],
        samples: () => this.#gc.samples(),
      },
    ];
  }
}

/** Node.js says more of an entry than its types do. */
function gcKindOf(entry: object): string {
  const detail: unknown = Reflect.get(entry, 'detail');
  const kind: unknown =
    typeof detail === 'object' && detail !== null ? Reflect.get(detail, 'kind') : undefined;
  return (typeof kind === 'number' ? gcKinds.get(kind) : undefined) ?? 'other';
}

async function countFds(): Promise<number | undefined> {
  // Without the one that reads the folder.
  return readdir('/proc/self/fd').then(
    (names) => names.length - 1,
    () => undefined,
  );
}

async function fdLimit(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
