/** How the threads that check zips are started. */
import type { WorkerOptions } from 'node:worker_threads';

export const verifyThreadOptions: WorkerOptions = {
  // Nothing of the process's own flags or environment concerns a thread that only computes.
  execArgv: [],
  env: {},
  resourceLimits: { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 8 },
};
