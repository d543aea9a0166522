import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { keyOf } from '../store/contract/kit.ts';
import { Absences } from './absences.ts';

describe('what the database has no record of', () => {
  it('is known for six hours', async () => {
    const clock = new FakeClock();
    const absences = new Absences(clock);
    const key = keyOf('example.com/a', 'v1.0.0', 'zip');
    absences.add(key);
    expect(absences.has(keyOf('example.com/a', 'v1.0.0', 'mod'))).toBe(false);
    await clock.advance(6 * 3_600_000 - 1);
    expect(absences.has(key)).toBe(true);
    await clock.advance(1);
    expect(absences.has(key)).toBe(false);
  });

  it('is bounded: the oldest are forgotten', () => {
    const absences = new Absences(new FakeClock(), 2);
    const keys = ['a', 'b', 'c'].map((name) => keyOf(`example.com/${name}`, 'v1.0.0', 'zip'));
    for (const key of keys) absences.add(key);
    expect(keys.map((key) => absences.has(key))).toEqual([false, true, true]);
  });
});
