/**
 * From the exec of the launcher to the first 200 on /healthz. Compiled code is kept from start to start, so the first
 * start after an installation is another thing than every later one.
 */
import { tempDir } from '../../test/kit/temp.ts';
import type { Figure } from '../lib/figure.ts';
import { body } from '../lib/fixtures.ts';
import { startProduct } from '../lib/modferry.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, median } from '../lib/stats.ts';

const starts = 10;
/** Nothing listens on the discard port, and nothing is asked of it. */
const upstreamUrl = 'http://127.0.0.1:9';

export const start: Scenario = {
  name: 'start',
  about: `exec of bin/modferry to the first 200 on /healthz, median of ${starts}: with a named upstream, with zero configuration, and as the first start after an installation`,
  async run() {
    await using cache = await tempDir('bench-cache');
    const env = { XDG_CACHE_HOME: cache.path };
    await secondsToFirstAnswer(upstreamUrl, env);
    const { named, zero, first } = await interleave(starts, {
      named: () => secondsToFirstAnswer(upstreamUrl, env),
      zero: () => secondsToFirstAnswer(undefined, env),
      // Each process of the kit has a home of its own, and so no compiled code yet.
      first: () => secondsToFirstAnswer(upstreamUrl, {}),
    });
    return [
      row('with --upstream', named),
      row('with zero configuration (asks `go env`)', zero),
      row('first start after an installation', first),
    ];
  },
};

async function secondsToFirstAnswer(
  upstream: string | undefined,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  await using product = await startProduct({ upstreamUrl: upstream, env });
  const readyAtMs = performance.now();
  await body(`${product.url}/healthz`);
  return (product.readyAfterMs + performance.now() - readyAtMs) / 1000;
}

function row(name: string, seconds: readonly number[]): Figure {
  const [least, most] = [Math.min(...seconds), Math.max(...seconds)];
  return {
    name,
    value: median(seconds),
    unit: 's',
    target: { atMost: 0.5 },
    detail: `${starts} starts: ${least.toFixed(3)} … ${most.toFixed(3)} s`,
  };
}
