import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type AdminActions, listenAdmin } from '../../http/admin.ts';
import { type FakeCli, fakeCli, tempFolder } from '../test-kit.ts';

type Asked = [string, Readonly<Record<string, unknown>>];

/** A command line beside processes that answer as scripted; keeps what each was asked. */
async function beside(
  ...processes: readonly AdminActions[]
): Promise<{ cli: FakeCli; asked: Asked[]; data: string }> {
  const data = tempFolder();
  const asked: Asked[] = [];
  for (const [index, actions] of processes.entries()) {
    const folder = join(data, 'run', `instance-${index}`);
    await mkdir(folder, { recursive: true });
    const noting = Object.fromEntries(
      Object.entries(actions).map(([name, action]) => [
        name,
        (ask: Readonly<Record<string, unknown>>) => {
          asked.push([name, ask]);
          return action(ask);
        },
      ]),
    );
    const admin = await listenAdmin(join(folder, 'admin.sock'), noting);
    onTestFinished(() => admin.close());
  }
  return { cli: fakeCli({ env: { MODFERRY_DATA: data } }), asked, data };
}

const controls = { mode: 'normal', takenOut: [], isFrozen: false };

describe('orders', () => {
  it.each<[string[], Record<string, unknown>, string]>([
    [['upstreams', 'out', 'cn'], { action: 'out', upstream: 'cn' }, 'cn is taken out'],
    [['upstreams', 'in', 'cn'], { action: 'in', upstream: 'cn' }, 'cn is back'],
    [['upstreams', 'pin', 'io'], { action: 'pin', upstream: 'io' }, 'io is pinned'],
    [['upstreams', 'unpin'], { action: 'unpin' }, 'nothing is pinned'],
    [['upstreams', 'freeze'], { action: 'freeze' }, 'the order is frozen'],
    [['upstreams', 'unfreeze'], { action: 'unfreeze' }, 'the order follows health'],
    [['mode', 'offline', '--for', '30m'], { action: 'mode', mode: 'offline', forMs: 1_800_000 }, 'mode'],
  ])('modferry %j goes to one running process', async (args, order, text) => {
    const action = { 'POST /controls': () => Promise.resolve(controls) };
    const { cli, asked } = await beside(action, action);
    const { code, stdout } = await cli.run(...args);
    expect({ code, asked }).toEqual({ code: 0, asked: [['POST /controls', order]] });
    expect(stdout).toContain(text);
    expect(stdout).not.toContain('no modferry is running');
  });

  it('are noted for the next start when nothing runs', async () => {
    const { cli, data } = await beside();
    const { code, stdout } = await cli.run('upstreams', 'out', 'cn');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('noted for its start') as string,
    });
    expect(JSON.parse(readFileSync(join(data, 'meta/controls.json'), 'utf8'))).toMatchObject({
      takenOut: ['cn'],
    });
    expect((await cli.run('mode')).stdout).toBe('mode normal (no modferry is running)\n');
  });

  it('are refused with what the process says', async () => {
    const { cli } = await beside({
      'POST /controls': () => Promise.reject(new Error('there is no upstream "x"; there are: cn')),
    });
    const { code, stderr } = await cli.run('upstreams', 'pin', 'x');
    expect(code).toBe(1);
    expect(stderr).toContain('there is no upstream "x"; there are: cn');
  });

  it.each([
    [['mode', '--for', '30m'], '--for goes with a mode that ends'],
    [['mode', 'normal', '--for', '30m'], '--for goes with a mode that ends'],
    [['mode', 'offline', '--for', '1y'], 'from 1s to 30d'],
    [['mode', 'sideways'], 'normal, offline, direct'],
    [['upstreams', 'out'], 'NAME'],
  ])('%j is a usage error', async (args, text) => {
    const { code, stderr } = await fakeCli().run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(text);
  });

  it('show the mode and what is left of it', async () => {
    const until = { ...controls, mode: 'offline', modeUntilMs: Date.now() + 90_000 };
    const { cli } = await beside({ 'GET /controls': () => Promise.resolve(until) });
    expect((await cli.run('mode')).stdout).toMatch(/^mode offline for 1m(30|29)s more: only what is stored/);
    expect(JSON.parse((await cli.run('mode', '--json')).stdout)).toEqual(until);
  });
});

describe('modferry upstreams clear, negatives clear', () => {
  it('reach every process on the folder', async () => {
    const one = {
      'POST /upstreams/clear': () => Promise.resolve({ cleared: 2 }),
      'POST /negatives/clear': () => Promise.resolve({ cleared: 3 }),
    };
    const { cli, asked } = await beside(one, one);
    expect((await cli.run('upstreams', 'clear')).stdout).toContain('cleared 2 upstreams');
    expect((await cli.run('negatives', 'clear', 'github.com/a/b')).stdout).toBe(
      'forgot 6 negative answers of github.com/a/b\n',
    );
    expect(asked).toEqual([
      ['POST /upstreams/clear', {}],
      ['POST /upstreams/clear', {}],
      ['POST /negatives/clear', { module: 'github.com/a/b' }],
      ['POST /negatives/clear', { module: 'github.com/a/b' }],
    ]);
  });

  it.each([
    ['upstreams', 'clear'],
    ['negatives', 'clear', 'github.com/a/b'],
    ['upstreams', 'probe'],
    ['status'],
    ['explain', 'github.com/a/b@v1.0.0'],
  ])('%s %s need a running modferry', async (...args) => {
    const { cli, data } = await beside();
    const { code, stderr } = await cli.run(...args);
    expect(code).toBe(69);
    expect(stderr).toContain(`no modferry is running on ${data}`);
  });

  it('take a module, not a version', async () => {
    const { code } = await fakeCli().run('negatives', 'clear', 'github.com/a/b@v1.0.0');
    expect(code).toBe(2);
  });
});

