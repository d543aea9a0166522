import { describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { openFsStore } from '../../store/fs/fs-store.ts';
import { fakeCli, jsonLines, playServer, publish, tempFolder } from '../test-kit.ts';
import { scrubText } from './scrub.ts';

const fork = {
  database: 'sum.test',
  atMs: Date.UTC(2026, 0, 2),
  source: 'upstream:liar',
  known: 'go.sum database tree\n7\nAAA=\n\n— sum.test x\n',
  other: 'go.sum database tree\n9\nBBB=\n\n— sum.test y\n',
  proof: [],
  computedHash: 'CCC=',
};

async function withState(
  states: { readonly head?: object | string; readonly fork?: object },
  name = 'sum.test',
) {
  const data = tempFolder();
  await publish(data);
  const store = await openFsStore({ folder: data, clock: systemClock });
  for (const [state, value] of Object.entries(states) as ['head' | 'fork', object | string][]) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    await store.swapSumdbState(name, state, undefined, Buffer.from(text));
  }
  await store.close();
  return { data, cli: fakeCli({ env: { MODFERRY_DATA: data } }) };
}

const head = { note: fork.known, confirmedAtMs: Date.now() - 3_600_000 * 3 };

describe('modferry sumdb', () => {
  it('tells from the folder what is known when nobody runs', async () => {
    const { cli } = await withState({ head }, 'sum.test/Go');
    const { code, stdout } = await cli.run('sumdb', 'ls');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ok  sum.test/Go  7 records  confirmed 3 h ago\n' });
    expect(jsonLines((await cli.run('sumdb', 'ls', '--json')).stdout)).toMatchObject([
      { name: 'sum.test/Go', treeSize: 7, isForked: false, lookups: null, fork: null },
    ]);
  });

  it('shows both heads of a fork, and forgets them on order', async () => {
    const { cli } = await withState({ head, fork });
    expect((await cli.run('sumdb', 'ls')).stdout).toContain('FORKED  sum.test');
    const { stdout } = await cli.run('sumdb', 'show', 'sum.test');
    for (const text of [fork.known, fork.other])
      expect(stdout).toContain(text.trimEnd().replaceAll(/^/gm, '  '));
    expect(stdout).toContain('upstream:liar');
    expect(stdout).toContain('modferry sumdb reset sum.test');
    expect((await cli.run('sumdb', 'reset', 'sum.test')).code).toBe(2);
    expect((await cli.run('sumdb', 'reset', 'other', '--reason', 'x')).code).toBe(1);
    expect((await cli.run('sumdb', 'reset', 'sum.test', '--reason', 'set up anew')).code).toBe(0);
    expect((await cli.run('sumdb', 'ls')).stdout).toBe('no checksum database is known yet\n');
  });

  it('does not stumble over garbage', async () => {
    const { cli } = await withState({ head: 'garbage' });
    expect((await cli.run('sumdb', 'ls')).stdout).toBe('ok  sum.test  no head yet\n');
    expect((await cli.run('sumdb', 'show', 'none')).stderr).toContain('known are sum.test');
  });

  it('wants --yes on a terminal before it forgets', async () => {
    const { data } = await withState({ head });
    const cli = fakeCli({ env: { MODFERRY_DATA: data }, isTty: true });
    expect((await cli.run('sumdb', 'reset', 'sum.test', '--reason', 'x')).stderr).toContain('add --yes');
    expect((await cli.run('sumdb', 'ls')).stdout).toContain('7 records');
  });

  it('asks the running process where there is one', async () => {
    const { data, cli } = await withState({ head });
    const asked: object[] = [];
    await playServer(data, {
      'GET /sumdb': () =>
        Promise.resolve({
          databases: [
            {
              name: 'sum.test',
              treeSize: 1,
              confirmedAt: new Date().toISOString(),
              isForked: true,
              lookups: { kept: 1, fetched: 2, failed: 3 },
              tilesFetched: 4,
              refused: 5,
              fork,
            },
            'junk',
          ],
        }),
      'POST /sumdb-reset': (ask) => {
        asked.push(ask);
        return Promise.resolve({});
      },
    });
    expect((await cli.run('sumdb', 'ls')).stdout).toBe(
      'FORKED  sum.test  1 record  confirmed 0 s ago  lookups 1 kept, 2 fetched, 3 failed\n',
    );
    expect((await cli.run('sumdb', 'show', 'sum.test')).stdout).toContain('5 answers of sources');
    await cli.run('sumdb', 'reset', 'sum.test', '--reason', 'x');
    expect(asked).toEqual([{ name: 'sum.test', reason: 'x' }]);
  });
});

describe('modferry scrub', () => {
  it('speaks to the running process', async () => {
    const { data, cli } = await withState({});
    const asked: object[] = [];
    const status = { state: 'running', artifacts: 12, bytes: 2048, rotten: 1, healed: 1, holder: 'a' };
    await playServer(data, {
      'GET /scrub': () => Promise.resolve(status),
      'POST /scrub': (ask) => {
        asked.push(ask);
        return Promise.resolve(status);
      },
    });
    expect((await cli.run('scrub', 'status')).stdout).toBe(
      'scrub running by a: 12 artifacts, 2.0 KiB, 1 rotten, 1 healed\n',
    );
    expect(JSON.parse((await cli.run('scrub', 'start', '--json')).stdout)).toEqual(status);
    await cli.run('scrub', 'stop');
    expect(asked).toEqual([{ action: 'start' }, { action: 'stop' }]);
  });

  it('says so when nobody runs', async () => {
    const { cli } = await withState({});
    expect((await cli.run('scrub', 'status')).code).toBe(69);
  });

  it('tells what it knows and no more', () => {
    expect(scrubText({})).toBe('scrub unknown');
    const last = { finishedAt: '2026-01-01T03:04:05.000Z', artifacts: 3, bytes: 10, rotten: 0, healed: 0 };
    expect(scrubText({ state: 'waiting', holder: null, last, nextAt: '2026-01-02T03:04:05.000Z' })).toBe(
      [
        'scrub waiting',
        'last pass ended 2026-01-01T03:04:05Z: 3 artifacts, 10 B, 0 rotten',
        'next pass 2026-01-02T03:04:05Z',
      ].join('\n'),
    );
  });
});
