import fs from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { livenessOf, type ProcessIdentity, thisProcess } from './process-identity.ts';
import { makeTestFolder } from './test-folder.ts';

const self = thisProcess();
const dayMs = 24 * 3_600_000;

/** A neighbour's folder; the name is as ours are made. */
function makeNeighbour(data: string, identity: Partial<ProcessIdentity>, silentMs = 0): string {
  const name = `77-abcdef01-${Math.floor(Math.random() * 0xffff_ffff)
    .toString(16)
    .padStart(8, '0')}`;
  const folder = join(data, 'run', name);
  fs.mkdirSync(join(folder, 'staging'), { recursive: true });
  fs.mkdirSync(join(folder, 'dirty'));
  fs.writeFileSync(join(folder, 'staging/left.zip'), 'half');
  fs.writeFileSync(join(folder, 'instance.json'), JSON.stringify({ ...self, ...identity }));
  fs.writeFileSync(join(folder, 'heartbeat'), '');
  const beatS = (Date.now() - silentMs) / 1000;
  fs.utimesSync(join(folder, 'heartbeat'), beatS, beatS);
  return folder;
}

describe('which process is dead', () => {
  it('is alive when it is this one', () => {
    expect(livenessOf(self, self)).toBe('alive');
  });

  it('is dead after a reboot, with a pid nobody has, or with a pid that was given again', () => {
    expect(livenessOf({ ...self, bootId: 'earlier' }, self)).toBe('dead');
    expect(livenessOf({ ...self, pid: 2 ** 22 + 1 }, self)).toBe('dead');
    expect(livenessOf({ ...self, startTime: '1' }, self)).toBe('dead');
  });

  it('is unknown on another host or in another pid namespace', () => {
    expect(livenessOf({ ...self, host: 'elsewhere', bootId: 'other' }, self)).toBe('unknown');
    expect(livenessOf({ ...self, pidNamespace: 'pid:[1]', pid: 2 ** 22 + 1 }, self)).toBe('unknown');
  });
});

describe('folders of other processes', () => {
  it('are removed when their process is provably dead', async () => {
    const folder = makeTestFolder();
    const dead = [
      makeNeighbour(folder.path, { bootId: 'earlier' }),
      makeNeighbour(folder.path, { startTime: '1' }),
      makeNeighbour(folder.path, { host: 'elsewhere' }, dayMs + 60_000),
      makeNeighbour(folder.path, { pidNamespace: 'pid:[1]' }, 120_000),
    ];
    const store = await folder.open();
    await store.idle();
    expect(dead.filter((path) => fs.existsSync(path))).toEqual([]);
  });

  it('stay when they live, may live, or are none of ours', async () => {
    const folder = makeTestFolder();
    const foreign = join(folder.path, 'run/something');
    fs.mkdirSync(foreign, { recursive: true });
    const kept = [
      foreign,
      makeNeighbour(folder.path, {}),
      makeNeighbour(folder.path, { host: 'elsewhere', bootId: 'other' }, dayMs - 60_000),
      makeNeighbour(folder.path, { pidNamespace: 'pid:[1]' }, 10_000),
    ];
    const store = await folder.open();
    await store.idle();
    expect(kept.filter((path) => !fs.existsSync(path))).toEqual([]);
  });

  it('hand over their unwritten lists and lose their claims', async () => {
    const folder = makeTestFolder();
    await (await folder.open()).close();
    const dir = join(folder.path, 'download/example.com/m/@v');
    fs.mkdirSync(dir, { recursive: true });
    for (const ext of ['info', 'mod', 'zip']) fs.writeFileSync(join(dir, `v1.0.0.${ext}`), '');
    const dead = makeNeighbour(folder.path, { bootId: 'earlier' });
    fs.symlinkSync('example.com/m', join(dead, 'dirty/0123'));
    fs.writeFileSync(join(dead, 'dirty/4567'), 'example.com/not-there');
    const instance = dead.split('/').at(-1);
    const claim = {
      token: 't',
      instance,
      process: { ...self, bootId: 'earlier' },
      staged: `run/${instance}/staging/x`,
    };
    fs.writeFileSync(join(folder.path, 'meta/claims/aa.json'), JSON.stringify(claim));

    const store = await folder.open();
    await store.idle();

    expect(folder.text('download/example.com/m/@v/list')).toBe('v1.0.0\n');
    expect(fs.readdirSync(join(folder.path, 'meta/claims'))).toEqual([]);
  });

  it('say who they are: host, pid, boot and start time', async () => {
    const folder = makeTestFolder();
    const store = await folder.open();
    const text = fs.readFileSync(join(store.instanceFolder ?? '', 'instance.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ host: hostname(), pid: process.pid, startTime: self.startTime });
  });
});
