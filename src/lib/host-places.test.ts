import { describe, expect, it } from 'vitest';
import { HostPlaces } from './host-places.ts';

const { signal } = new AbortController();

/** Whether a place was given by now. */
async function given(place: Promise<unknown>): Promise<boolean> {
  return await Promise.race([
    place.then((release) => release !== undefined),
    new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
  ]);
}

describe('HostPlaces', () => {
  it('keeps places for other hosts while one is silent', async () => {
    const places = new HostPlaces({ inAll: 4, perHost: 2, maxQueued: 100 });
    const slow = Array.from({ length: 10 }, () => places.acquire('slow.example', signal));
    expect(await Promise.all(slow.slice(0, 3).map(given))).toEqual([true, true, false]);
    expect(places.queued).toBe(8);
    expect(await given(places.acquire('quick.example', signal))).toBe(true);
    const first = await slow[0];
    first?.();
    first?.();
    expect(await given(slow[2] ?? Promise.reject(new Error('none')))).toBe(true);
    expect(await given(slow[3] ?? Promise.reject(new Error('none')))).toBe(false);
  });

  it('bounds all hosts together, and those who wait', async () => {
    const places = new HostPlaces({ inAll: 2, perHost: 2, maxQueued: 4 });
    const held = [await places.acquire('a.example', signal), await places.acquire('b.example', signal)];
    const third = places.acquire('c.example', signal);
    expect(await given(third)).toBe(false);
    for (const host of ['d.example', 'e.example', 'f.example']) void places.acquire(host, signal);
    expect(await places.acquire('g.example', signal)).toBeUndefined();
    held[0]?.();
    expect(await given(third)).toBe(true);
  });

  it('lets one host wait for a quarter of the places in the queue', async () => {
    const places = new HostPlaces({ inAll: 8, perHost: 1, maxQueued: 8 });
    await places.acquire('slow.example', signal);
    void places.acquire('slow.example', signal);
    void places.acquire('SLOW.example', signal);
    expect(await places.acquire('slow.example', signal)).toBeUndefined();
    expect(await given(places.acquire('quick.example', signal))).toBe(true);
  });

  it('gives back what one who went away had or waited for', async () => {
    const places = new HostPlaces({ inAll: 1, perHost: 1, maxQueued: 8 });
    const release = await places.acquire('a.example', signal);
    const gone = new AbortController();
    const waiting = [places.acquire('a.example', gone.signal), places.acquire('b.example', gone.signal)];
    gone.abort(new Error('gone'));
    for (const one of waiting) await expect(one).rejects.toThrow('gone');
    expect(places.queued).toBe(0);
    release?.();
    expect(await given(places.acquire('b.example', signal))).toBe(true);
  });
});
