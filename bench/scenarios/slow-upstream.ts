/** Small files while the first of two upstreams takes three seconds to each answer. */
import { body } from '../lib/fixtures.ts';
import { benchModules, mirrorPair } from '../lib/mirror-pair.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median } from '../lib/stats.ts';

const latencyMs = 30;
const slowMs = 3_000;
const moduleCount = 200;
/** The least hedge delay of the default configuration; the figure may not lean on a longer one. */
const hedgeMs = 100;

export const slowUpstream: Scenario = {
  name: 'slow-upstream',
  about: `cold .info and .mod of ${moduleCount} modules, 4 at a time, the first of two upstreams ${slowMs} ms late; against the quick one alone (${latencyMs} ms)`,
  async run({ rounds, note }) {
    const modules = benchModules(moduleCount, 0);
    async function p99(isAlone: boolean): Promise<number> {
      await using pair = await mirrorPair({
        modules,
        firstRules: isAlone ? undefined : [],
        firstLatencyMs: slowMs,
        latencyMs,
        // What is fetched ahead would be in the store already: here each answer must come from an upstream.
        env: { MODFERRY_LOOK_AHEAD_ENABLED: 'false' },
      });
      const tookMs: number[] = [];
      const queue = modules.flatMap(({ path, version }) => [
        `/${path}/@v/${version}.info`,
        `/${path}/@v/${version}.mod`,
      ]);
      async function worker(): Promise<void> {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const startedMs = performance.now();
          await body(pair.product.url + next);
          tookMs.push(performance.now() - startedMs);
        }
      }
      await Promise.all(Array.from({ length: 4 }, worker));
      tookMs.sort((a, b) => a - b);
      const value = tookMs[Math.ceil(tookMs.length * 0.99) - 1] ?? Number.NaN;
      note(
        `${isAlone ? 'quick alone' : 'slow beside it'}: p99 ${value.toFixed(0)} ms, worst ${tookMs.at(-1)?.toFixed(0)} ms`,
      );
      return value;
    }
    const { both, alone } = await interleave(rounds, { both: () => p99(false), alone: () => p99(true) });
    const ratios = both.map((value, round) => value / (2 * (alone[round] ?? Number.NaN) + hedgeMs));
    return [
      {
        name: 'p99 beside a slow one / (2 × p99 of the quick one + hedge delay)',
        value: median(ratios),
        target: { atMost: 1 },
        detail: `p99 ${median(both).toFixed(0)} ms, quick alone ${median(alone).toFixed(0)} ms`,
      },
    ];
  },
};
