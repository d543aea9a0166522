import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { openScrubState } from './state-file.ts';
import { childRateBytes } from './test-child.ts';
import { makeScrub, modulesOf, next, setUp } from './test-scrub.ts';

/** Runs the child until progress is on disk, kills it in whatever it is doing; resolves to the last it wrote. */
async function killInTheMiddle(folder: string): Promise<number> {
  const script = join(import.meta.dirname, 'test-child.ts');
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let report = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    report += text;
    child.kill('SIGKILL');
  });
  await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
  return Number(report.trim().split('\n').at(-1));
}

describe('a scrub killed in the middle', () => {
  it('goes on in another process from the progress it had written', async () => {
    // Twenty seconds at the child's pace; it writes after five.
    const modules = modulesOf(20, childRateBytes);
    const { folder, store } = await setUp(modules);

    const written = await killInTheMiddle(folder.path);

    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(60);
    const state = openScrubState(folder.path, new FakeClock());
    const left = await state.read();
    expect(left.pass?.counts.artifacts).toBe(written);
    expect(left.holder?.instance).toMatch(/^child-/);

    // A minute later by everybody's clock.
    const clock = new FakeClock(Date.now() + 61_000);
    let hashed = 0;
    const made = makeScrub(folder, store, {
      clock,
      hasher: {
        hash: async () => {
          hashed += 1;
          return { sizeBytes: 0, sha256: '' };
        },
        close: async () => {},
      },
    });
    // What it is given to check is what was left; that its hasher is a played one shows as rot, which is not the point.
    const finished = next(made.events, 'finished');
    made.scrub.startNow();
    const report = await finished;

    expect(made.told[0]).toBe('resumed');
    expect(report.artifacts).toBe(60);
    expect(hashed).toBe(60 - written);
  }, 60_000);
});
