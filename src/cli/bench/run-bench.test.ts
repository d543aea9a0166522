import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../../test/kit/fake-module.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../../../test/kit/fake-upstream.ts';
import {
  captivePortal,
  closeAfter,
  drip,
  endless,
  type Fault,
  flipByte,
  garbage,
  gzip,
  redirectLoop,
  replaceBody,
  reset,
  stall,
  status,
  truncate,
} from '../../../test/kit/faults.ts';
import { systemClock } from '../../lib/clock.ts';
import { directRule } from '../../outbound/proxy-rule.ts';
import { parseModules } from './bench-settings.ts';
import type { BenchMirror, Sample } from './bench-types.ts';
import { rankMirrors } from './ranking.ts';
import { type BenchPlan, countTasks, runBench, tasksOf } from './run-bench.ts';

const lib = fakeModule({ path: 'example.com/Lib', version: 'v1.2.3', paddingBytes: 100_000 });

async function fake(name: string, options: FakeUpstreamOptions = {}) {
  const server = await startFakeUpstream({ modules: [lib], ...options });
  onTestFinished(server.close);
  const mirror: BenchMirror = {
    name,
    url: server.url,
    isPrivate: false,
    proxy: directRule,
    caFile: undefined,
    clientCertificate: undefined,
  };
  return { server, mirror };
}

function planOf(mirrors: readonly BenchMirror[], more: Partial<BenchPlan> = {}): BenchPlan {
  return {
    mirrors,
    modules: parseModules(['example.com/Lib@v1.2.3']),
    rounds: 1,
    concurrency: 1,
    timeoutMs: 10_000,
    isKeptFrom: () => false,
    ...more,
  };
}

async function measure(plan: BenchPlan, signal = new AbortController().signal): Promise<Sample[]> {
  const samples: Sample[] = [];
  await runBench(plan, {
    clock: systemClock,
    version: '1.2.3',
    signal,
    onSample: (sample) => samples.push(sample),
  });
  return samples;
}

describe('a good mirror', () => {
  it('is asked for every kind in every round: on new connections first, on one that is kept later', async () => {
    const { server, mirror } = await fake('good');
    const samples = await measure(planOf([mirror], { rounds: 3 }));

    expect(samples.map(({ round, kind }) => `${round} ${kind}`)).toEqual(
      [1, 2, 3].flatMap((round) => ['list', 'info', 'mod', 'zip'].map((kind) => `${round} ${kind}`)),
    );
    expect(samples.every(({ fault, status: code }) => fault === null && code === 200)).toBe(true);
    expect(samples.map(({ isReused }) => isReused)).toEqual([
      ...Array.from({ length: 5 }, () => false),
      ...Array.from({ length: 7 }, () => true),
    ]);
    expect(server.sockets.accepted).toBe(5);
    expect(server.requests[0]?.headers).toMatchObject({
      'user-agent': 'modferry/1.2.3 (bench)',
      'accept-encoding': 'identity',
    });
    const zips = samples.filter(({ kind }) => kind === 'zip');
    expect(zips.map(({ identity }) => identity)).toEqual([lib.zipH1, lib.zipH1, lib.zipH1]);
    expect(zips[0]?.sizeBytes).toBe(lib.zip.length);
    expect(samples[0]?.remoteAddress).toBe(`127.0.0.1:${server.port}`);
  });

  it('has each step timed, in the order of curl', async () => {
    const { server } = await fake('slow', { latencyMs: 150 });
    const named = { ...(await fake('x')).mirror, url: `http://localhost:${server.port}` };
    const [sample] = await measure(planOf([named]));

    expect(sample?.fault).toBeNull();
    const { dnsMs = null, connectMs = null, tlsMs, proxyMs, firstByteMs = null, totalMs = 0 } = sample ?? {};
    expect(dnsMs).toBeGreaterThan(0);
    expect(connectMs).toBeGreaterThan(0);
    expect([tlsMs, proxyMs]).toEqual([null, null]);
    expect(firstByteMs).toBeGreaterThanOrEqual(149);
    expect((dnsMs ?? 0) + (connectMs ?? 0)).toBeLessThan((firstByteMs ?? 0) - 140);
    expect(totalMs).toBeGreaterThanOrEqual(firstByteMs ?? Number.NaN);
  });

  it('says which version @latest is, and is then asked for that', async () => {
    const { server, mirror } = await fake('good', { queries: { 'example.com/Lib@latest': 'v1.2.3' } });
    const plan = planOf([mirror], { modules: parseModules(['example.com/Lib@latest']), concurrency: 4 });
    const samples = await measure(plan);

    expect(samples.map(({ kind, fault }) => `${kind} ${fault?.kind ?? 'ok'}`).toSorted()).toEqual(
      ['info', 'latest', 'list', 'mod', 'zip'].map((kind) => `${kind} ok`),
    );
    expect(server.count('/@v/v1.2.3.zip')).toBe(1);
    expect(server.requests[0]?.url).toBe('/example.com/!lib/@latest');
    expect(countTasks(plan)).toBe(5);
  });

  it('is asked again without complaint when it closes kept connections', async () => {
    const { mirror } = await fake('closing', { rules: [{ match: /./, fault: closeAfter() }] });
    const samples = await measure(planOf([mirror], { rounds: 4 }));

    expect(samples.filter(({ fault }) => fault !== null)).toEqual([]);
  });
});

