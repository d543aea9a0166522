/** What a line per request costs: the same hot file with `log.access` all, misses and off, the log going to a file. */
import { join } from 'node:path';
import { tempDir } from '../../test/kit/temp.ts';
import { startProduct } from '../lib/modferry.ts';
import { startNginx } from '../lib/nginx.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, medianRatio } from '../lib/stats.ts';
import { rateText } from '../lib/text.ts';
import { wrk } from '../lib/wrk.ts';

const connections = 64;

export const accessLog: Scenario = {
  name: 'access-log',
  about: 'a hot .mod with `log.access` all, misses and off; the log goes to a file',
  async run({ rounds, seconds, store, note }) {
    const { dataDir, downloadDir, corpus, sample } = await store();
    const path = `/${sample.directory}${sample.version}.mod`;
    await using dir = await tempDir('bench-log');
    await using upstream = await startUpstream(corpus.root, 0);
    await using nginx = await startNginx({ root: downloadDir, workers: 1 });
    const measure = async (url: string): Promise<number> => {
      await wrk({ url, connections, seconds: 1 });
      return (await wrk({ url, connections, seconds })).requestsPerS;
    };
    const withMode =
      (mode: string) =>
      async (round: number): Promise<number> => {
        const logFile = join(dir.path, `${mode}-${round}.log`);
        const env = { MODFERRY_LOG_ACCESS: mode };
        await using product = await startProduct({ dataDir, upstreamUrl: upstream.url, env, logFile });
        const requestsPerS = await measure(product.url + path);
        note(`log.access ${mode}: ${Math.round(requestsPerS)}/s`);
        return requestsPerS;
      };
    const rates = await interleave(rounds, {
      off: withMode('off'),
      misses: withMode('misses'),
      all: withMode('all'),
      nginx: () => measure(nginx.url + path),
    });
    const texts = `all ${rateText(rates.all)}, misses ${rateText(rates.misses)}, off ${rateText(rates.off)}`;
    return [
      { name: 'all / off', value: medianRatio(rates.all, rates.off), detail: texts },
      { name: 'misses / off', value: medianRatio(rates.misses, rates.off), detail: texts },
      {
        name: 'off / nginx, 1 worker, no log',
        value: medianRatio(rates.off, rates.nginx),
        detail: `off ${rateText(rates.off)}, nginx ${rateText(rates.nginx)}`,
      },
    ];
  },
};
