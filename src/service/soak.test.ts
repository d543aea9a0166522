/**
 * Ten simulated minutes with three upstreams that fall ill at random: no wrong byte and no wrong 404 ever reaches a
 * client, nobody waits for long, and when all are well again everything is as if nothing had been.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FakeModule } from '../../test/kit/fake-module.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { checkModuleZip } from '../zip/module-zip-check.ts';
import { bufferReader } from '../zip/zip-reader.ts';
import { fileOf, seededRandom } from './test-scripted.ts';
import { Soak, type SoakAnswer, soakMs } from './test-soak.ts';

const seeds = process.env['SOAK_SEEDS']?.split(',').map(Number) ?? [1, 2, 3];
const stepMs = 250;
const longestMs = 150_000;
const exts = ['info', 'mod', 'zip'];

interface Planned {
  readonly atMs: number;
  readonly url: string;
  readonly revalidate: boolean;
  /** The client is gone after this time. */
  readonly leavesAfterMs: number | undefined;
}

function drawRequests(soak: Soak, random: () => number): Planned[] {
  const paths = [...soak.world.byPath.keys()];
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  const planned: Planned[] = [];
  for (let event = 0; event < 420; event += 1) {
    const atMs = random() * soakMs;
    const path = random() < 0.08 ? `example.com/none${Math.floor(random() * 10)}` : pick(paths);
    const kind = random();
    const version = `v1.${Math.floor(random() * 3)}.0`;
    const artifact = `/${path}/@v/${version}.${pick(exts)}`;
    let urls = [artifact];
    if (kind < 0.3) urls = exts.map((ext) => `/${path}/@v/${version}.${ext}`);
    else if (kind < 0.45) urls = Array.from({ length: 2 + Math.floor(random() * 5) }, () => artifact);
    else if (kind < 0.6) urls = [`/${path}/@v/list`];
    else if (kind < 0.7) urls = [`/${path}/@latest`];
    else if (kind < 0.75) urls = [`/${path}/@v/main.info`];
    for (const url of urls) {
      planned.push({
        atMs,
        url,
        revalidate: random() < 0.05,
        leavesAfterMs: random() < 0.08 ? random() * 4_000 : undefined,
      });
    }
  }
  return planned.toSorted((a, b) => a.atMs - b.atMs);
}

/** What is wrong with an answer; undefined when it is right. */
async function faultOf(soak: Soak, answer: SoakAnswer): Promise<string | undefined> {
  const { url, status, body, askedMs, endedMs } = answer;
  if (endedMs - askedMs > longestMs) return `took ${endedMs - askedMs} ms`;
  if (status === 404 || status === 410) return soak.faultOfAbsence(answer);
  if (status !== 200) return [0, 502, 503, 504].includes(status) ? undefined : `status ${status}`;
  const [path = '', name = ''] = url.slice(1).split(/\/@v?\/?/);
  const born = (soak.world.byPath.get(path) ?? []).filter(({ bornMs }) => Math.min(...bornMs) <= endedMs);
  const file = /^(v\d+\.\d+\.\d+)\.(info|mod|zip)$/.exec(name);
  if (file !== null) {
    const right = born.find(({ module }) => module.version === file[1])?.module;
    if (right === undefined) return 'nobody has it';
    if (body.equals(fileOf(right, file[2] ?? ''))) return undefined;
    // A zip is its tree: a time in its directory may differ (ruling 13).
    return file[2] === 'zip' && (await isTheSameTree(body, right)) ? undefined : 'wrong bytes';
  }
  if (name !== 'list') {
    return born.some(({ module }) => body.equals(module.info))
      ? undefined
      : `wrong bytes: ${body.toString()}`;
  }
  const listed = body.toString().split('\n').slice(0, -1);
  const unknown = listed.filter((version) => !born.some(({ module }) => module.version === version));
  if (unknown.length > 0) return `lists ${unknown.join()}`;
  const lost = soak.storedVersions(path, askedMs).filter((version) => !listed.includes(version));
  return lost.length > 0 ? `does not list ${lost.join()}, which is stored` : undefined;
}

async function isTheSameTree(body: Buffer, { path, version, zipH1 }: FakeModule): Promise<boolean> {
  const { h1 } = await checkModuleZip(bufferReader(body), { path, version }).catch(() => ({ h1: '' }));
  return h1 === zipH1;
}

/** Faults of all answers, each alone and beside the others. */
async function faultsOf(soak: Soak, answers: readonly SoakAnswer[], seed: number): Promise<string[]> {
  const faults: string[] = [];
  const first = new Map<string, Buffer>();
  for (const answer of answers) {
    const { url, askedMs, status, body, text } = answer;
    let fault = await faultOf(soak, answer);
    if (status === 200 && /\.(info|mod|zip)$/.test(url) && !url.endsWith('/main.info')) {
      if (!(first.get(url) ?? body).equals(body)) fault ??= 'other bytes than before';
      first.set(url, body);
    }
    if (fault !== undefined)
      faults.push(`seed ${seed}, ${askedMs} ms: ${url} → ${status}: ${fault}. ${text}`);
  }
  return faults;
}

