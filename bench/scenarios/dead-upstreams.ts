/** What is stored, lists and @latest while every upstream is dead, against the same while they are well. */
import { stall } from '../../test/kit/faults.ts';
import { BenchError } from '../lib/bench-error.ts';
import type { Figure } from '../lib/figure.ts';
import { body } from '../lib/fixtures.ts';
import { benchModules, mirrorPair } from '../lib/mirror-pair.ts';
import type { Scenario } from '../lib/scenario.ts';
import { median } from '../lib/stats.ts';

const moduleCount = 50;
const passes = 40;

export const deadUpstreams: Scenario = {
  name: 'dead-upstreams',
  about: `.info, .mod, .zip, list and @latest of ${moduleCount} modules, warm, one at a time: after both upstreams died; against before`,
  async run({ rounds, note }) {
    const modules = benchModules(moduleCount, 20_000);
    const paths = modules.flatMap(({ path, version }) => [
      ...['info', 'mod', 'zip'].map((ext) => `/${path}/@v/${version}.${ext}`),
      `/${path}/@v/list`,
      `/${path}/@latest`,
    ]);
    const figures: Figure[] = [];
    for (const how of ['refuse', 'hang'] as const) {
      const ratios: number[] = [];
      const texts: string[] = [];
      for (let round = 0; round < rounds; round += 1) {
        await using pair = await mirrorPair({
          modules,
          firstRules: [],
          latencyMs: 5,
          // The hard case: nothing is fresh any more when the upstreams die.
          env: { MODFERRY_FRESHNESS_LIST: '1s', MODFERRY_FRESHNESS_STALE_WHILE_REVALIDATE: '1s' },
        });
        const base = pair.product.url;
        await pass(base, paths);
        const before = await p99(base, paths);
        for (const upstream of [pair.first, pair.second]) {
          if (how === 'refuse') await upstream.refuse();
          else upstream.faults.add({ match: /./, fault: stall() });
        }
        // Lists grow too old to be served without asking, and the probes notice that nobody answers.
        await new Promise((resolve) => setTimeout(resolve, 20_000));
        const after = await p99(base, paths);
        ratios.push(after / before);
        texts.push(`${before.toFixed(2)} → ${after.toFixed(2)} ms`);
        note(`${how}: p99 ${texts.at(-1)}`);
      }
      figures.push({
        name: `p99, upstreams ${how} / well`,
        value: median(ratios),
        target: { atMost: 1.5 },
        detail: `${texts.join(', ')}; ${passes * paths.length} requests each, all answered with 200`,
      });
    }
    return figures;
  },
};

async function pass(base: string, paths: readonly string[]): Promise<number[]> {
  const tookMs: number[] = [];
  for (const path of paths) {
    const startedMs = performance.now();
    const bytes = await body(base + path);
    tookMs.push(performance.now() - startedMs);
    if (bytes.length === 0) throw new BenchError('wrong_answer', `${path} is empty`);
  }
  return tookMs;
}

async function p99(base: string, paths: readonly string[]): Promise<number> {
  const tookMs: number[] = [];
  for (let count = 0; count < passes; count += 1) tookMs.push(...(await pass(base, paths)));
  tookMs.sort((a, b) => a - b);
  return tookMs[Math.ceil(tookMs.length * 0.99) - 1] ?? Number.NaN;
}
