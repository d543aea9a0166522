import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Controls, noControls } from '../health/types.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { ControlsFile, orderInFolder } from './controls-file.ts';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'modferry-controls-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

function open(dataDir: string, clock: FakeClock) {
  const changes: Controls[] = [];
  const file = new ControlsFile(dataDir, clock, (_before, after) => changes.push(after));
  onTestFinished(() => file.close());
  return { file, changes };
}

/** Lets the poll under way read the disk, which no fake clock drives. */
async function polled(
  dataDir: string,
  clock: FakeClock,
  isDone: () => boolean,
  stepMs = 1_000,
): Promise<void> {
  for (let round = 0; round < 5_000 && !isDone(); round += 1) {
    await clock.advance(stepMs);
    // Behind the poll's own look in the same queue of the file system.
    await stat(dataDir);
  }
}

describe('ControlsFile', () => {
  it('keeps orders over a restart', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const first = open(dataDir, clock);
    await first.file.open();
    await first.file.order({ action: 'out', upstream: 'cn' }, ['cn']);
    const second = open(dataDir, clock);
    await second.file.open();
    expect(second.file.current).toEqual({ ...noControls, takenOut: ['cn'] });
  });

  it('follows what another process orders', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const { file, changes } = open(dataDir, clock);
    await file.open();
    await orderInFolder(dataDir, clock, { action: 'freeze' });
    await polled(dataDir, clock, () => changes.length > 0);
    expect(changes).toEqual([{ ...noControls, isFrozen: true }]);
    expect(file.current.isFrozen).toBe(true);
  });

  it('ends a mode by itself and says so once', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const { file, changes } = open(dataDir, clock);
    await file.open();
    await file.order({ action: 'mode', mode: 'offline', forMs: 5_000 }, []);
    expect(file.current.mode).toBe('offline');
    await clock.advance(5_000);
    expect(file.current.mode).toBe('normal');
    await polled(dataDir, clock, () => changes.length > 2);
    expect(changes.map(({ mode }) => mode)).toEqual(['offline', 'normal']);
  });

  it.each(['', '{', '[]', '"x"', '{"mode":"sideways","takenOut":7,"pinned":{}}'])(
    'starts with a file that holds %s',
    async (text) => {
      const [dataDir, clock] = [await folder(), new FakeClock()];
      await mkdir(join(dataDir, 'meta'));
      await writeFile(join(dataDir, 'meta/controls.json'), text);
      const { file } = open(dataDir, clock);
      await file.open();
      expect(file.current).toEqual(noControls);
    },
  );

  it('keeps both of two orders given at once, by one process or by two', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const [first, second] = [open(dataDir, clock), open(dataDir, clock)];
    const orders = Promise.all([
      first.file.order({ action: 'out', upstream: 'cn' }, ['cn']),
      second.file.order({ action: 'freeze' }, ['cn']),
      first.file.order({ action: 'pin', upstream: 'io' }, ['cn', 'io']),
    ]);
    let isDone = false;
    void orders.then(() => (isDone = true));
    // So slowly that nobody takes a holder for dead while the disk works for it.
    await polled(dataDir, clock, () => isDone, 20);
    await orders;
    const third = open(dataDir, clock);
    await third.file.open();
    expect(third.file.current).toEqual({ ...noControls, takenOut: ['cn'], isFrozen: true, pinned: 'io' });
  });

  it('stays offline while the disk does not give the file', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const { file, changes } = open(dataDir, clock);
    await file.open();
    await file.order({ action: 'mode', mode: 'offline' }, []);
    await rm(join(dataDir, 'meta'), { recursive: true });
    let polls = 0;
    await polled(dataDir, clock, () => (polls += 1) > 20);
    expect(file.current.mode).toBe('offline');
    expect(changes).toHaveLength(1);
  });

  it('refuses a bad order and keeps what was in force', async () => {
    const [dataDir, clock] = [await folder(), new FakeClock()];
    const { file } = open(dataDir, clock);
    await file.open();
    await file.order({ action: 'pin', upstream: 'cn' }, ['cn']);
    await expect(file.order({ action: 'pin', upstream: 'x' }, ['cn'])).rejects.toThrow('there are: cn');
    expect(file.current.pinned).toBe('cn');
    const kept = JSON.parse(await readFile(join(dataDir, 'meta/controls.json'), 'utf8')) as Controls;
    expect(kept.pinned).toBe('cn');
  });
});

describe('orderInFolder', () => {
  it('makes no folder where there is none', async () => {
    const missing = join(await folder(), 'nothing');
    const order = orderInFolder(missing, new FakeClock(), { action: 'freeze' });
    await expect(order).rejects.toThrow('there is no data folder');
  });
});
