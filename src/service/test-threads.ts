/** For tests: the threads that begin after this call. */
import type { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';

export interface Threads {
  readonly alive: number;
  /** Resolves when none is alive. */
  none(): Promise<void>;
}

export function watchThreads(): Threads {
  const ends = new Set<Promise<unknown>>();
  const onWorker = (worker: Worker): void => {
    const end: Promise<unknown> = new Promise<void>((resolve) => worker.once('exit', () => resolve())).then(
      () => ends.delete(end),
    );
    ends.add(end);
  };
  process.on('worker', onWorker);
  onTestFinished(() => {
    process.off('worker', onWorker);
  });
  return {
    get alive() {
      return ends.size;
    },
    async none() {
      while (ends.size > 0) await Promise.all(ends);
    },
  };
}
