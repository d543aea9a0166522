/** Megabytes per second of a 20 MB zip on 16 connections: from memory, and read from the store each time. */
import type { Figure } from '../lib/figure.ts';
import { type BigModule, bigModule, body } from '../lib/fixtures.ts';
import { startProduct } from '../lib/modferry.ts';
import { startNginx } from '../lib/nginx.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Bench, Scenario } from '../lib/scenario.ts';
import { interleave, medianRatio } from '../lib/stats.ts';
import { bandwidthText } from '../lib/text.ts';
import { wrk } from '../lib/wrk.ts';

const connections = 16;
const zipBytes = 20_000_000;

export const bigZips: Scenario = {
  name: 'big-zips',
  about: `a 20 MB zip on ${connections} connections, from memory and from disk (\`memory.hot_zip\` 0); nginx has the same file`,
  async run(bench) {
    await using module = await bigModule(zipBytes);
    const fromMemory = await measure(bench, module, 'from memory', {}, 1);
    const fromDisk = await measure(bench, module, 'from disk', { MODFERRY_MEMORY_HOT_ZIP: '0' }, 0.7);
    return [...fromMemory, ...fromDisk];
  },
};

async function measure(
  { rounds, seconds, note }: Bench,
  module: BigModule,
  label: string,
  env: Readonly<Record<string, string>>,
  atLeast: number,
): Promise<Figure[]> {
  await using upstream = await startUpstream(module.root, 0);
  await using product = await startProduct({ upstreamUrl: upstream.url, env });
  // The first asks fill the store and, where there is one, the memory.
  for (let ask = 0; ask < 4; ask += 1) await body(product.url + module.zipPath);
  await using one = await startNginx({ root: module.root, workers: 1 });
  await using auto = await startNginx({ root: module.root });
  const rate = (url: string) => async (): Promise<number> => {
    const { bytesPerS } = await wrk({ url: url + module.zipPath, connections, seconds });
    note(`${label} ${url} ${Math.round(bytesPerS / 1e6)} MB/s`);
    return bytesPerS;
  };
  const rates = await interleave(rounds, {
    modferry: rate(product.url),
    one: rate(one.url),
    auto: rate(auto.url),
  });
  const own = `modferry ${bandwidthText(rates.modferry)}`;
  return [
    {
      name: `${label}: modferry / nginx, 1 worker`,
      value: medianRatio(rates.modferry, rates.one),
      target: { atLeast },
      detail: `${own}, nginx ${bandwidthText(rates.one)}`,
    },
    {
      name: `${label}: modferry / nginx, auto`,
      value: medianRatio(rates.modferry, rates.auto),
      target: { atLeast },
      detail: `${own}, nginx ${bandwidthText(rates.auto)}`,
    },
  ];
}
