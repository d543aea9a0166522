/** From the exec of the launcher to the first 200 on /healthz. */

import { body } from '../lib/fixtures.ts';
import { startProduct } from '../lib/modferry.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median } from '../lib/stats.ts';

const starts = 10;

export const start: Scenario = {
  name: 'start',
  about: `exec of bin/modferry to the first 200 on /healthz, median of ${starts}, with a named upstream and with zero configuration`,
  async run() {
    const { named, zero } = await interleave(starts, {
      named: () => secondsToFirstAnswer('http://127.0.0.1:9'),
      zero: () => secondsToFirstAnswer(undefined),
    });
    return [row('with --upstream', named), row('with zero configuration (asks `go env`)', zero)];
  },
};

async function secondsToFirstAnswer(upstreamUrl: string | undefined): Promise<number> {
  await using product = await startProduct({ upstreamUrl });
  const readyAtMs = performance.now();
  await body(`${product.url}/healthz`);
  return (product.readyAfterMs + performance.now() - readyAtMs) / 1000;
}

function row(name: string, seconds: readonly number[]) {
  const [least, most] = [Math.min(...seconds), Math.max(...seconds)];
  return {
    name,
    value: median(seconds),
    unit: 's' as const,
    target: { atMost: 0.5 },
    detail: `${starts} starts: ${least.toFixed(3)} … ${most.toFixed(3)} s`,
  };
}