/** Ten minutes of clients, and as long after it as a request may last. */
async function runClients(soak: Soak, random: () => number): Promise<SoakAnswer[]> {
  const planned = drawRequests(soak, random);
  const answers: SoakAnswer[] = [];
  let next = 0;
  for (let atMs = 0; atMs < soakMs + longestMs && (atMs <= soakMs || soak.underWay > 0); atMs += stepMs) {
    for (; (planned[next]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs; next += 1) {
      const { url, revalidate, leavesAfterMs } = planned[next] as Planned;
      const client = new AbortController();
      if (leavesAfterMs !== undefined) {
        soak.clock.setTimeout(() => client.abort(new Error('the client left')), leavesAfterMs);
      }
      void soak.ask(url, { signal: client.signal, revalidate }).then((answer) => answers.push(answer));
    }
    await soak.step(stepMs);
  }
  expect(answers, 'every request has ended').toHaveLength(planned.length);
  return answers;
}

/** Changes by choice keep their distance; an ill favourite is left at once. */
function faultsOfSwitches({ switches }: Soak): string[] {
  return switches.flatMap(({ atMs, from, to, cause }, index) => {
    const before = switches[index - 1];
    if (before === undefined || from === undefined || to === undefined) return [];
    const isForced = cause.startsWith(`${from}: `);
    // The first choice is no change, so nothing is waited for after it.
    if (isForced || index === 1 || atMs - before.atMs >= 120_000) return [];
    return [`${from} → ${to} ${atMs - before.atMs} ms after the last one: ${cause}`];
  });
}

describe('ten minutes of random illness', () => {
  it.each(seeds)(
    'seed %i: no wrong byte, no wrong 404, and all is well in the end',
    async (seed) => {
      const unhandled: unknown[] = [];
      const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
      process.on('unhandledRejection', onUnhandled);
      const folder = await tempDir('soak');
      onTestFinished(async () => {
        process.off('unhandledRejection', onUnhandled);
        await folder.remove();
      });
      const soak = await Soak.start(folder.path, seed);
      const timersAtRest = soak.clock.timers;
      const answers = await runClients(soak, seededRandom(seed + 7));
      expect(await faultsOf(soak, answers, seed)).toEqual([]);
      // Else nothing was tried.
      const statuses = new Set(answers.map(({ status }) => status));
      expect([...statuses]).toEqual(expect.arrayContaining([0, 200, 404, 502]));
      expect(faultsOfSwitches(soak), `seed ${seed}`).toEqual([]);
      const perMinute = soak.switches.map(
        ({ atMs }) =>
          soak.switches.filter((other) => other.atMs >= atMs && other.atMs < atMs + 60_000).length,
      );
      // Also while nobody is well: two that come and go by turns, each left three times.
      expect(Math.max(...perMinute), `seed ${seed}`).toBeLessThanOrEqual(8);

      for (let second = 0; second < 600; second += 1) await soak.step(1_000);
      expect(soak.mirrors.figures().map(({ state, breaker }) => `${state}, ${breaker}`)).toEqual(
        soak.upstreams.map(() => 'healthy, closed'),
      );
      const urls = [...soak.world.byPath].flatMap(([path, versions]) => [
        `/${path}/@v/list`,
        `/${path}/@latest`,
        ...versions.flatMap(({ module }) => exts.map((ext) => `/${path}/@v/${module.version}.${ext}`)),
      ]);
      const last: SoakAnswer[] = [];
      for (let from = 0; from < urls.length; from += 40) {
        for (const url of urls.slice(from, from + 40)) void soak.ask(url).then((answer) => last.push(answer));
        while (soak.underWay > 0) await soak.step(20);
      }
      expect(last).toHaveLength(urls.length);
      const notHad = last.filter(({ status }) => status !== 200);
      expect(notHad.map(({ url, status, text }) => `seed ${seed}: ${url} → ${status} ${text}`)).toEqual([]);
      expect(await faultsOf(soak, [...answers, ...last], seed)).toEqual([]);

      // Refreshes behind replies come to their end too.
      await soak.step(60_000);
      expect(soak.clock.timers, 'no timer is left over').toBeLessThanOrEqual(timersAtRest + 2);
      expect(soak.answering.ingest.activeFills).toBe(0);
      expect(await soak.staged()).toEqual([]);
      await soak.close();
      expect(unhandled).toEqual([]);
    },
    120_000,
  );
});
