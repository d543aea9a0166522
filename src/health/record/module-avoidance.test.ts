import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { ModuleAvoidance } from './module-avoidance.ts';
import { path } from './test-record.ts';

const m = path('example.com/m');

function avoidance(avoidMs = 60_000): { clock: FakeClock; avoided: ModuleAvoidance } {
  const clock = new FakeClock();
  return { clock, avoided: new ModuleAvoidance({ clock, avoidMs: () => avoidMs }) };
}

describe('ModuleAvoidance', () => {
  it('avoids for a minute, then asks again', async () => {
    const { clock, avoided } = avoidance();
    expect(avoided.failed(m)).toBe(60_000);
    expect(avoided.isAvoided(m)).toBe(true);
    expect(avoided.isAvoided(path('example.com/other'))).toBe(false);
    expect(avoided.size).toBe(1);
    await clock.advance(60_000);
    expect(avoided.isAvoided(m)).toBe(false);
    expect(avoided.size).toBe(0);
  });

  it('doubles for repeats up to ten minutes, and begins anew after half an hour', async () => {
    const { clock, avoided } = avoidance();
    const times: unknown[] = [];
    for (let nth = 0; nth < 6; nth += 1) {
      const forMs = avoided.failed(m) ?? 0;
      times.push(forMs);
      await clock.advance(forMs);
    }
    expect(times).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    await clock.advance(1_800_000);
    expect(avoided.failed(m)).toBe(60_000);
  });

  it('takes files that fail together for one failure, which lasts on from the last of them', async () => {
    const { clock, avoided } = avoidance();
    avoided.failed(m);
    await clock.advance(30_000);
    expect(avoided.failed(m)).toBeUndefined();
    await clock.advance(59_999);
    expect(avoided.isAvoided(m)).toBe(true);
    await clock.advance(1);
    expect(avoided.isAvoided(m)).toBe(false);
  });

  it('ends with a good answer; failing again is a repeat', () => {
    const { avoided } = avoidance();
    avoided.failed(m);
    avoided.good(m);
    expect(avoided.isAvoided(m)).toBe(false);
    expect(avoided.failed(m)).toBe(120_000);
  });

  it('is many when ten modules began to be avoided within five minutes', async () => {
    const { clock, avoided } = avoidance();
    for (let nth = 0; nth < 9; nth += 1) avoided.failed(path(`example.com/${nth}`));
    expect(avoided.isMany).toBe(false);
    await clock.advance(299_999);
    avoided.failed(path('example.com/9'));
    expect(avoided.isMany).toBe(true);
    await clock.advance(1);
    expect(avoided.isMany).toBe(false);
  });

  it('is not many by one module that fails ten times, nor by modules that are well again', async () => {
    const { clock, avoided } = avoidance(1);
    for (let nth = 0; nth < 12; nth += 1) await clock.advance(avoided.failed(m) ?? 0);
    expect(avoided.isMany).toBe(false);
    for (let nth = 0; nth < 20; nth += 1) {
      avoided.failed(path(`example.com/${nth}`));
      avoided.good(path(`example.com/${nth}`));
    }
    expect(avoided.isMany).toBe(false);
  });

  it('remembers a thousand modules and no more', () => {
    const { avoided } = avoidance();
    for (let nth = 0; nth < 1_500; nth += 1) avoided.failed(path(`example.com/${nth}`));
    expect(avoided.size).toBe(1_000);
    expect(avoided.isAvoided(path('example.com/499'))).toBe(false);
    expect(avoided.isAvoided(path('example.com/500'))).toBe(true);
  });

  it('does nothing when switched off', () => {
    const { avoided } = avoidance(0);
    expect(avoided.failed(m)).toBeUndefined();
    expect(avoided.isAvoided(m)).toBe(false);
  });
});
