/**
 * The operator's hand on a running modferry: every order of the command line does what it says, at once, in every
 * process on the folder and over restarts; and what happened can be seen.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import { status } from '../kit/faults.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import {
  ask,
  type CommandResult,
  eventually,
  folder,
  type ModferryFor,
  modferry,
  runModferry,
  upstream,
} from './support.ts';

const modules = Array.from({ length: 40 }, (_, index) => fakeModule({ path: `example.com/m${index}` }));

interface Rig {
  readonly proxy: ModferryProcess;
  readonly a: FakeUpstream;
  readonly b: FakeUpstream;
  /** Fetches the .mod of a module not asked for before and tells who was asked for it. */
  readonly fetchNext: (from?: ModferryProcess) => Promise<string>;
  /** Runs a command on the data folder; it must succeed. */
  readonly run: (...args: string[]) => Promise<string>;
  /** The same, whatever comes of it. */
  readonly tryRun: (...args: string[]) => Promise<CommandResult>;
}

/** `a` stands before `b`; changes by choice are not waited for, and nobody is probed but by hand or when suspect. */
function optionsFor(a: FakeUpstream, b: FakeUpstream): ModferryFor {
  return {
    config: {
      upstreams: [
        { url: a.url, name: 'a' },
        { url: b.url, name: 'b' },
      ],
      look_ahead: { enabled: false },
      health: { switch_back_after: '0s', probe: { every: '10m', idle_every: '10m', out_every: '10m' } },
    },
  };
}

async function rig(options: Omit<ModferryFor, 'config' | 'upstreams'> = {}): Promise<Rig> {
  const a = await upstream({ modules });
  const b = await upstream({ modules });
  const proxy = await modferry({ ...optionsFor(a, b), ...options });
  const supply = modules.values();
  const tryRun = (...args: string[]) => runModferry([...args, '--data', proxy.dataDir]);
  return {
    proxy,
    a,
    b,
    tryRun,
    fetchNext: async (from = proxy) => {
      const { value: module } = supply.next();
      if (module === undefined) return expect.fail('out of modules');
      const answer = await ask(from.url, modPath(module));
      expect(answer, module.path).toMatchObject({ status: 200, body: module.mod, complete: true });
      return [a, b]
        .map((source, index) => (source.count(modPath(module)) > 0 ? ['a', 'b'][index] : ''))
        .join('');
    },
    run: async (...args) => {
      const { code, stdout, stderr } = await tryRun(...args);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
      return stdout;
    },
  };
}

function modPath({ path, version }: FakeModule): string {
  return `/${path}/@v/${version}.mod`;
}

interface StatusJson {
  readonly mode: { readonly mode: string; readonly untilMs: number | null };
  readonly isFrozen: boolean;
  readonly upstreams: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[];
}

async function statusOf(run: Rig['run']): Promise<StatusJson> {
  return JSON.parse(await run('status', '--json')) as StatusJson;
}

