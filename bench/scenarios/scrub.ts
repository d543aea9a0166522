/**
 * How fast the scrub hashes a store, per core, and what it takes from hits in the same process: at its default rate,
 * and as fast as it goes.
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseModulePath } from '../../src/gomod/module-path.ts';
import { isCanonical } from '../../src/gomod/version.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openFsStore } from '../../src/store/fs/fs-store.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { BenchError } from '../lib/bench-error.ts';
import { startChild } from '../lib/child.ts';
import { cpuTimeMs } from '../lib/cpu-time.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median, medianRatio } from '../lib/stats.ts';
import { bandwidthText, rateText } from '../lib/text.ts';
import { wrk } from '../lib/wrk.ts';

const connections = 64;
const zipBytes = 16 * 1024 * 1024;
const zips = 64;
const defaultRateBytes = 16 * 1024 * 1024;

export const scrub: Scenario = {
  name: 'scrub',
  about: `the scrub over ${zips} zips of 16 MiB: bytes a core; a bare node:http server with the scrub in its process, ${connections} connections`,
  async run({ rounds, seconds, note }) {
    await using dir = await tempDir('bench-scrub');
    await fill(dir.path);
    const start = async (rate: string) => {
      const main = join(import.meta.dirname, '../lib/scrub-main.ts');
      const child = startChild([process.execPath, main, dir.path, rate]);
      const [, url = ''] = await child.waitFor(/listening on (http:\S+)\n/);
      return { child, url };
    };
    const scrubbed = async (child: ReturnType<typeof startChild>): Promise<number> => {
      const before = child.stdout().length;
      child.signal('SIGUSR2');
      const [, bytes, ms] = await child.waitFor(/scrubbed (\d+) bytes in (\d+) ms\n/, before);
      return (Number(bytes) / Number(ms)) * 1000;
    };
    const perCore: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { child } = await start('0');
      await using _ = child;
      // The thread starts, and the engine compiles what is hot.
      await sleep(1_500);
      await scrubbed(child);
      const beforeMs = cpuTimeMs(child.pid);
      await sleep(seconds * 1000);
      const rate = await scrubbed(child);
      const cores = (cpuTimeMs(child.pid) - beforeMs) / (seconds * 1000);
      perCore.push(rate / cores);
      alone.push(rate);
      note(`alone: ${Math.round(rate / 1e6)} MB/s by ${cores.toFixed(2)} cores`);
    }
    const beside: Record<string, number[]> = {};
    const hits = (rate: string) => async (): Promise<number> => {
      const { child, url } = await start(rate);
      await using _ = child;
      await wrk({ url, connections, seconds: 1 });
      if (rate !== 'off') await scrubbed(child);
      const { requestsPerS, p99Ms } = await wrk({ url, connections, seconds });
      const bytesPerS = rate === 'off' ? 0 : await scrubbed(child);
      (beside[rate] ??= []).push(bytesPerS);
      const what = `${Math.round(requestsPerS)}/s, p99 ${p99Ms.toFixed(1)} ms`;
      note(`scrub ${rate}: ${what}; scrubbed ${Math.round(bytesPerS / 1e6)} MB/s`);
      return requestsPerS;
    };
    const rates = await interleave(rounds, {
      off: hits('off'),
      paced: hits(String(defaultRateBytes)),
      full: hits('0'),
    });
    const text = (label: string, rate: string, values: readonly number[]): string =>
      `${rateText(values)} ${label} at ${bandwidthText(beside[rate] ?? [])}, ${rateText(rates.off)} without`;
    return [
      {
        name: 'MB/s a core, nothing else running',
        value: median(perCore) / 1e6,
        unit: '',
        target: { atLeast: 300 },
        detail: `${bandwidthText(alone)} in all, from the page cache`,
      },
      {
        name: 'hits with the scrub at its default rate / without',
        value: medianRatio(rates.paced, rates.off),
        target: { atLeast: 0.9 },
        detail: text('beside it', String(defaultRateBytes), rates.paced),
      },
      {
        name: 'hits with the scrub as fast as it goes / without',
        value: medianRatio(rates.full, rates.off),
        target: { atLeast: 0.9 },
        detail: text('beside it', '0', rates.full),
      },
    ];
  },
};

/** Zips that are none: the scrub hashes the bytes, and looks at the tree only where they are in doubt. */
async function fill(folder: string): Promise<void> {
  const version = 'v1.0.0';
  if (!isCanonical(version)) throw new BenchError('wrong_answer', `${version} is no version`);
  const body = randomBytes(zipBytes);
  const sha256 = createHash('sha256').update(body).digest('hex');
  const h1 = `h1:${createHash('sha256').update(body).digest('base64')}`;
  const store = await openFsStore({ folder, clock: systemClock });
  try {
    for (let number = 0; number < zips; number += 1) {
      const path = parseModulePath(`example.test/m${number}`);
      const staged = await store.stage({ path, version, ext: 'zip' });
      await staged.write([body]);
      await staged.publish({ sha256, h1, source: 'bench' });
      await staged.close();
    }
  } finally {
    await store.close();
  }
}
