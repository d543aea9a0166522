import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatByteSize, parseByteSize } from './byte-size.ts';

describe('parseByteSize', () => {
  it.each([
    ['512MiB', 512 * 1024 ** 2],
    ['1GiB', 1024 ** 3],
    ['64KiB', 65_536],
    ['1MB', 1_000_000],
    ['20 GB', 20e9],
    ['2TiB', 2 * 1024 ** 4],
    ['1.5KiB', 1536],
    ['10B', 10],
    ['123', 123],
    ['0', 0],
    ['64kib', 65_536],
  ])('reads %j as %d bytes', (text, expected) => {
    expect(parseByteSize(text)).toBe(expected);
  });

  it.each(['', 'MiB', '-1', '1M', '1K', '1G', '1 Mi B', '1e3', '0x10', '1PiB', '99999999TiB', '1,5MiB'])(
    'refuses %j',
    (text) => {
      expect(parseByteSize(text)).toBeUndefined();
    },
  );
});

describe('formatByteSize', () => {
  it('takes the largest unit that leaves a whole amount', () => {
    expect([0, 1, 1000, 1024, 1_500_000, 64 * 1024 ** 2, 1025].map(formatByteSize)).toEqual([
      '0B',
      '1B',
      '1KB',
      '1KiB',
      '1500KB',
      '64MiB',
      '1025B',
    ]);
  });

  it('is undone by parseByteSize', () => {
    const anySize = fc.oneof(
      fc.maxSafeNat(),
      fc.nat(4096).map((amount) => amount * 1024 ** 2),
      fc.nat(4096).map((amount) => amount * 1e6),
    );
    fc.assert(
      fc.property(anySize, (sizeBytes) => {
        expect(parseByteSize(formatByteSize(sizeBytes))).toBe(sizeBytes);
      }),
    );
  });
});
