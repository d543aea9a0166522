import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { TrialPlace } from './trial-place.ts';

describe('TrialPlace', () => {
  it('is taken by one and free after its release', () => {
    const place = new TrialPlace(new FakeClock());
    const release = place.take();
    expect(place.isFree(0)).toBe(false);
    release();
    release();
    expect(place.isFree(0)).toBe(true);
  });

  it('keeps the time between two', async () => {
    const clock = new FakeClock();
    const place = new TrialPlace(clock);
    place.take()();
    expect(place.isFree(2_000)).toBe(false);
    await clock.advance(1_999);
    expect(place.isFree(2_000)).toBe(false);
    await clock.advance(1);
    expect(place.isFree(2_000)).toBe(true);
  });

  it('is not blocked for ever by one that is never released, whose late release frees nobody else’s', async () => {
    const clock = new FakeClock();
    const place = new TrialPlace(clock);
    const lost = place.take();
    await clock.advance(59_999);
    expect(place.isFree(0)).toBe(false);
    await clock.advance(1);
    expect(place.isFree(0)).toBe(true);
    place.take();
    lost();
    expect(place.isFree(0)).toBe(false);
  });
});
