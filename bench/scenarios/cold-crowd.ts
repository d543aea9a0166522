/** 200 clients want one 20 MB zip that nobody has yet: one fetch, whole bodies for all, little memory. */
import { bigModule } from '../lib/fixtures.ts';
import { loadMs } from '../lib/load-client.ts';
import { startProduct } from '../lib/modferry.ts';
import { startNginx } from '../lib/nginx.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Scenario } from '../lib/scenario.ts';
import { interleave, medianRatio } from '../lib/stats.ts';
import { mebibytes, secondsText } from '../lib/text.ts';

const clients = 200;
const zipBytes = 20_000_000;
const smallFilesBytes = 4_096;

export const coldCrowd: Scenario = {
  name: 'cold-crowd',
  about: `${clients} simultaneous cold GETs of one 20 MB zip, every byte compared; nginx has the file already`,
  async run({ rounds, note }) {
    await using module = await bigModule(zipBytes);
    await using upstream = await startUpstream(module.root, 0);
    await using nginx = await startNginx({ root: module.root });
    const load = (url: string): Promise<number> =>
      loadMs({ url: url + module.zipPath, clients, expectFile: module.zipFile });
    const zipRequests: number[] = [];
    const peaks: number[] = [];
    const { modferry, plain } = await interleave(rounds, {
      modferry: async () => {
        await using product = await startProduct({ upstreamUrl: upstream.url });
        await upstream.served();
        const tookMs = await load(product.url);
        peaks.push(mebibytes(product.peakRssBytes()));
        // .info and .mod, fetched behind the reply, are far below that; a second zip that was begun counts as one.
        const { bytes } = await upstream.served();
        zipRequests.push(Math.ceil((bytes - smallFilesBytes) / zipBytes));
        note(
          `modferry ${tookMs.toFixed(0)} ms, peak ${peaks.at(-1)?.toFixed(0)} MiB, ${bytes} bytes from upstream`,
        );
        return tookMs / 1000;
      },
      plain: async () => (await load(nginx.url)) / 1000,
    });
    return [
      {
        name: 'modferry cold / nginx with the file',
        value: medianRatio(modferry, plain),
        target: { atMost: 1.2 },
        detail: `modferry ${secondsText(modferry)}, nginx ${secondsText(plain)}; ${clients} right bodies each`,
      },
      {
        name: 'zip fetches upstream, most in any round',
        value: Math.max(...zipRequests),
        unit: '',
        target: { atMost: 1 },
        detail: `by bytes sent, per round: ${zipRequests.join(', ')}`,
      },
      {
        name: 'peak RSS of the process tree, highest of all rounds',
        value: Math.max(...peaks),
        unit: 'MiB',
        target: { atMost: 200 },
        detail: `VmHWM per round: ${peaks.map((peak) => peak.toFixed(0)).join(', ')} MiB`,
      },
    ];
  },
};
