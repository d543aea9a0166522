/** Twenty cold modules, one after another, while the first of two upstreams is ill in one of many ways. */
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { drip, type Fault, flipByte, reset, stall, status, truncate } from '../../test/kit/faults.ts';
import { BenchError } from '../lib/bench-error.ts';
import type { Figure } from '../lib/figure.ts';
import { body } from '../lib/fixtures.ts';
import { benchModules, mirrorPair } from '../lib/mirror-pair.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median } from '../lib/stats.ts';
import { secondsText } from '../lib/text.ts';

const latencyMs = 30;
const moduleCount = 20;

interface Illness {
  readonly name: string;
  /** Undefined: connections are refused. */
  readonly fault: Fault | undefined;
  /** Which answers are ill. */
  readonly match: RegExp;
  /** What may be lost once, not for each module: the default first-byte timeout or idle timeout. */
  readonly onceS: number;
}

const everything = /./;
const zips = /\.zip$/;

const illnesses: readonly Illness[] = [
  { name: 'accepts and never answers', fault: stall(), match: everything, onceS: 5 },
  { name: 'refuses', fault: undefined, match: everything, onceS: 15 },
  { name: 'resets', fault: reset(), match: everything, onceS: 15 },
  { name: 'answers 500', fault: status(500), match: everything, onceS: 15 },
  { name: 'truncates zips', fault: truncate(150_000), match: zips, onceS: 15 },
  { name: 'drips zips at 1 kB/s', fault: drip(1000), match: zips, onceS: 15 },
  { name: 'stalls in mid-zip', fault: stall(150_000), match: zips, onceS: 15 },
  { name: 'sends corrupt zips', fault: flipByte(200), match: zips, onceS: 15 },
];

export const illUpstream: Scenario = {
  name: 'ill-upstream',
  about: `.info, .mod and .zip of ${moduleCount} modules, cold, one after another, with the first of two upstreams ill; against the good one alone; ${latencyMs} ms to each first byte`,
  async run({ rounds, note }) {
    const modules = benchModules(moduleCount);
    const figures: Figure[] = [];
    for (const illness of illnesses) {
      const times = await interleave(rounds, {
        ill: async () => {
          const seconds = await measure(modules, illness);
          note(`${illness.name}: ${seconds.toFixed(2)} s`);
          return seconds;
        },
        good: () => measure(modules, undefined),
      });
      const ratios = times.ill.map((seconds, round) => {
        const good = times.good[round] ?? Number.NaN;
        // What may be lost once is taken off, but never counted as a gain.
        return Math.max(seconds - illness.onceS, Math.min(seconds, good)) / good;
      });
      figures.push({
        name: `first ${illness.name}: (time − ${illness.onceS} s once) / good one alone`,
        value: median(ratios),
        target: { atMost: 1.5 },
        detail: `ill ${secondsText(times.ill)}, good ${secondsText(times.good)}: ${(median(times.ill) / median(times.good)).toFixed(2)} × with nothing taken off; every body right`,
      });
    }
    return figures;
  },
};

async function measure(modules: readonly FakeModule[], illness: Illness | undefined): Promise<number> {
  const rules = illness?.fault === undefined ? [] : [{ match: illness.match, fault: illness.fault }];
  await using pair = await mirrorPair({
    modules,
    firstRules: illness === undefined ? undefined : rules,
    latencyMs,
  });
  if (illness !== undefined && illness.fault === undefined) await pair.first.refuse();
  const startedMs = performance.now();
  for (const module of modules) {
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const bytes = await body(`${pair.product.url}/${module.path}/@v/${module.version}.${ext}`);
      if (!bytes.equals(module[ext])) {
        throw new BenchError('wrong_answer', `${module.path}.${ext} came wrong from an ill upstream`);
      }
    }
  }
  return (performance.now() - startedMs) / 1000;
}
