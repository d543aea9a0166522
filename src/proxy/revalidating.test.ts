import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { ask, olderThanStaleMs, one, settle, setUp, signal } from './test-revalidating.ts';

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