describe('modferry upstreams probe', () => {
  const ok = { name: 'cn', code: 'ok', tookMs: 12.4, message: '' };
  const absent = { name: 'small', code: 'absent', tookMs: 3, message: '404' };
  const failed = { name: 'io', code: 'timeout', tookMs: 3_000, message: 'no whole answer within 3 s' };

  it('tells what each said; an absence is an answer', async () => {
    const { cli } = await beside({
      'POST /upstreams/probe': () => Promise.resolve({ probes: [ok, absent] }),
    });
    expect(await cli.run('upstreams', 'probe')).toEqual({
      code: 0,
      stdout: 'ok  cn     12 ms\nok  small  3 ms   absent: 404\n',
      stderr: '',
    });
  });

  it('fails when one failed', async () => {
    const { cli, asked } = await beside({
      'POST /upstreams/probe': () => Promise.resolve({ probes: [ok, failed] }),
    });
    const { code, stdout, stderr } = await cli.run('upstreams', 'probe', 'io');
    expect(code).toBe(1);
    expect(stdout).toContain('FAILED  io  3000 ms  timeout: no whole answer within 3 s\n');
    expect(stderr).toBe('modferry: 1 probe failed\n');
    expect(asked).toEqual([['POST /upstreams/probe', { upstream: 'io' }]]);
  });
});

describe('modferry status', () => {
  const status = {
    version: '0.1.0',
    startedAt: new Date().toISOString(),
    urls: [],
    draining: false,
    mode: { mode: 'normal', untilMs: null },
    isFrozen: false,
    strategy: {},
    upstreams: [],
    store: {},
    fills: 0,
  };

  it('prints a table, or what scripts read', async () => {
    const { cli } = await beside({ 'GET /status': () => Promise.resolve(status) });
    expect((await cli.run('status')).stdout).toMatch(/^modferry 0\.1\.0, up \d+s, mode normal\n/);
    expect(JSON.parse((await cli.run('status', '--json')).stdout)).toEqual(status);
  });

  it('goes on with --watch until Ctrl-C', async () => {
    const { cli, asked } = await beside({
      'GET /status': () => {
        if (asked.length === 2) setImmediate(() => cli.signal('SIGINT'));
        return Promise.resolve(status);
      },
    });
    const { code, stdout } = await cli.run('status', '--watch');
    expect({ code, shown: stdout.match(/up 0s|up \ds/g)?.length }).toEqual({ code: 0, shown: 2 });
  });
});

describe('modferry explain', () => {
  it('tells the order and why, the last fetch, freshness and remembered absences', async () => {
    const nowMs = Date.now();
    const { cli, asked } = await beside({
      'GET /explain': () =>
        Promise.resolve({
          route: 'public',
          mode: 'normal',
          sources: [
            { name: 'io', place: 1, why: 'healthy, the favourite' },
            { name: 'cn', why: 'out, failed 40 s ago: timeout' },
          ],
          lastFetches: {
            zip: {
              atMs: nowMs - 60_000,
              tookMs: 812,
              source: 'io',
              outcomes: [
                { source: 'cn', code: 'timeout', message: 'stalled at byte 100', tookMs: 500 },
                { source: 'io', code: 'ok', message: 'answered', tookMs: 300 },
              ],
            },
          },
          kept: {
            module: 'github.com/a/b',
            version: 'v1.0.0',
            isOffline: false,
            artifacts: {
              info: { state: 'absent' },
              zip: {
                state: 'stored',
                source: 'io',
                storedAtMs: nowMs - 60_000,
                sizeBytes: 2048,
                sha256: 'ab',
                h1: 'h1:x',
              },
            },
            completeVersions: 1,
            list: {
              state: 'stale',
              confirmedAtMs: nowMs - 120_000,
              ageS: 120,
              isRefreshing: true,
              lastFailure: null,
              sources: { io: 3 },
              listedBy: ['io'],
            },
            latest: null,
            negatives: [
              { what: 'v1.0.0.info', code: 'absent', message: 'not found', isPartial: true, leftS: 7 },
            ],
            withdrawnForS: null,
          },
        }),
    });
    const { code, stdout } = await cli.run('explain', 'github.com/a/b@v1.0.0');
    expect({ code, asked }).toEqual({
      code: 0,
      asked: [['GET /explain', { module: 'github.com/a/b', version: 'v1.0.0' }]],
    });
    expect(stdout).toBe(`github.com/a/b@v1.0.0
route public, mode normal

Who is asked for what is not stored
   1.  io  healthy, the favourite
   -   cn  out, failed 40 s ago: timeout

Stored
   .info  not stored
   .zip   2.0 KiB     from io  1m ago  h1:x

.zip was fetched 1m ago, from io, in 812 ms
   cn  timeout  500 ms  stalled at byte 100
   io  ok       300 ms

Lists and @latest
   list  stale, confirmed 2m ago, being refreshed  io: 3 versions; this version by io

Remembered absences
   v1.0.0.info  7s more  not found (a source failed meanwhile)
`);
  });
});
