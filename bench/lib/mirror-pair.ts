/** Two upstreams with the same made-up modules, one of which may be ill, and one modferry over them. */
import { type FakeModule, fakeModule } from '../../test/kit/fake-module.ts';
import { type FakeUpstream, startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import type { FaultRule } from '../../test/kit/faults.ts';
import type { ModferryProcess } from '../../test/kit/modferry-process.ts';
import { startProduct } from './modferry.ts';

export interface MirrorPair extends AsyncDisposable {
  readonly first: FakeUpstream;
  readonly second: FakeUpstream;
  readonly product: ModferryProcess;
}

export interface MirrorPairOptions {
  readonly modules: readonly FakeModule[];
  /** What is wrong with the first one. Undefined: it is not there at all, the second one stands alone. */
  readonly firstRules: readonly FaultRule[] | undefined;
  readonly firstLatencyMs?: number;
  /** Of both, unless the first has its own. */
  readonly latencyMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** `count` modules of some 300 kB each, the same on every machine. */
export function benchModules(count: number, paddingBytes = 300_000): FakeModule[] {
  return Array.from({ length: count }, (_, index) =>
    fakeModule({ path: `example.test/bench/m${index}`, version: 'v1.2.3', paddingBytes }),
  );
}

export async function mirrorPair(options: MirrorPairOptions): Promise<MirrorPair> {
  const { modules, firstRules, latencyMs } = options;
  const first = await startFakeUpstream({
    modules,
    latencyMs: options.firstLatencyMs ?? latencyMs,
    rules: firstRules ?? [],
  });
  const second = await startFakeUpstream({ modules, latencyMs });
  const urls = firstRules === undefined ? second.url : `${first.url},${second.url}`;
  const product = await startProduct({
    upstreamUrl: urls,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return {
    first,
    second,
    product,
    async [Symbol.asyncDispose]() {
      // By SIGTERM, so that a profile is written.
      await product.stop().catch(() => {});
      await product.close();
      await first.close();
      await second.close();
    },
  };
}
