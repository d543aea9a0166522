import { describe, expect, it } from 'vitest';
import { SharedAsks } from './shared-asks.ts';
import { askerOf } from './test-database.ts';
import type { SumdbAsker } from './types.ts';

/** Each run waits for `end` of its number. */
function asks() {
  const shared = new SharedAsks<number>();
  const runs: { readonly asker: SumdbAsker; readonly end: () => void }[] = [];
  const join = (more: Partial<SumdbAsker> = {}) =>
    shared.join('key', askerOf(more), (asker) => {
      const number = runs.length;
      return new Promise((resolve, reject) => {
        asker.signal.addEventListener('abort', () => reject(new Error('cancelled')));
        runs.push({ asker, end: () => resolve(number) });
      });
    });
  const begun = (count: number) => expect.poll(() => runs.length).toBe(count);
  return { join, runs, begun };
}

describe('what several ask for', () => {
  it('is asked for once, and anew when it has ended', async () => {
    const { join, runs, begun } = asks();
    const [one, two] = [join(), join()];
    await begun(1);
    runs[0]?.end();
    expect(await Promise.all([one, two])).toEqual([0, 0]);
    const three = join();
    await begun(2);
    runs[1]?.end();
    expect(await three).toBe(1);
  });

  it('is given up when all have left', async () => {
    const { join, runs, begun } = asks();
    const leaving = new AbortController();
    const one = join({ signal: leaving.signal });
    await begun(1);
    leaving.abort(new Error('gone'));
    await expect(one).rejects.toThrow('gone');
    expect(runs[0]?.asker.signal.aborted).toBe(true);
    const two = join();
    await begun(2);
    runs[1]?.end();
    expect(await two).toBe(1);
  });
});
