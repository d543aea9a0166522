/** What proving costs: a build on a fresh machine, with and without a checksum database behind the upstream. */
import { ensureCorpus } from '../../test/kit/corpus.ts';
import { BenchError } from '../lib/bench-error.ts';
import type { Figure } from '../lib/figure.ts';
import { downloadSeconds } from '../lib/go-download.ts';
import { type ProofCounts, proofCounts, startProduct } from '../lib/modferry.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Bench, Scenario } from '../lib/scenario.ts';
import { interleave, median, medianRatio } from '../lib/stats.ts';
import { secondsText } from '../lib/text.ts';

const latenciesMs = [0, 30] as const;

export const proof: Scenario = {
  name: 'proof',
  about:
    "`go mod download` through an empty modferry that proves every file by the upstream's checksum database; against one that does not",
  async run(bench) {
    const figures: Figure[] = [];
    for (const latencyMs of latenciesMs) figures.push(...(await measure(bench, latencyMs)));
    return figures;
  },
};

async function measure({ rounds, note }: Bench, latencyMs: number): Promise<Figure[]> {
  const corpus = await ensureCorpus();
  await using upstream = await startUpstream(corpus.root, latencyMs, true);
  const counts: ProofCounts[] = [];
  const download = async (gosumdb: string): Promise<number> => {
    await using product = await startProduct({ upstreamUrl: upstream.url, env: { GOSUMDB: gosumdb } });
    // The client has all hashes in its go.sum and asks no database itself.
    const seconds = await downloadSeconds(product.url);
    const own = (await proofCounts(product.dataDir)).find(({ name }) => name === 'sum.bench.test');
    if (own !== undefined) counts.push(own);
    note(`${gosumdb === 'off' ? 'without' : 'with'} proof ${seconds.toFixed(2)} s`);
    return seconds;
  };
  const { proven, plain } = await interleave(rounds, {
    proven: () => download(upstream.verifierKey ?? 'off'),
    plain: () => download('off'),
  });
  const lookups = median(counts.map((one) => one.lookups.fetched));
  const tiles = median(counts.map((one) => one.tilesFetched));
  // Look-ahead asks for versions that the corpus does not have: the log has no record of them either.
  const absent = median(counts.map((one) => one.lookups.failed));
  if (lookups === 0) throw new BenchError('wrong_answer', 'no record was looked up');
  return [
    {
      name: `proven / not proven, ${latencyMs} ms to each first byte`,
      value: medianRatio(proven, plain),
      target: { atMost: 1.1 },
      detail: `with ${secondsText(proven)}, without ${secondsText(plain)}`,
    },
    {
      name: `tiles fetched for 100 lookups, ${latencyMs} ms`,
      value: (tiles / lookups) * 100,
      detail: `${tiles} tiles for ${lookups} records, each in a tile of its own; ${absent} more lookups found none`,
    },
  ];
}
