/**
 * A server that answers from memory while a scrub goes round and round in the same process, so that what the one costs
 * the other can be measured. Usage: `node bench/lib/scrub-main.ts FOLDER RATE`: bytes per second, 0 for as fast as it
 * goes, `off` for none. Prints its address; on SIGUSR2 what was scrubbed since the last time.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../src/lib/clock.ts';
import { EventBus } from '../../src/lib/event-bus.ts';
import { Scrub } from '../../src/scrub/scrub.ts';
import { openScrubState } from '../../src/scrub/state-file.ts';
import type { ScrubEvents } from '../../src/scrub/types.ts';
import { openFsStore } from '../../src/store/fs/fs-store.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { ZipVerifier } from '../../src/zip/verify-pool.ts';

const [, , folder = '', rate = 'off'] = process.argv;
const body = Buffer.from(JSON.stringify({ Version: 'v1.0.0', Time: '2024-01-02T03:04:05Z' }));
const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
const server = createServer((_, response) => {
  response.writeHead(200, headers);
  response.end(body);
});

let seenBytes = 0;
let finishedBytes = 0;
let atMs = performance.now();
process.on('SIGUSR2', () => {
  const now = performance.now();
  process.stdout.write(`scrubbed ${finishedBytes + seenBytes} bytes in ${Math.round(now - atMs)} ms\n`);
  finishedBytes = -seenBytes;
  atMs = now;
});
process.once('SIGTERM', () => process.exit());

async function scrubForEver(rateBytes: number): Promise<never> {
  const scrub = new Scrub({
    clock: systemClock,
    store: await openFsStore({ folder, clock: systemClock }),
    paths: new Layout(folder),
    zips: new ZipVerifier(),
    state: openScrubState(folder, systemClock),
    instance: `bench-${process.pid}`,
    events: new EventBus<ScrubEvents>(),
    options: () => ({ rateBytes, everyMs: 0, hours: [] }),
  });
  const { signal } = new AbortController();
  for (;;) {
    const { bytes, rotten } = await scrub.runOnce({
      rateBytes,
      signal,
      onProgress: (counts) => (seenBytes = counts.bytes),
    });
    if (rotten > 0) throw new Error(`${rotten} artifacts of the bench are rotten`);
    finishedBytes += bytes;
    seenBytes = 0;
  }
}

server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => {
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
  if (rate !== 'off') void scrubForEver(Number(rate));
});
