/** A 500 MB zip, cold and warm: what passes through must not pile up in memory. */

import { tempDir } from '../../test/kit/temp.ts';
import { bigModule } from '../lib/fixtures.ts';
import { loadMs } from '../lib/load-client.ts';
import { startProduct } from '../lib/modferry.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Scenario } from '../lib/scenario.ts';
import { mebibytes, secondsText } from '../lib/text.ts';

const zipBytes = 500_000_000;

interface Pass {
  readonly growthMiB: number[];
  readonly seconds: number[];
}

export const hugeZip: Scenario = {
  name: 'huge-zip',
  about:
    'one GET of a 500 MB zip, cold and then warm in a new process: growth of peak memory over the idle process',
  async run({ rounds, note }) {
    await using module = await bigModule(zipBytes);
    await using upstream = await startUpstream(module.root, 0);
    const cold: Pass = { growthMiB: [], seconds: [] };
    const warm: Pass = { growthMiB: [], seconds: [] };
    for (let round = 0; round < rounds; round += 1) {
      await using dir = await tempDir('bench-huge');
      for (const pass of [cold, warm]) {
        await using product = await startProduct({ dataDir: dir.path, upstreamUrl: upstream.url });
        await fetch(`${product.url}/healthz`).then((response) => response.text());
        const idleBytes = product.rssBytes();
        product.resetPeakRss();
        const url = product.url + module.zipPath;
        pass.seconds.push((await loadMs({ url, clients: 1, expectFile: module.zipFile })) / 1000);
        pass.growthMiB.push(mebibytes(product.peakRssBytes() - idleBytes));
        await product.stop();
      }
      note(
        `growth cold ${cold.growthMiB.at(-1)?.toFixed(0)} MiB, warm ${warm.growthMiB.at(-1)?.toFixed(0)} MiB`,
      );
    }
    return [row('cold', cold), row('warm', warm)];
  },
};

function row(name: string, { growthMiB, seconds }: Pass) {
  return {
    name: `${name}: growth of peak RSS, highest of all rounds`,
    value: Math.max(...growthMiB),
    unit: 'MiB' as const,
    target: { atMost: 100 },
    detail: `per round ${growthMiB.map((value) => value.toFixed(0)).join(', ')} MiB; ${secondsText(seconds)}`,
  };
}
