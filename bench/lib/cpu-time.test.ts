import { describe, expect, it } from 'vitest';
import { cpuTimeMs, ownTimeMs } from './cpu-time.ts';

describe('ownTimeMs', () => {
  it('adds user and kernel time, whatever the name of the process', () => {
    const stat = '42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 900 900 20 0 1 0 5 1000 10';

    expect(ownTimeMs(stat)).toBe(1750);
  });
});

describe('cpuTimeMs', () => {
  it('grows while this process works, and is 0 for one that is gone', () => {
    const before = cpuTimeMs(process.pid);
    let left = 1e8;
    while (cpuTimeMs(process.pid) === before && left > 0) left -= 1;

    expect(cpuTimeMs(process.pid)).toBeGreaterThan(before);
    expect(cpuTimeMs(2 ** 30)).toBe(0);
  });
});
