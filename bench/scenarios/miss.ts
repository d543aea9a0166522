/** The cost of a miss with one upstream that is well: what health, plans and hedging add to it. */
import { join } from 'node:path';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { cpuTimeMs } from '../lib/cpu-time.ts';
import { body } from '../lib/fixtures.ts';
import { benchModules, mirrorPair } from '../lib/mirror-pair.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median, medianRatio } from '../lib/stats.ts';

const moduleCount = 600;
/** Engines compile what is hot: the first misses are nobody's measure. */
const warmUpCount = 150;

/** `MODFERRY_BENCH_BASELINE=/other/clone/bin/modferry`: the build to compare with. */
const baseline = process.env['MODFERRY_BENCH_BASELINE'];

export const miss: Scenario = {
  name: 'miss',
  about: `cold .info and .mod of ${moduleCount - warmUpCount} modules, one at a time, after ${warmUpCount} others, one good upstream without latency: time and CPU time each; against another build (MODFERRY_BENCH_BASELINE), if one is given`,
  async run({ rounds, note }) {
    const modules = benchModules(moduleCount, 0);
    const cpuMs: Record<string, number[]> = {};
    const measure = (name: string, launcher: string | undefined) => async (): Promise<number> => {
      const previous = process.env['MODFERRY_BENCH_LAUNCHER'];
      if (launcher !== undefined) process.env['MODFERRY_BENCH_LAUNCHER'] = launcher;
      try {
        await using pair = await mirrorPair({
          modules,
          firstRules: undefined,
          latencyMs: 0,
          env: { MODFERRY_LOOK_AHEAD_ENABLED: 'false' },
        });
        const ask = async (some: readonly FakeModule[]): Promise<void> => {
          for (const { path, version } of some) {
            await body(`${pair.product.url}/${path}/@v/${version}.info`);
            await body(`${pair.product.url}/${path}/@v/${version}.mod`);
          }
        };
        await ask(modules.slice(0, warmUpCount));
        const beforeMs = cpuTimeMs(pair.product.pid);
        const startedMs = performance.now();
        await ask(modules.slice(warmUpCount));
        const misses = (moduleCount - warmUpCount) * 2;
        const eachMs = (performance.now() - startedMs) / misses;
        const eachCpuMs = (cpuTimeMs(pair.product.pid) - beforeMs) / misses;
        (cpuMs[name] ??= []).push(eachCpuMs);
        note(`${name}: ${eachMs.toFixed(3)} ms, ${eachCpuMs.toFixed(3)} ms CPU each`);
        return eachMs;
      } finally {
        if (previous === undefined) delete process.env['MODFERRY_BENCH_LAUNCHER'];
        else process.env['MODFERRY_BENCH_LAUNCHER'] = previous;
      }
    };
    const own = join(import.meta.dirname, '../../bin/modferry');
    const now = measure('this build', own);
    if (baseline === undefined) {
      const { times } = await interleave(rounds, { times: now });
      return [
        {
          name: 'a miss, CPU time each, in milliseconds',
          value: median(cpuMs['this build'] ?? []),
          unit: '' as const,
          detail: `${median(times).toFixed(3)} ms from question to answer`,
        },
      ];
    }
    const times = await interleave(rounds, { now, before: measure('baseline', baseline) });
    return [
      {
        name: 'a miss, this build / baseline',
        value: medianRatio(times.now, times.before),
        target: { atMost: 1.05 },
        detail: `${median(times.now).toFixed(3)} ms and ${median(times.before).toFixed(3)} ms each`,
      },
      {
        name: 'a miss, CPU time, this build / baseline',
        value: medianRatio(cpuMs['this build'] ?? [], cpuMs['baseline'] ?? []),
        detail: 'the same comparison without the noise of a shared machine',
      },
    ];
  },
};
