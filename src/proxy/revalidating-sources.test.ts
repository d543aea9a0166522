import { describe, expect, it } from 'vitest';
import { ask, olderThanStaleMs, one, patienceMs, settle, setUp, signal } from './test-revalidating.ts';

describe('Revalidating while every source is out', () => {
  it('serves the last known answer at once, and asks behind the reply at most once in ten seconds', async () => {
    const { answers, fetchNumber, fetches, clock, sources, knowing } = setUp();
    await knowing(olderThanStaleMs);
    sources.mayAnswer = false;

    const served = await answers.get('k', ask);
    expect(served).toMatchObject({ ...one, state: 'error', asked: false });

    const again = await answers.get('k', ask);
    (await fetchNumber(2)).reject(new Error('down'));
    await settle();
    for (let asked = 0; asked < 5; asked += 1) {
      await clock.advance(1_900);
      expect(await answers.get('k', ask)).toMatchObject({ ...one, state: 'error' });
    }
    expect(again).toMatchObject({ ...one, state: 'error' });
    expect(fetches).toHaveLength(2);

    await clock.advance(1_000);
    await answers.get('k', ask);
    await fetchNumber(3);
  });

  it('serves it at once to who forces a refresh, too', async () => {
    const { answers, clock, sources, knowing } = setUp();
    await knowing(0);
    await clock.advance(10_000);
    sources.mayAnswer = false;

    const forced = await answers.get('k', { signal, revalidate: true });

    expect(forced).toMatchObject({ ...one, state: 'error', asked: false });
  });

  it('takes up what the question behind the reply brought', async () => {
    const { answers, fetchNumber, sources, knowing } = setUp();
    await knowing(olderThanStaleMs);
    sources.mayAnswer = false;
    await answers.get('k', ask);

    (await fetchNumber(2)).resolve({ text: 'two' });
    await settle();

    expect(await answers.get('k', ask)).toMatchObject({ value: { text: 'two' }, state: 'fresh' });
  });

  it('tries the sources with one key a second, however many are asked', async () => {
    const { answers, fetchNumber, fetches, clock, sources } = setUp();
    for (let key = 0; key < 8; key += 1) {
      const first = answers.get(`k${key}`, ask);
      (await fetchNumber(key + 1)).resolve({ text: 'one' });
      await first;
    }
    await clock.advance(olderThanStaleMs);
    sources.mayAnswer = false;

    for (let key = 0; key < 8; key += 1) expect(await answers.get(`k${key}`, ask)).toMatchObject(one);
    await settle();
    expect(fetches).toHaveLength(9);

    await clock.advance(1_000);
    for (let key = 0; key < 8; key += 1) await answers.get(`k${key}`, ask);
    await settle();
    expect(fetches).toHaveLength(10);

    sources.mayAnswer = true;
    const waiting = answers.get('k5', ask);
    (await fetchNumber(11)).resolve({ text: 'two' });
    expect(await waiting).toMatchObject({ value: { text: 'two' } });
  });

  it('waits for the sources all the same when nothing is known', async () => {
    const { answers, fetchNumber, sources } = setUp();
    sources.mayAnswer = false;

    const waiting = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });

    expect(await waiting).toMatchObject({ ...one, state: 'fresh' });
  });

  it('does not serve what is older than it may be', async () => {
    const { answers, fetchNumber, sources, knowing } = setUp();
    await knowing(86_400_001);
    sources.mayAnswer = false;

    const waiting = answers.get('k', ask);
    (await fetchNumber(2)).reject(new Error('down'));

    await expect(waiting).rejects.toThrow('down');
  });
});

