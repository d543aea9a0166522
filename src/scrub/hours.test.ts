import { describe, expect, it } from 'vitest';
import { isWithinHours, parseHours } from './hours.ts';

const at = (hour: number, minute: number): number => new Date(2026, 2, 4, hour, minute).getTime();

describe('hours', () => {
  it.each([
    ['22:00-06:30', { fromMin: 1320, toMin: 390 }],
    ['0:00-24:00', { fromMin: 0, toMin: 1440 }],
    [' 01:05 - 02:10 ', { fromMin: 65, toMin: 130 }],
  ])('of %s are read', (text, window) => {
    expect(parseHours(text)).toEqual(window);
  });

  it.each(['', '22:00', '25:00-26:00', '22:60-23:00', '10:00-10:00', '24:01-02:00', '1:0-2:0', '-1:00-2:00'])(
    'of "%s" are refused',
    (text) => {
      expect(parseHours(text)).toBeUndefined();
    },
  );

  it('are always when none are given', () => {
    expect(isWithinHours([], at(12, 0))).toBe(true);
  });

  it('hold from their first minute to before their last, across midnight too', () => {
    const night = [{ fromMin: 22 * 60, toMin: 6 * 60 }];
    const within = (hour: number, minute: number): boolean => isWithinHours(night, at(hour, minute));

    expect([within(21, 59), within(22, 0), within(23, 59)]).toEqual([false, true, true]);
    expect([within(0, 0), within(5, 59), within(6, 0), within(12, 0)]).toEqual([true, true, false, false]);
  });

  it('hold in any of several windows', () => {
    const hours = [
      { fromMin: 60, toMin: 120 },
      { fromMin: 720, toMin: 780 },
    ];

    expect([at(1, 30), at(2, 0), at(12, 59), at(13, 0)].map((ms) => isWithinHours(hours, ms))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