describe('a bad mirror', () => {
  it.each<[string, Fault, string, Partial<Sample>]>([
    ['answers 500', status(500), 'status', { status: 500 }],
    ['resets', reset(), 'reset', { status: null }],
    ['stalls', stall(), 'timeout', { firstByteMs: null }],
    ['stalls in the middle', stall(2), 'timeout', { status: 200 }],
    ['truncates', truncate(4), 'truncated', { status: 200 }],
    ['truncates chunks', truncate(4, 'chunked'), 'truncated', {}],
    ['redirects for ever', redirectLoop(), 'redirect', { redirects: 5 }],
    ['speaks another protocol', garbage(), 'protocol', {}],
    ['sends a login page', captivePortal(), 'content', { status: 200 }],
    ['sends gzip', gzip(), 'protocol', {}],
  ])('that %s fails each request as what it is', async (_what, fault, kind, more) => {
    const { mirror } = await fake('bad', { rules: [{ match: /\.(?:info|mod)$/, fault }] });
    const samples = await measure(planOf([mirror], { timeoutMs: 400 }));

    const faulty = samples.filter((sample) => sample.kind === 'info' || sample.kind === 'mod');
    for (const sample of faulty) expect(sample).toMatchObject({ fault: { kind }, ...more });
    expect(faulty).toHaveLength(2);
    expect(samples.filter((sample) => sample.fault === null)).toHaveLength(2);
  });

  it('that never ends is cut off at the limit of the kind', async () => {
    const { mirror } = await fake('endless', { rules: [{ match: '.info', fault: endless() }] });
    const info = (await measure(planOf([mirror]))).find(({ kind }) => kind === 'info');

    expect(info?.fault).toEqual({ kind: 'too_large', message: 'the body is larger than 65536 bytes' });
    expect(info?.sizeBytes).toBeLessThan(1_000_000);
  });

  it('that refuses connections fails as connect, with a reason', async () => {
    const { server, mirror } = await fake('dead');
    await server.refuse();
    const samples = await measure(planOf([mirror]));

    expect(samples.map(({ fault }) => fault)).toEqual(
      Array.from({ length: 4 }, () => ({ kind: 'connect', message: 'no connection (ECONNREFUSED)' })),
    );
    expect(rankMirrors([mirror], [], samples).mirrors[0]).toMatchObject({ stars: 0, isUsable: false });
  });

  it('whose name does not exist fails as dns', async () => {
    const { mirror } = await fake('nowhere');
    const [sample] = await measure(planOf([{ ...mirror, url: 'http://nowhere.invalid' }]));

    expect(sample).toMatchObject({ fault: { kind: 'dns' }, connectMs: null, remoteAddress: null });
  });

  it('that drips runs into the deadline of the request, and its text says how far it came', async () => {
    const { mirror } = await fake('drip', { rules: [{ match: '.zip', fault: drip(1000) }] });
    const samples = await measure(planOf([mirror], { timeoutMs: 300 }));

    const zip = samples.find(({ kind }) => kind === 'zip');
    expect(zip?.fault).toEqual({ kind: 'timeout', message: 'no rest of the body within 0.3 s' });
    expect(zip?.totalMs).toBeGreaterThanOrEqual(299);
    expect(zip?.sizeBytes).toBeGreaterThan(0);
  });

  it('that does not say what @latest is fails for its files without being asked', async () => {
    const { server, mirror } = await fake('silent', { rules: [{ match: '/@latest', fault: status(404) }] });
    const samples = await measure(planOf([mirror], { modules: parseModules(['example.com/Lib@latest']) }));

    expect(samples.map(({ kind, fault }) => [kind, fault?.kind ?? null])).toEqual([
      ['latest', 'status'],
      ['list', null],
      ['info', 'unresolved'],
      ['mod', 'unresolved'],
      ['zip', 'unresolved'],
    ]);
    expect(server.requests).toHaveLength(2);
  });
});