describe('modferry upstreams', () => {
  it('out and in: one that is taken out is asked for nothing, even when the other fails', async () => {
    const { a, b, fetchNext, proxy, run, tryRun } = await rig();
    expect(await fetchNext()).toBe('a');
    expect(JSON.parse(await run('upstreams', 'out', 'a', '--json'))).toMatchObject({ takenOut: ['a'] });
    expect(await fetchNext()).toBe('b');
    expect(await run('status')).toMatch(/^ +a +taken out /m);

    const heard = a.count(/example/);
    b.faults.add({ match: '/m39/@v/v1.0.0.mod', fault: status(500) });
    const answer = await ask(proxy.url, '/example.com/m39/@v/v1.0.0.mod');
    expect(answer.status, answer.text).toBe(502);
    expect(a.count(/example/)).toBe(heard);

    expect(await run('upstreams', 'in', 'a')).toContain('a is back');
    await run('upstreams', 'clear');
    expect(await fetchNext()).toBe('a');
    const twice = await tryRun('upstreams', 'in', 'a');
    expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining('a was not taken out') });
    const unknown = await tryRun('upstreams', 'out', 'nobody');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/"nobody".* a, b/) });
  });

  it('pin and unpin: the pinned one is asked first, well or ill, and what it fails comes from the other', async () => {
    const { b, fetchNext, run } = await rig();
    expect(await fetchNext()).toBe('a');
    await run('upstreams', 'pin', 'b');
    expect(await fetchNext()).toBe('b');
    expect(await run('status')).toMatch(/^→ +b +healthy, pinned /m);
    const rule = b.faults.add({ match: /example/, fault: status(500) });
    expect(await fetchNext()).toBe('ab');
    expect(await fetchNext()).toBe('ab');
    rule.remove();
    expect(await run('upstreams', 'unpin')).toContain('nothing is pinned');
    expect(await fetchNext()).toBe('a');
  });

  it('freeze and unfreeze: the order stays although its first one fails', async () => {
    const { a, fetchNext, run } = await rig();
    expect(await fetchNext()).toBe('a');
    await run('upstreams', 'freeze');
    a.faults.add({ match: /example/, fault: status(500) });
    for (let round = 0; round < 5; round += 1) expect(await fetchNext()).toBe('ab');
    expect(await run('status')).toContain('order frozen');
    expect(await statusOf(run)).toMatchObject({ isFrozen: true });
    await run('upstreams', 'unfreeze');
    expect(await fetchNext()).toBe('b');
    expect(await statusOf(run)).toMatchObject({ isFrozen: false });
  });

  it('clear: a pause that one asked for is over', async () => {
    const { a, fetchNext, run, tryRun } = await rig();
    expect(await fetchNext()).toBe('a');
    a.faults.add({ match: /example/, times: 1, fault: status(429, { 'Retry-After': '3600' }) });
    expect(await fetchNext()).toBe('ab');
    expect(await fetchNext()).toBe('b');
    expect(await run('status')).toMatch(/^ +a +resting \d+m/m);
    expect(await run('upstreams', 'clear', 'a')).toContain('cleared 1 upstream');
    expect(await fetchNext()).toBe('a');
    const unknown = await tryRun('upstreams', 'clear', 'nobody');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('"nobody"') });
  });

  it('probe: asks now, tells what each one said, and fails when one does', async () => {
    const { a, b, run, tryRun } = await rig();
    const before = a.requests.length;
    expect(await run('upstreams', 'probe')).toMatch(/^ok +a +\d+ ms.*\nok +b +\d+ ms/);
    expect(a.requests.length).toBeGreaterThan(before);
    await b.refuse();
    const { code, stdout } = await tryRun('upstreams', 'probe');
    expect(stdout).toMatch(/^ok +a .*\nFAILED +b +\d+ ms +connect: /);
    expect(code).toBe(1);
    const one = JSON.parse(await run('upstreams', 'probe', 'a', '--json')) as object;
    expect(one).toMatchObject({ name: 'a', code: 'absent' });
    // It counts: the one that failed is no longer well.
    const { upstreams } = await statusOf(run);
    expect(upstreams.find(({ name }) => name === 'b')).toMatchObject({ state: 'suspect' });
  });
});

