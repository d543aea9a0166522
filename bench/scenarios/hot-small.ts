/** Requests per second for small files asked all the time: .info, .mod and list, 64 connections, one wrk thread. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../../test/kit/temp.ts';
import { BenchError } from '../lib/bench-error.ts';
import { cpuTimeMs } from '../lib/cpu-time.ts';
import type { Figure } from '../lib/figure.ts';
import { body } from '../lib/fixtures.ts';
import { startProduct } from '../lib/modferry.ts';
import { startNginx } from '../lib/nginx.ts';
import { startBareNode, startUpstream } from '../lib/node-servers.ts';
import type { Bench, Scenario } from '../lib/scenario.ts';
import { interleave, medianRatio } from '../lib/stats.ts';
import { microsecondsText, rateText } from '../lib/text.ts';
import { wrk } from '../lib/wrk.ts';

const connections = 64;

export const hotSmall: Scenario = {
  name: 'hot-small',
  about: `.info, .mod and list, ${connections} connections; against nginx with one worker and with one per processor, and against a bare node:http server with the body in memory`,
  async run(bench) {
    const { sample } = await bench.store();
    const figures: Figure[] = [];
    for (const file of [`${sample.version}.info`, `${sample.version}.mod`, 'list']) {
      figures.push(...(await measure(bench, `/${sample.directory}${file}`)));
    }
    return figures;
  },
};

async function measure({ rounds, seconds, store, note }: Bench, path: string): Promise<Figure[]> {
  const { dataDir, downloadDir, corpus } = await store();
  const kind = path.slice(path.lastIndexOf('.') + 1).replace(/^.*\//, '');
  // Lists age: their refresh behind the answers belongs to what is measured.
  await using upstream = await startUpstream(corpus.root, 0);
  await using product = await startProduct({ dataDir, upstreamUrl: upstream.url });
  await using one = await startNginx({ root: downloadDir, workers: 1 });
  await using auto = await startNginx({ root: downloadDir });
  await using dir = await tempDir('bench-body');
  const bytes = await body(product.url + path);
  if (kind !== 'list' && !bytes.equals(await body(one.url + path))) {
    throw new BenchError('wrong_answer', `modferry and nginx answer ${path} differently`);
  }
  await writeFile(join(dir.path, 'body'), bytes);
  await using bare = await startBareNode(join(dir.path, 'body'));
  const cpu: Record<string, number[]> = {};
  const rate = (name: string, server: { url: string; pid: number }) => async (): Promise<number> => {
    const beforeMs = cpuTimeMs(server.pid);
    const { requests, requestsPerS, p99Ms } = await wrk({ url: server.url + path, connections, seconds });
    const costUs = ((cpuTimeMs(server.pid) - beforeMs) * 1000) / requests;
    (cpu[name] ??= []).push(costUs);
    note(
      `${kind} ${name}: ${Math.round(requestsPerS)}/s, p99 ${p99Ms.toFixed(1)} ms, ${costUs.toFixed(1)} µs CPU each`,
    );
    return requestsPerS;
  };
  // Engines compile what is hot; nobody's first seconds count.
  for (const server of [product, bare, one, auto])
    await wrk({ url: server.url + path, connections, seconds: 1 });
  const rates = await interleave(rounds, {
    modferry: rate('modferry', product),
    one: rate('nginx 1', one),
    auto: rate('nginx auto', auto),
    bare: rate('bare Node', bare),
  });
  const label = kind === 'list' ? 'list' : `.${kind}`;
  const text = (name: string, values: readonly number[]): string =>
    `${name} ${rateText(values)} at ${microsecondsText(cpu[name] ?? [])} CPU each`;
  const own = text('modferry', rates.modferry);
  return [
    {
      name: `${label}: modferry / nginx, 1 worker`,
      value: medianRatio(rates.modferry, rates.one),
      target: { atLeast: 0.6 },
      detail: `${own}, ${text('nginx 1', rates.one)}`,
    },
    {
      name: `${label}: modferry / nginx, auto`,
      value: medianRatio(rates.modferry, rates.auto),
      target: { atLeast: 0.6 },
      detail: `${own}, ${text('nginx auto', rates.auto)}`,
    },
    {
      name: `${label}: modferry / bare Node`,
      value: medianRatio(rates.modferry, rates.bare),
      target: { atLeast: 0.76 },
      detail: `${own}, ${text('bare Node', rates.bare)}`,
    },
    {
      name: `${label}: CPU time per request, bare Node / modferry`,
      value: medianRatio(cpu['bare Node'] ?? [], cpu['modferry'] ?? []),
      detail: 'the same comparison without the noise of a shared machine',
    },
  ];
}
