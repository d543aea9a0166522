/** A build on a fresh machine when nothing is stored and each request upstream costs 30 ms: what look-ahead saves. */
import { ensureCorpus } from '../../test/kit/corpus.ts';
import { downloadSeconds } from '../lib/go-download.ts';
import { type LookAheadCounts, lookAheadCounts, startProduct } from '../lib/modferry.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median, medianRatio } from '../lib/stats.ts';
import { megabytesText, secondsText } from '../lib/text.ts';

const latencyMs = 30;

interface Asked {
  readonly requests: number;
  readonly bytes: number;
}

export const coldDownload: Scenario = {
  name: 'cold-download',
  about: `\`go mod download\` through an empty modferry; the upstream takes ${latencyMs} ms to each first byte; against going straight there`,
  async run({ rounds, note }) {
    const corpus = await ensureCorpus();
    await using upstream = await startUpstream(corpus.root, latencyMs);
    const ahead: LookAheadCounts[] = [];
    const asked: { through: Asked[]; straight: Asked[] } = { through: [], straight: [] };
    const { through, straight } = await interleave(rounds, {
      through: async () => {
        await using product = await startProduct({ upstreamUrl: upstream.url });
        const seconds = await downloadSeconds(product.url);
        ahead.push(await lookAheadCounts(product.dataDir));
        asked.through.push(await upstream.served());
        note(`through ${seconds.toFixed(2)} s, look-ahead ${JSON.stringify(ahead.at(-1))}`);
        return seconds;
      },
      straight: async () => {
        const seconds = await downloadSeconds(upstream.url);
        asked.straight.push(await upstream.served());
        return seconds;
      },
    });
    const bytesOf = (list: readonly Asked[]): number => median(list.map(({ bytes }) => bytes));
    const requestsOf = (list: readonly Asked[]): number => median(list.map(({ requests }) => requests));
    const unasked = median(ahead.map((counts) => counts.unasked));
    const unaskedBytes = median(ahead.map((counts) => counts.unaskedBytes));
    const vain = median(ahead.map((counts) => counts.started - counts.used - counts.unasked));
    const used = median(ahead.map((counts) => counts.used));
    const usedBytes = median(ahead.map((counts) => counts.usedBytes));
    return [
      {
        name: 'through modferry / straight',
        value: medianRatio(through, straight),
        target: { atMost: 0.6 },
        detail: `modferry ${secondsText(through)}, straight ${secondsText(straight)}`,
      },
      {
        name: 'requests upstream, modferry / straight',
        value: requestsOf(asked.through) / requestsOf(asked.straight),
        detail: `${requestsOf(asked.through)} requests and ${megabytesText(bytesOf(asked.through))}, straight ${requestsOf(asked.straight)} and ${megabytesText(bytesOf(asked.straight))}`,
      },
      {
        name: 'waste: bytes fetched ahead and never asked / all bytes from upstream',
        value: unaskedBytes / bytesOf(asked.through),
        detail: `unasked ${unasked} files, ${megabytesText(unaskedBytes)}; fetched ahead and used ${used} files, ${megabytesText(usedBytes)}; ${vain} more were looked for ahead and not there`,
      },
    ];
  },
};
