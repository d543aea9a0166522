/** Test help: a process that scrubs a folder slowly until it is killed, and tells each time progress is on disk. */
import fs from 'node:fs';
import { systemClock } from '../lib/clock.ts';
import { EventBus } from '../lib/event-bus.ts';
import { openFsStore } from '../store/fs/fs-store.ts';
import { Layout } from '../store/fs/layout.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { Scrub } from './scrub.ts';
import { openScrubState } from './state-file.ts';
import type { ScrubEvents } from './types.ts';

/** Bytes per second: a zip of the test takes a tenth of a second. */
export const childRateBytes = 1_000_000;

const [, script, folder] = process.argv;
if (script === import.meta.filename && folder !== undefined) {
  const state = openScrubState(folder, systemClock);
  const scrub = new Scrub({
    clock: systemClock,
    store: await openFsStore({ folder, clock: systemClock }),
    paths: new Layout(folder),
    zips: new ZipVerifier(),
    state: {
      read: () => state.read(),
      async update(change) {
        const after = await state.update(change);
        if (after.pass?.cursor !== undefined) fs.writeSync(1, `${after.pass.counts.artifacts}\n`);
        return after;
      },
    },
    instance: `child-${process.pid}`,
    events: new EventBus<ScrubEvents>(),
    options: () => ({ rateBytes: childRateBytes, everyMs: 1, hours: [], firstAfterMs: 0 }),
  });
  scrub.start();
  // Its own timers hold no process.
  setInterval(() => {}, 1_000);
}
