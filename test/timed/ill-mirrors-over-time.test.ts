/**
 * Illness over time: pauses that a mirror asks for, one that comes and goes, and all of them dead; and what the real
 * `go` makes of a dead mirror behind a good one.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, eventually, modferry, upstream } from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { type Fault, stall, status } from '../kit/faults.ts';
import { goHome, goProject, runGo } from '../kit/go.ts';
import type { RequestRecord } from '../kit/request-log.ts';
import {
  askedFor,
  askVersions,
  eventsOf,
  fetchModule,
  modulesNamed,
  probe,
  quickReturn,
  rig,
  shortTimeouts,
  upstreamStatus,
} from './ill-mirrors.ts';

/** Waits for the first request that got this status, its reply sent. */
async function answeredWith(source: FakeUpstream, code: number): Promise<RequestRecord> {
  const find = (): RequestRecord | undefined => source.requests.find(({ status: sent }) => sent === code);
  const said = await eventually(
    async () => find(),
    (found) => found !== undefined,
  );
  await said?.done;
  return said ?? expect.fail(`nobody was answered ${code}`);
}

describe('a mirror that asks for a pause', () => {
  it.each([429, 503])(
    '%i with Retry-After: it is asked for nothing until then, and first again after it',
    async (code) => {
      const modules = modulesNamed('m', 600, 0);
      const { proxy, ill, good } = await rig(modules, { health: quickReturn });
      const [first, ...rest] = modules;
      if (first === undefined) return;
      await fetchModule(proxy.url, first);
      expect(askedFor(good, first)).toBe(0);

      ill.faults.add({ match: /./, times: 1, fault: status(code, { 'Retry-After': '2' }) });
      const said = await ill.waitForRequest(({ status: sent }) => sent === code);
      await said.done;
      const supply = rest.values();
      const asked = await eventually(
        async () => {
          const { value: module } = supply.next();
          if (module === undefined) return expect.fail('out of modules');
          await fetchModule(proxy.url, module);
          return ill.requests.filter(({ atMs }) => atMs > said.atMs);
        },
        (requests) => requests.length > 0,
      );
      const pausedMs = (asked[0]?.atMs ?? 0) - said.atMs;
      expect(pausedMs).toBeGreaterThanOrEqual(1_990);
      await eventually(
        async () => {
          const { value: module } = supply.next();
          if (module === undefined) return expect.fail('out of modules');
          await fetchModule(proxy.url, module);
          return askedFor(good, module);
        },
        (count) => count === 0,
      );
    },
  );

  it('a pause of a year is five minutes, and status tells', async () => {
    const modules = modulesNamed('m', 20, 0);
    const { proxy, ill, good } = await rig(modules, { health: quickReturn });
    ill.faults.add({ match: /./, fault: status(429, { 'Retry-After': String(365 * 86_400) }) });
    await answeredWith(ill, 429);
    const { restUntilMs } = await eventually(
      () => upstreamStatus(proxy.dataDir, 'ill'),
      (figures) => typeof figures.restUntilMs === 'number',
    );
    const leftMs = (restUntilMs ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(200_000);
    expect(leftMs).toBeLessThanOrEqual(300_000);

    const before = ill.requests.length;
    for (const module of modules) {
      await fetchModule(proxy.url, module);
      expect(askedFor(good, module)).toBeGreaterThan(0);
    }
    expect(ill.requests).toHaveLength(before);
  });
});

describe('a mirror that comes and goes', () => {
  it('is not followed by the order: one return for each time of rest, and every byte right', async () => {
    const switchBackAfterMs = 1_000;
    const modules = modulesNamed('m', 3_000, 0);
    const { proxy, ill } = await rig(modules, {
      health: {
        probe: { ...probe, every: '100ms', idle_every: '100ms', out_every: '100ms' },
        out_for: '500ms',
        out_for_max: '2500ms',
        slow_start: '250ms',
        switch_back_after: `${switchBackAfterMs}ms`,
      },
    });
    const startedMs = performance.now();
    const untilMs = startedMs + 6_000;
    const flapping = (async () => {
      while (performance.now() < untilMs) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        await ill.refuse();
        await new Promise((resolve) => setTimeout(resolve, 200));
        await ill.listenAgain();
      }
    })();
    const supply = modules.values();
    const client = async (): Promise<void> => {
      for (const module of supply) {
        if (performance.now() >= untilMs) return;
        await fetchModule(proxy.url, module);
      }
    };
    await Promise.all([flapping, client(), client()]);
    const elapsedMs = performance.now() - startedMs;

    const switches = await eventually(
      () => eventsOf(proxy.dataDir, '--kind', 'switch'),
      (events) => events.length > 0,
    );
    const count = switches.reduce((sum, event) => sum + (event.count ?? 1), 0);
    // Away from it happens at once, back to it is waited for: two for each time of rest.
    expect(count).toBeLessThanOrEqual(2 * Math.ceil(elapsedMs / switchBackAfterMs) + 1);
    const left = switches.filter(({ data }) => data?.['from'] === 'ill');
    expect(left.length, 'it was left').toBeGreaterThan(0);
    for (const [index, event] of switches.entries()) {
      const before = switches[index - 1];
      if (before === undefined || event.data?.['to'] !== 'ill' || event.data['from'] !== 'good') continue;
      const apartMs = Date.parse(event.at) - Date.parse(before.at);
      expect(apartMs, JSON.stringify([before, event])).toBeGreaterThanOrEqual(switchBackAfterMs - 10);
    }
  });
});

