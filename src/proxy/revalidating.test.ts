import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Known, Revalidating } from './revalidating.ts';

const signal = new AbortController().signal;
const ask = { signal, revalidate: false };

interface Value {
  readonly text: string;
}

const patienceMs = 2_000;

function setUp(options: { stored?: Known<Value> } = {}) {
  const clock = new FakeClock();
  const sources = { isOffline: false, mayAnswer: true };
  const saved: Known<Value>[] = [];
  const fetches: PromiseWithResolvers<Value>[] = [];
  const answers = new Revalidating<Value>({
    clock,
    maxEntries: 10,
    windows: () => ({ freshMs: 60_000, staleMs: 600_000, errorMs: 86_400_000 }),
    isOffline: () => sources.isOffline,
    mayAnswer: () => sources.mayAnswer,
    patienceMs: () => patienceMs,
    isPrivate: (key) => key.startsWith('private'),
    load: async () => options.stored,
    fetch: async () => {
      const fetch = Promise.withResolvers<Value>();
      fetches.push(fetch);
      return fetch.promise;
    },
    save: (_key, known) => saved.push(known),
  });
  async function fetchNumber(count: number): Promise<PromiseWithResolvers<Value>> {
    for (let turn = 0; fetches.length < count && turn < 100; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (fetches.length < count) throw new Error(`only ${fetches.length} fetches were started`);
    return fetches[count - 1] as PromiseWithResolvers<Value>;
  }
  /** Knows `one`, confirmed so long ago. */
  async function knowing(agoMs: number): Promise<void> {
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;
    await clock.advance(agoMs);
  }
  return { clock, saved, fetches, answers, fetchNumber, sources, knowing };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('Revalidating', () => {
  it('asks the sources once for many askers, then answers from memory while fresh', async () => {
    const { answers, fetchNumber, fetches, clock } = setUp();
    const first = Promise.all([answers.get('k', ask), answers.get('k', ask)]);
    (await fetchNumber(1)).resolve({ text: 'one' });

    await first;
    await clock.advance(59_000);
    const again = await answers.get('k', ask);

    expect(again).toMatchObject({ value: { text: 'one' }, state: 'fresh', asked: false });
    expect(fetches).toHaveLength(1);
  });

  it('serves a stale answer at once and refreshes it behind the reply', async () => {
    const { answers, fetchNumber, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;
    await clock.advance(61_000);

    const stale = await answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'two' });
    await settle();
    const fresh = await answers.get('k', ask);

    expect(stale).toMatchObject({ value: { text: 'one' }, state: 'stale' });
    expect(fresh).toMatchObject({ value: { text: 'two' }, state: 'fresh' });
  });

  it('waits for the sources once the stale window is over', async () => {
    const { answers, fetchNumber, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;
    await clock.advance(700_000);

    const waiting = answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'two' });

    await expect(waiting).resolves.toMatchObject({ value: { text: 'two' }, asked: true });
  });

  it('serves the last known answer when the sources fail, and leaves them alone for a while', async () => {
    const { answers, fetchNumber, fetches, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;
    await clock.advance(700_000);

    const waiting = answers.get('k', ask);
    (await fetchNumber(2)).reject(new Error('down'));
    const served = await waiting;
    const soon = await answers.get('k', ask);

    expect(served).toMatchObject({ value: { text: 'one' }, state: 'error' });
    expect(soon).toMatchObject({ value: { text: 'one' }, state: 'error', asked: false });
    expect(fetches).toHaveLength(2);
  });

  it('rejects when nothing is known, and after the last known answer is too old', async () => {
    const { answers, fetchNumber, clock } = setUp();
    const nothing = answers.get('k', ask);
    (await fetchNumber(1)).reject(new Error('down'));
    await expect(nothing).rejects.toThrow('down');
    await clock.advance(1_000);
    const first = answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'one' });
    await first;
    await clock.advance(86_400_001);

    const late = answers.get('k', ask);
    (await fetchNumber(3)).reject(new Error('still down'));

    await expect(late).rejects.toThrow('still down');
  });

  it('starts at most one forced refresh in five seconds', async () => {
    const { answers, fetchNumber, fetches, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;

    await answers.get('k', { signal, revalidate: true });
    await clock.advance(5_000);
    const forced = answers.get('k', { signal, revalidate: true });
    (await fetchNumber(2)).resolve({ text: 'two' });

    await expect(forced).resolves.toMatchObject({ value: { text: 'two' } });
    expect(fetches).toHaveLength(2);
  });

  it('knows after a restart what was stored', async () => {
    const clock = new FakeClock();
    const { answers, fetches } = setUp({ stored: { value: { text: 'kept' }, confirmedAtMs: clock.now() } });

    await expect(answers.get('k', ask)).resolves.toMatchObject({ value: { text: 'kept' }, state: 'fresh' });
    expect(fetches).toHaveLength(0);
  });

  it('does not ask again for what is fresh, or right after a failure', async () => {
    const { answers, fetchNumber, fetches, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).resolve({ text: 'one' });
    await first;

    answers.refresh('k');
    await settle();
    expect(fetches).toHaveLength(1);

    await clock.advance(61_000);
    answers.refresh('k');
    (await fetchNumber(2)).reject(new Error('down'));
    await settle();
    answers.refresh('k');
    await settle();
    expect(fetches).toHaveLength(2);
  });

  it('shares a failure with who asks right after it', async () => {
    const { answers, fetchNumber, fetches, clock } = setUp();
    const first = answers.get('k', ask);
    (await fetchNumber(1)).reject(new Error('down'));
    await expect(first).rejects.toThrow('down');

    await expect(answers.get('k', ask)).rejects.toThrow('down');
    expect(fetches).toHaveLength(1);

    await clock.advance(1_000);
    const later = answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'one' });
    await expect(later).resolves.toMatchObject({ value: { text: 'one' } });
  });
});

