/** A build on a fresh machine when everything is stored: the product against nginx over the very same folder. */
import { downloadSeconds } from '../lib/go-download.ts';
import { startProduct } from '../lib/modferry.ts';
import { startNginx } from '../lib/nginx.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, medianRatio } from '../lib/stats.ts';
import { secondsText } from '../lib/text.ts';

/** Nothing listens on the discard port: what is asked of an upstream fails at once. */
const deadUpstream = 'http://127.0.0.1:9';

export const warmDownload: Scenario = {
  name: 'warm-download',
  about:
    '`go mod download` with an empty GOMODCACHE from a filled store, all upstreams gone; nginx serves the same folder',
  async run({ rounds, store }) {
    const { dataDir, downloadDir, corpus } = await store();
    await using product = await startProduct({ dataDir, upstreamUrl: deadUpstream });
    await using nginx = await startNginx({ root: downloadDir });
    const { modferry, plain } = await interleave(rounds, {
      modferry: () => downloadSeconds(product.url),
      plain: () => downloadSeconds(nginx.url),
    });
    return [
      {
        name: 'modferry / nginx',
        value: medianRatio(modferry, plain),
        target: { atMost: 1.05 },
        detail: `${corpus.modules.length} modules: modferry ${secondsText(modferry)}, nginx ${secondsText(plain)}`,
      },
    ];
  },
};
