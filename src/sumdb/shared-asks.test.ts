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

  it('for a client is asked beside what was begun for the background', async () => {
    const { join, runs, begun } = asks();
    const background = join({ background: true });
    await begun(1);
    const client = join();
    await begun(2);
    expect(runs.map(({ asker }) => asker.background)).toEqual([true, undefined]);
    const others = [join(), join({ background: true })];
    runs[1]?.end();
    expect(await Promise.all([client, ...others])).toEqual([1, 1, 1]);
    // The first goes on, and its end does not end what is asked for under its key now.
    const next = join();
    await begun(3);
    runs[0]?.end();
    expect(await background).toBe(0);
    const joined = join();
    runs[2]?.end();
    expect(await Promise.all([next, joined])).toEqual([2, 2]);
    expect(runs).toHaveLength(3);
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