const one = { value: { text: 'one' } };
const olderThanStaleMs = 700_000;

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

describe('Revalidating.inspect', () => {
  it.each([
    [0, 'fresh'],
    [61_000, 'stale'],
    [olderThanStaleMs, 'error'],
    [86_400_001, 'expired'],
  ])('tells after %i ms that the answer is %s', async (agoMs, state) => {
    const { answers, fetches, knowing } = setUp();
    await knowing(agoMs);

    expect(await answers.inspect('k')).toMatchObject({
      ...one,
      state,
      isRefreshing: false,
      failure: undefined,
    });
    expect(fetches).toHaveLength(1);
  });

  it('is not joined with a refresh that was given up and has not ended yet', async () => {
    const { answers, fetchNumber } = setUp();
    const leaving = new AbortController();
    const left = answers.get('k', { signal: leaving.signal, revalidate: false });
    const givenUp = await fetchNumber(1);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');

    const next = answers.get('k', ask);
    (await fetchNumber(2)).resolve({ text: 'two' });
    await expect(next).resolves.toMatchObject({ value: { text: 'two' } });
    givenUp.reject(new Error('aborted'));
  });

  it('goes on with its refresh when one that was given up before it ends', async () => {
    const { answers, fetchNumber, fetches } = setUp();
    const leaving = new AbortController();
    const left = answers.get('k', { signal: leaving.signal, revalidate: false });
    const givenUp = await fetchNumber(1);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    const second = answers.get('k', ask);
    const running = await fetchNumber(2);
    givenUp.reject(new Error('aborted'));
    await settle();

    const third = answers.get('k', ask);
    await settle();
    running.resolve({ text: 'two' });
    await expect(Promise.all([second, third])).resolves.toMatchObject([
      { value: { text: 'two' } },
      { value: { text: 'two' } },
    ]);
    expect(fetches).toHaveLength(2);
  });
});
