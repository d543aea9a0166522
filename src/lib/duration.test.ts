import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['200ms', 200],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['1d12h', 129_600_000],
    ['0', 0],
    ['0s', 0],
    ['15', 15_000],
    ['0.25', 250],
    [' 5s ', 5000],
  ])('reads %j as %d ms', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each([
    '',
    's',
    '5 s',
    '-5s',
    '+5s',
    '5S',
    '5us',
    '5sec',
    '1m30',
    '1e3s',
    'NaN',
    '.5s',
    '5.s',
    '9999999999999999d',
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe('formatDuration', () => {
  it('writes the largest units first and leaves out empty ones', () => {
    expect([0, 1, 1000, 90_000, 86_400_000, 86_401_001].map(formatDuration)).toEqual([
      '0s',
      '1ms',
      '1s',
      '1m30s',
      '1d',
      '1d1s1ms',
    ]);
  });

  it('is undone by parseDuration', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * 86_400_000 }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });
});