describe('Revalidating while a source is slow', () => {
  it('serves the last known answer when patience ends; the refresh goes on', async () => {
    const { answers, fetchNumber, fetches, clock, knowing } = setUp();
    await knowing(olderThanStaleMs);

    const waiting = answers.get('k', ask);
    let isServed = false;
    void waiting.then(() => (isServed = true));
    await fetchNumber(2);
    await clock.advance(patienceMs - 1);
    expect(isServed).toBe(false);
    await clock.advance(1);
    expect(await waiting).toMatchObject({ ...one, state: 'error', asked: true });

    // Nobody waits for the same slow refresh again.
    expect(await answers.get('k', ask)).toMatchObject({ ...one, state: 'error' });
    (await fetchNumber(2)).resolve({ text: 'two' });
    await settle();
    expect(await answers.get('k', ask)).toMatchObject({ value: { text: 'two' }, state: 'fresh' });
    expect(fetches).toHaveLength(2);
    expect(clock.timers).toBe(0);
  });

  it('gives the second asker only what is left of the patience', async () => {
    const { answers, fetchNumber, clock, knowing } = setUp();
    await knowing(olderThanStaleMs);
    void answers.get('k', ask);
    await fetchNumber(2);
    await clock.advance(patienceMs - 500);

    const second = answers.get('k', ask);
    await clock.advance(500);

    expect(await second).toMatchObject({ ...one, state: 'error' });
  });

  it('lets nobody else wait for those sources, whatever they ask, until one of them has answered', async () => {
    const { answers, fetchNumber, clock } = setUp();
    for (const [index, key] of ['a', 'b', 'c', 'private'].entries()) {
      const first = answers.get(key, ask);
      (await fetchNumber(index + 1)).resolve({ text: 'one' });
      await first;
    }
    await clock.advance(olderThanStaleMs);
    const waiting = answers.get('a', ask);
    await fetchNumber(5);
    await clock.advance(patienceMs);
    await waiting;

    expect(await answers.get('b', ask)).toMatchObject({ ...one, state: 'error', asked: false });
    const ofOthers = answers.get('private', ask);
    (await fetchNumber(7)).resolve({ text: 'two' });
    expect(await ofOthers).toMatchObject({ value: { text: 'two' } });
    expect(await answers.get('b', ask)).toMatchObject({ ...one, state: 'error', asked: false });

    (await fetchNumber(6)).resolve({ text: 'two' });
    await settle();
    const waited = answers.get('c', ask);
    (await fetchNumber(8)).resolve({ text: 'two' });
    expect(await waited).toMatchObject({ value: { text: 'two' }, state: 'fresh' });
  });

  it('waits without end when nothing is known', async () => {
    const { answers, fetchNumber, clock } = setUp();
    const waiting = answers.get('k', ask);
    const fetch = await fetchNumber(1);
    await clock.advance(60_000);
    fetch.resolve({ text: 'one' });

    expect(await waiting).toMatchObject({ ...one, state: 'fresh' });
  });

  it('lets an asker leave without ending the refresh', async () => {
    const { answers, fetchNumber, knowing } = setUp();
    await knowing(olderThanStaleMs);
    const leaving = new AbortController();
    const waiting = answers.get('k', { signal: leaving.signal, revalidate: false });
    const fetch = await fetchNumber(2);

    leaving.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    fetch.resolve({ text: 'two' });
    await settle();

    expect(await answers.get('k', ask)).toMatchObject({ value: { text: 'two' }, state: 'fresh' });
  });
});

describe('Revalidating offline', () => {
  it.each([0, 61_000, olderThanStaleMs])('asks nobody for what was confirmed %i ms ago', async (agoMs) => {
    const { answers, fetches, sources, knowing } = setUp();
    await knowing(agoMs);
    sources.isOffline = true;

    answers.refresh('k');
    const served = await answers.get('k', ask);
    await answers.get('k', { signal, revalidate: true });
    await settle();

    expect(served).toMatchObject(one);
    expect(fetches).toHaveLength(1);
  });

  it('says so when nothing is known, and asks again as soon as it may', async () => {
    const { answers, fetchNumber, fetches, sources } = setUp();
    sources.isOffline = true;
    await expect(answers.get('k', ask)).rejects.toMatchObject({ code: 'not_fetched' });
    expect(fetches).toHaveLength(0);

    sources.isOffline = false;
    const waiting = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    expect(await waiting).toMatchObject(one);
  });
});