describe('bytes compared between mirrors', () => {
  it('show the one that serves another zip, although it is valid, and the one whose zip is broken', async () => {
    const forged = fakeModule({
      path: lib.path,
      version: lib.version,
      files: { 'evil.go': 'package evil\n' },
    });
    const good = await fake('good');
    const other = await fake('other');
    const liar = await fake('liar', { modules: [{ ...lib, zip: forged.zip }] });
    const broken = await fake('broken', { rules: [{ match: '.zip', fault: flipByte(50_000) }] });
    const page = await fake('page', { rules: [{ match: '.zip', fault: replaceBody('please log in') }] });
    const mirrors = [liar, broken, page, good, other].map(({ mirror }) => mirror);
    const plan = planOf(mirrors);
    const ranking = rankMirrors(mirrors, plan.modules, await measure(plan));

    const found = ranking.mirrors.map(({ name, bytes, stars }) => `${name} ${bytes} ${stars}`);
    expect(found.slice(0, 2).toSorted()).toEqual(['good right 5', 'other right 5']);
    expect(found.slice(2).toSorted()).toEqual(['broken wrong 0', 'liar wrong 0', 'page wrong 0']);
    expect(ranking.disputes).toContainEqual({
      what: 'example.com/Lib@v1.2.3.zip',
      mirror: 'liar',
      verdict: 'wrong',
      identity: forged.zipH1,
      expected: lib.zipH1,
    });
  });
});

describe('a quick and a slow mirror', () => {
  it('are asked in turns, and the quick one ranks first', async () => {
    const slow = await fake('slow', { latencyMs: 60 });
    const quick = await fake('quick');
    const mirrors = [slow.mirror, quick.mirror];
    const plan = planOf(mirrors, { rounds: 2 });
    const order = [...tasksOf(plan)].map(({ mirror }) => mirror.name);
    expect(order.slice(0, 6)).toEqual(['slow', 'quick', 'quick', 'slow', 'slow', 'quick']);

    const { mirrors: ranked } = rankMirrors(mirrors, plan.modules, await measure(plan));
    expect(ranked.map(({ name }) => name)).toEqual(['quick', 'slow']);
    expect(ranked[1]?.small.firstByteMs.p50).toBeGreaterThanOrEqual(59);
  });
});

describe('the run', () => {
  it('ends at once when told to, with the samples made so far', async () => {
    const { server, mirror } = await fake('hanging', { rules: [{ match: '.mod', fault: stall() }] });
    const abort = new AbortController();
    const running = measure(planOf([mirror]), abort.signal);
    await server.waitForRequest('.mod');
    abort.abort(new Error('enough'));

    expect((await running).map(({ kind }) => kind)).toEqual(['list', 'info']);
  });

  it('keeps a module from mirrors that must not hear of it', async () => {
    const open = await fake('open');
    const inner = await fake('inner');
    const plan = planOf([open.mirror, inner.mirror], {
      isKeptFrom: (_module, mirror) => mirror.name === 'open',
    });
    expect(countTasks(plan)).toBe(4);
    expect((await measure(plan)).every((sample) => sample.mirror === 'inner')).toBe(true);
    expect(open.server.sockets.accepted).toBe(0);
  });

  it('asks several at once when allowed, never more', async () => {
    const { server, mirror } = await fake('busy', { latencyMs: 30 });
    const samples = await measure(planOf([mirror], { rounds: 4, concurrency: 3 }));
    expect(samples).toHaveLength(16);
    expect(server.sockets.peak).toBeGreaterThan(1);
    expect(server.sockets.peak).toBeLessThanOrEqual(6);
  });
});
