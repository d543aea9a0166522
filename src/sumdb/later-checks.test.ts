import { describe, expect, it } from 'vitest';
import { LaterChecks } from './later-checks.ts';

function headOf(size: number) {
  return { head: { size, hash: Buffer.alloc(32, size % 256) }, note: Buffer.alloc(0) };
}

function start() {
  const checked: number[] = [];
  const fails = new Set<number>();
  let gate = Promise.withResolvers<void>();
  const later = new LaterChecks(async ({ head }) => {
    checked.push(head.size);
    await gate.promise;
    if (fails.has(head.size)) throw new Error('nothing known');
  });
  const go = async (): Promise<void> => {
    gate.resolve();
    await later.idle();
    gate = Promise.withResolvers();
  };
  return { later, checked, fails, go };
}

describe('LaterChecks', () => {
  it('checks one after another, the largest of those that wait first, each once', async () => {
    const { later, checked, go } = start();
    for (const size of [5, 7, 6, 9, 7, 5]) later.add(headOf(size), 'up');
    expect(checked).toEqual([5]);
    await go();
    expect(checked).toEqual([5, 9, 7, 6]);
    later.add(headOf(9), 'up');
    await go();
    expect(checked).toHaveLength(4);
  });

  it('looks again at one of which nothing was found out', async () => {
    const { later, checked, fails, go } = start();
    fails.add(5);
    later.add(headOf(5), 'up');
    await go();
    later.add(headOf(5), 'up');
    await go();
    expect(checked).toEqual([5, 5]);
  });

  it('drops what is too many, and takes it when there is room', async () => {
    const { later, checked, go } = start();
    for (let size = 1; size <= 200; size += 1) later.add(headOf(size), 'up');
    await go();
    // One under way and 64 that wait.
    expect(checked).toHaveLength(65);
    later.add(headOf(200), 'up');
    await go();
    expect(checked.at(-1)).toBe(200);
  });
});