describe('all mirrors dead after everything was fetched', () => {
  const deaths: readonly [string, Fault | 'refuse'][] = [
    ['refuse connections', 'refuse'],
    ['never answer', stall()],
    ['answer 500', status(500)],
  ];
  it.each(deaths)(
    'they %s: all of it is served, lists and @latest too, and nobody waits for them',
    async (_how, death) => {
      const modules = modulesNamed('m', 12);
      const others = modulesNamed('other', 100, 0).values();
      const { proxy, ill, good } = await rig(modules, {
        timeouts: { ...shortTimeouts, last_hope: '600ms' },
        // Every list is stale at once, so that each request has a reason to ask.
        freshness: {
          list: '0s',
          stale_while_revalidate: '0s',
          negative: '0s',
          negative_list: '0s',
          partial: '0s',
        },
        health: { probe },
      });
      for (const module of modules) {
        await fetchModule(proxy.url, module);
        await askVersions(proxy.url, module);
      }
      for (const source of [ill, good]) {
        if (death === 'refuse') await source.refuse();
        else source.faults.add({ match: /./, fault: death });
      }
      // Being out is learned by what is not stored.
      await eventually(
        async () => {
          const { value: module } = others.next();
          if (module === undefined) return expect.fail('out of modules');
          const answer = await ask(proxy.url, `/${module.path}/@v/v1.0.0.info`);
          expect([502, 503, 504], answer.text).toContain(answer.status);
          return Promise.all(['ill', 'good'].map((name) => upstreamStatus(proxy.dataDir, name)));
        },
        (all) => all.every(({ state }) => state === 'out'),
        30_000,
      );

      const startedMs = performance.now();
      for (const module of modules) {
        await fetchModule(proxy.url, module);
        await askVersions(proxy.url, module);
      }
      const eachMs = (performance.now() - startedMs) / (modules.length * 5);
      expect(eachMs, 'far below the first-byte timeout of 300 ms').toBeLessThan(100);
    },
  );
});

describe('the real go', () => {
  const deaths: readonly [string, Fault | 'refuse'][] = [
    ['refuses', 'refuse'],
    ['never answers', stall()],
    ['answers 500', status(500)],
  ];
  const root = fakeModule({
    path: 'example.com/deep/root',
    files: { 'some/where/below/below.go': 'package below\n' },
  });

  it.each(deaths)('gets a package below a module root while the second mirror %s', async (_how, death) => {
    const good = await upstream({ modules: [root] });
    const dead = await upstream();
    if (death === 'refuse') await dead.refuse();
    else dead.faults.add({ match: /./, fault: death });
    const proxy = await modferry({
      upstreams: [good, dead],
      config: { timeouts: shortTimeouts, ingest: { hold: '400ms' }, look_ahead: { enabled: false } },
    });
    const home = await goHome();
    onTestFinished(home.remove);
    const project = await goProject();
    onTestFinished(project.remove);
    const got = await runGo(['get', 'example.com/deep/root/some/where/below@v1.0.0'], {
      cwd: project.path,
      home,
      env: { GOPROXY: proxy.url },
    });
    expect(got.code, got.stderr).toBe(0);
    expect(got.stderr).toContain('added example.com/deep/root v1.0.0');
    // `latest` asks other questions than a version.
    const latest = await runGo(['list', '-m', 'example.com/deep/root@latest'], {
      cwd: project.path,
      home,
      env: { GOPROXY: proxy.url },
    });
    expect(latest, latest.stderr).toMatchObject({ code: 0, stdout: 'example.com/deep/root v1.0.0\n' });
  });
});
