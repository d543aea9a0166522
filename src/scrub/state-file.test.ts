import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { systemClock } from '../lib/clock.ts';
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
    fs.utimesSync(lock, new Date(), new Date(Date.now() - 6_000));

    await openScrubState(dir, systemClock).update(() => progress);

    expect(fs.readdirSync(join(dir, 'meta'))).toEqual(['scrub.json']);
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
