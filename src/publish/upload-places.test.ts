import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { UploadPlaces } from './upload-places.ts';

const never = new AbortController().signal;

function places(options: Partial<ConstructorParameters<typeof UploadPlaces>[1]> = {}) {
  const clock = new FakeClock();
  return { clock, places: new UploadPlaces(clock, { maxAtOnce: 3, maxEach: 2, waitMs: 10_000, ...options }) };
}

describe('places for uploads', () => {
  it('are left for others by a publisher who holds all that one may have', async () => {
    const { clock, places: all } = places();
    await all.acquire('token:slow', never);
    await all.acquire('token:slow', never);
    const third = expect(all.acquire('token:slow', never)).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringMatching(/^2 uploads of yours are under way/),
    });
    await expect(all.acquire('token:other', never)).resolves.toBeTypeOf('function');
    await clock.advance(10_000);
    await third;
  });

  it('are waited for no longer than it is useful', async () => {
    const { clock, places: all } = places({ maxAtOnce: 1 });
    await all.acquire('token:a', never);
    let told = 'waiting';
    const waiting = all.acquire('token:b', never).catch((error: Error) => {
      told = error.message;
    });
    await clock.advance(9_999);
    expect(told).toBe('waiting');
    await clock.advance(1);
    await waiting;
    expect(told).toMatch(/^1 uploads are under way, the most there may be at once; try again/);
    expect(clock.timers).toBe(0);
  });

  it('go to the next when one is given back, once', async () => {
    const { clock, places: all } = places({ maxAtOnce: 1 });
    const giveBack = await all.acquire('token:a', never);
    const second = all.acquire('token:a', never);
    const third = expect(all.acquire('token:b', never)).rejects.toMatchObject({ code: 'busy' });
    giveBack();
    giveBack();
    await second;
    await clock.advance(10_000);
    await third;
  });

  it('are not held by who went away, and nobody is remembered for nothing', async () => {
    const { places: all } = places({ maxAtOnce: 1 });
    const giveBack = await all.acquire('token:a', never);
    const gone = new AbortController();
    const waiting = expect(all.acquire('token:b', gone.signal)).rejects.toThrow('went away');
    gone.abort(new Error('went away'));
    await waiting;
    expect(all.publishers).toBe(1);
    giveBack();
    expect(all.publishers).toBe(0);
    (await all.acquire('token:c', never))();
    expect(all.publishers).toBe(0);
  });
});