describe('modferry mode', () => {
  it('offline --for 2s: nobody is asked, what is stored is served, and it ends by itself', async () => {
    const { proxy, a, b, fetchNext, run, tryRun } = await rig();
    await fetchNext();
    const heard = [a, b].map((source) => source.count(/example/));
    expect(await run('mode', 'offline', '--for', '2s')).toMatch(/^mode offline for \ds more/);
    const [stored, other] = modules;
    if (stored === undefined || other === undefined) return;
    const sinceMs = performance.now();
    const kept = await ask(proxy.url, modPath(stored));
    const missing = await ask(proxy.url, modPath(other));
    const isStillOffline = performance.now() - sinceMs < 500;
    expect(kept).toMatchObject({ status: 200, body: stored.mod });
    if (isStillOffline) {
      expect(missing.status, missing.text).toBe(404);
      expect(missing.headers['cache-control']).toBe('no-store');
      expect([a, b].map((source) => source.count(/example/))).toEqual(heard);
    }
    await eventually(
      () => ask(proxy.url, modPath(other)),
      (answer) => answer.status === 200,
    );
    expect(await run('mode')).toBe('mode normal\n');
    // The history is written a moment later.
    await eventually(
      () => run('events', '--kind', 'mode'),
      (events) => /the mode is offline for 2s, was normal\n.*the mode is normal again/.test(events),
    );
    expect(await tryRun('mode', 'offline', '--for', '0s')).toMatchObject({ code: 2 });
    expect(await run('mode', 'direct')).toContain('mode direct: what is not stored comes from repositories');
    expect(await run('mode', 'normal')).toBe('mode normal\n');
  });
});

