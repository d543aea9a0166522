import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { systemClock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { openScrubState, parseProgress } from './state-file.ts';
import { noCounts, type ScrubProgress } from './types.ts';

async function dataDir(): Promise<string> {
  const dir = await tempDir('scrub-state');
  onTestFinished(dir.remove);
  return dir.path;
}

const progress: ScrubProgress = {
  holder: { instance: 'a', heartbeatAtMs: 5 },
  pass: {
    startedAtMs: 1,
    cursor: { path: 'example.com/a', version: 'v1.0.0' },
    counts: { ...noCounts, bytes: 7 },
  },
  last: { ...noCounts, artifacts: 3, tookMs: 4, finishedAtMs: 2 },
};

describe('the state of the scrub', () => {
  it('is read as it was written, also by another', async () => {
    const dir = await dataDir();
    expect(await openScrubState(dir, systemClock).read()).toEqual({});

    await openScrubState(dir, systemClock).update(() => progress);

    expect(await openScrubState(dir, systemClock).read()).toEqual(progress);
    expect(fs.readdirSync(join(dir, 'meta'))).toEqual(['scrub.json']);
  });

  it('changes in one step among many', async () => {
    const dir = await dataDir();
    const add = (before: ScrubProgress): ScrubProgress => ({
      pass: { startedAtMs: (before.pass?.startedAtMs ?? 0) + 1, counts: noCounts },
    });

    await Promise.all(Array.from({ length: 20 }, () => openScrubState(dir, systemClock).update(add)));

    expect((await openScrubState(dir, systemClock).read()).pass?.startedAtMs).toBe(20);
  });

  it('stays as it is when a change gives nothing or throws', async () => {
    const dir = await dataDir();
    const state = openScrubState(dir, systemClock);
    await state.update(() => progress);

    expect(await state.update(() => undefined)).toEqual(progress);
    const throwing = state.update(() => {
      throw new Error('no');
    });
    await expect(throwing).rejects.toThrow('no');
    expect(await state.update(() => undefined)).toEqual(progress);
  });

  it('gets over the lock of a process that died', async () => {
    const dir = await dataDir();
    const lock = join(dir, 'meta', 'scrub.json.lock');
    fs.mkdirSync(join(dir, 'meta'));
    fs.writeFileSync(lock, '');
    const clock = new FakeClock();
    let isDone = false;
    const updated = openScrubState(dir, clock)
      .update(() => progress)
      .finally(() => {
        isDone = true;
      });

    while (!isDone) {
      await clock.advance(50);
      // No faster than the disk answers.
      await fs.promises.stat(lock).catch(() => undefined);
    }
    await updated;

    expect(fs.readdirSync(join(dir, 'meta'))).toEqual(['scrub.json']);
  });

  it('removes what a killed process left of it', async () => {
    const dir = await dataDir();
    const file = join(dir, 'meta', 'scrub.json');
    fs.mkdirSync(join(dir, 'meta'));
    for (const name of ['0123456789ab', 'ba9876543210']) fs.writeFileSync(`${file}.${name}`, '');
    const hourAgo = Date.now() / 1_000 - 3_600;
    fs.utimesSync(`${file}.0123456789ab`, hourAgo, hourAgo);

    await openScrubState(dir, systemClock).update(() => progress);

    expect(fs.readdirSync(join(dir, 'meta'))).toEqual(['scrub.json', 'scrub.json.ba9876543210']);
  });

  it.each(['', '{', '[]', 'null', '"x"', '{"pass":{"startedAtMs":-1}}', '{"holder":{"instance":7}}'])(
    'that says %s is none',
    async (text) => {
      const dir = await dataDir();
      fs.mkdirSync(join(dir, 'meta'));
      fs.writeFileSync(join(dir, 'meta', 'scrub.json'), text);

      expect(await openScrubState(dir, systemClock).read()).toEqual({});
    },
  );

  it('of any shape is understood or left out', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed = parseProgress(value);
        expect(parseProgress(structuredClone(parsed))).toEqual(parsed);
      }),
    );
  });
});
