import { describe, expect, it } from 'vitest';
import { Rerun } from './rerun.ts';

describe('a shared run', () => {
  it('begins after each asking, is shared by all who asked meanwhile, and never runs twice at once', async () => {
    let running = 0;
    let started = 0;
    const gates: (() => void)[] = [];
    const rerun = new Rerun(async () => {
      started += 1;
      running += 1;
      expect(running).toBe(1);
      await new Promise<void>((resolve) => gates.push(resolve));
      running -= 1;
    });

    const first = rerun.request();
    const second = rerun.request();
    const third = rerun.request();
    expect(started).toBe(1);
    gates.shift()?.();
    await first;
    const fourth = rerun.request();
    await Promise.resolve();
    while (gates.length === 0) await Promise.resolve();
    gates.shift()?.();
    await Promise.all([second, third, fourth]);

    expect(started).toBe(2);
    expect(rerun.isIdle).toBe(true);
  });

  it('runs again after a failure, which only those hear who shared it', async () => {
    let runs = 0;
    const rerun = new Rerun(async () => {
      runs += 1;
      if (runs === 1) throw new Error('disk');
    });
    const first = rerun.request();
    const second = rerun.request();
    await expect(first).rejects.toThrow('disk');
    await second;
    await rerun.request();
    expect(runs).toBe(3);
  });
});
