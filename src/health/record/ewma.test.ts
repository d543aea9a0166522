import { describe, expect, it } from 'vitest';
import { Ewma, PeakEwma } from './ewma.ts';

describe('Ewma', () => {
  it('begins with its first sample, or with what was given', () => {
    const plain = new Ewma(0.5);
    expect(plain.value).toBeUndefined();
    plain.add(10);
    plain.add(20);
    expect(plain.value).toBe(15);
    const given = new Ewma(0.04, 1);
    given.add(0);
    expect(given.value).toBeCloseTo(0.96);
  });

  it('lets the first samples outweigh a weak assumption, and later ones count as usual', () => {
    const value = new Ewma(0.04, 1, 3);
    value.add(0);
    expect(value.value).toBeCloseTo(0.75);
    value.add(0, 0.5);
    expect(value.value).toBeCloseTo(0.75 * (1 - 0.5 / 4.5));
    for (let count = 0; count < 100; count += 1) value.add(1);
    const before = value.value ?? 0;
    value.add(0);
    expect(value.value).toBeCloseTo(before * 0.96);
  });

  it('moves by half for half a sample', () => {
    const value = new Ewma(0.04, 1);
    value.add(0, 0.5);
    expect(value.value).toBeCloseTo(0.98);
  });
});

describe('PeakEwma', () => {
  it('believes a slower sample at once and a quicker one by time', () => {
    const value = new PeakEwma();
    value.add(50, 0);
    value.add(1_000, 1);
    expect(value.value).toBe(1_000);
    value.add(50, 1);
    expect(value.value).toBe(1_000);
    value.add(50, 10_001);
    expect(value.value).toBeCloseTo(50 + 950 * Math.exp(-1));
    value.add(50, 500_000);
    expect(value.value).toBeCloseTo(50);
  });
});
