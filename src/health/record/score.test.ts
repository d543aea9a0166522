import { describe, expect, it } from 'vitest';
import { scoreOf, starsOf } from './score.ts';

describe('scoreOf', () => {
  it.each([
    { success: 1, p50Ms: undefined, boundMs: 250, score: 100 },
    { success: 0.9, p50Ms: undefined, boundMs: undefined, score: 90 },
    { success: 1, p50Ms: 250, boundMs: 250, score: 100 },
    { success: 1, p50Ms: 10, boundMs: 250, score: 100 },
    { success: 1, p50Ms: 500, boundMs: 250, score: 50 },
    { success: 1, p50Ms: 60_000, boundMs: 250, score: 20 },
    { success: 0.5, p50Ms: 500, boundMs: 250, score: 25 },
    { success: 1, p50Ms: 0, boundMs: 0, score: 100 },
  ])('is $score for success $success, p50 $p50Ms against $boundMs', ({ score, ...facts }) => {
    expect(scoreOf(facts)).toBeCloseTo(score);
  });
});

describe('starsOf', () => {
  it.each([
    [100, 5],
    [80.1, 5],
    [80, 4],
    [0.1, 1],
    [0, 0],
  ])('%d are %d', (score, stars) => {
    expect(starsOf(score, 'healthy')).toBe(stars);
  });

  it('are none while out', () => {
    expect(starsOf(100, 'out')).toBe(0);
  });
});