describe('what can be seen', () => {
  it('explain tells what each upstream said when a file was fetched', async () => {
    const { a, b, fetchNext, run } = await rig();
    a.faults.add({ match: /example.*mod$/, fault: status(500) });
    expect(await fetchNext()).toBe('ab');
    const name = 'example.com/m0@v1.0.0';
    const heard = [a, b].map((source) => source.count(/example/));
    const text = await run('explain', name);
    expect(text).toMatch(/^example\.com\/m0@v1\.0\.0\nroute public, mode normal\n/);
    expect(text).toMatch(/\.mod was fetched \d+s ago, from b, in \d+ ms/);
    expect(text).toMatch(/^ +a +status +\d+ ms +.*500/m);
    expect(text).toMatch(/^ +b +ok +\d+ ms/m);
    expect(text).toMatch(/^ +1\. +b /m);
    expect(text).toMatch(/^ +\.mod +\d+ B +from b /m);
    expect(text).toMatch(/^ +\.zip +not stored/m);
    const { lastFetches, sources } = JSON.parse(await run('explain', '--json', name)) as {
      lastFetches: Record<string, { source: string; outcomes: { source: string; code: string }[] }>;
      sources: { name: string }[];
    };
    expect(lastFetches['mod']).toMatchObject({
      source: 'b',
      outcomes: [
        { source: 'a', code: 'status' },
        { source: 'b', code: 'ok' },
      ],
    });
    expect(sources.map((source) => source.name)).toEqual(['b', 'a']);
    expect([a, b].map((source) => source.count(/example/))).toEqual(heard);
  });

  it('negatives clear makes a version visible that was absent a moment ago', async () => {
    const { a, b, proxy, run } = await rig();
    const late = fakeModule({ path: 'example.com/late', version: 'v1.1.0' });
    const path = '/example.com/late/@v/v1.1.0.info';
    expect((await ask(proxy.url, path)).status).toBe(404);
    for (const source of [a, b]) source.add(late);
    expect((await ask(proxy.url, path)).status, 'still remembered').toBe(404);
    expect(await run('negatives', 'clear', 'example.com/late')).toMatch(/^forgot 1 negative answer of/);
    expect(await ask(proxy.url, path)).toMatchObject({ status: 200, body: late.info });
  });

  it('events lists what happened, also when nothing runs any more', async () => {
    const { a, fetchNext, proxy, run } = await rig();
    await fetchNext();
    // Probes too, else it soon recovers.
    a.faults.add({ match: /./, fault: status(500) });
    await fetchNext();
    await fetchNext();
    await run('upstreams', 'pin', 'b');
    await proxy.stop();
    const text = await run('events');
    expect(text).toMatch(/modferry \S+ started; upstreams: a, b$/m);
    expect(text).toMatch(/ ! a is suspect, was healthy: status: .*500/);
    expect(text).toMatch(/ ! b is asked first for public modules instead of a: /);
    expect(text).toMatch(/b was pinned by hand$/m);
    expect(text.trimEnd()).toMatch(/modferry stopped$/);
    const lines = (await run('events', '--json', '--kind', 'switch')).trimEnd().split('\n');
    const switches = lines.map((line) => JSON.parse(line) as { kind: string; data: object });
    expect(switches.at(-1)).toMatchObject({ kind: 'switch', data: { from: 'a', to: 'b' } });
  });

  it('/metrics has every family that docs/metrics.md names', async () => {
    const { a, fetchNext, proxy } = await rig();
    await fetchNext();
    a.faults.add({ match: /example/, fault: status(500) });
    await fetchNext();
    await ask(proxy.url, '/example.com/m0/@v/list');
    await ask(proxy.url, '/example.com/m0/@v/v1.0.0.mod');
    const { text } = await ask(proxy.url, '/metrics');
    const docs = await readFile(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
    const named = [...docs.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \|/gm)];
    expect(named.length).toBeGreaterThan(30);
    const missing = named.filter(([, name, type]) => !text.includes(`# TYPE ${name} ${type}\n`));
    expect(missing.map(([, name]) => name)).toEqual([]);
    const documented = new Set(named.map(([, name]) => name));
    const given = [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
    expect(given.filter((name) => !documented.has(name))).toEqual([]);

    expect(text).toMatch(
      /^modferry_upstream_attempts_total\{upstream="a",class="meta",result="status"\} [1-9]/m,
    );
    expect(text).toMatch(/^modferry_upstream_state\{upstream="a",state="suspect"\} 1$/m);
    expect(text).toMatch(/^modferry_upstream_favourite\{upstream="b",route="public"\} 1$/m);
    expect(text).toMatch(/^modferry_switches_total\{route="public"\} 1$/m);
    expect(text).toMatch(/^modferry_mode\{mode="normal"\} 1$/m);
  });
});

describe('orders', () => {
  it('survive a restart', async () => {
    const { path: dataDir } = await folder('controls');
    const first = await rig({ dataDir });
    await first.run('upstreams', 'out', 'a');
    await first.proxy.stop();
    expect(await first.run('upstreams', 'freeze')).toContain('no modferry is running');
    const again = await modferry({ ...optionsFor(first.a, first.b), dataDir });
    expect(await first.fetchNext(again)).toBe('b');
    expect(await statusOf(first.run)).toMatchObject({
      isFrozen: true,
      upstreams: [{ name: 'a', isTakenOut: true }, { name: 'b' }],
    });
  });

  it('reach another process on the same folder within about a second', async () => {
    const { path: dataDir } = await folder('controls');
    const { a, b, fetchNext, run } = await rig({ dataDir });
    const second = await modferry({ ...optionsFor(a, b), dataDir });
    const third = await modferry({ ...optionsFor(a, b), dataDir });
    expect(await fetchNext(second)).toBe('a');
    await run('upstreams', 'out', 'a');
    for (const process of [second, third]) {
      await eventually(
        () => fetchNext(process),
        (by) => by === 'b',
        3_000,
      );
    }
    await run('mode', 'offline');
    // What is asked for too early is stored, and served from then on.
    const zips = modules.values();
    for (const process of [second, third]) {
      await eventually(
        async () => (await ask(process.url, `/${zips.next().value?.path}/@v/v1.0.0.zip`)).status,
        (code) => code === 404,
        3_000,
      );
    }
  });
});

describe('modferry status --watch', () => {
  it('goes on until Ctrl-C', async () => {
    const proxy = await modferry({ upstreams: [(await upstream()).url] });
    const launcher = join(import.meta.dirname, '../../bin/modferry');
    const child = spawn(launcher, ['status', '--watch', '--data', proxy.dataDir], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let tables = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      tables += text.match(/^modferry \S+, up /gm)?.length ?? 0;
      if (tables >= 2) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect({ code, isEnough: tables >= 2 }).toEqual({ code: 0, isEnough: true });
  });
});
