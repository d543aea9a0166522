import { describe, expect, it } from 'vitest';
import { makeProven, noteOf } from './test-sumdb.ts';

const second = 1_000;

describe('the latest head of a proven database', () => {
  const latest = 'sum.test/latest';

  it('is the known one while that is young', async () => {
    const { ask, database, clock } = makeProven();
    await clock.advance(60 * second);

    expect(await ask(latest)).toMatchObject({ body: noteOf(9), source: 'store', cache: { kind: 'none' } });
    expect(database.asked).toEqual(['stored head']);
  });

  it('is asked for again after a minute', async () => {
    const { ask, database, clock } = makeProven();
    database.latest = async () => database.headOf(10);
    await clock.advance(61 * second);

    expect(await ask(latest)).toMatchObject({ body: noteOf(10), source: 'modferry' });
    expect(await ask(latest)).toMatchObject({ body: noteOf(10), source: 'store' });
    expect(database.asked).toEqual(['stored head', 'head', 'stored head']);
  });

  it('is asked for on no-cache, once in five seconds', async () => {
    const { ask, database, clock } = makeProven();
    database.latest = async () => database.headOf(10);
    for (let times = 0; times < 5; times += 1) await ask(latest, { revalidate: true });
    expect(database.asked).not.toContain('head');

    await clock.advance(6 * second);
    for (let times = 0; times < 5; times += 1) {
      expect(await ask(latest, { revalidate: true })).toMatchObject({ body: noteOf(10) });
    }
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(1);
  });

  it('stays the known one when nobody answers, who is then left alone for ten seconds', async () => {
    const { ask, database, clock } = makeProven();
    await clock.advance(61 * second);
    for (let times = 0; times < 5; times += 1) {
      expect(await ask(latest)).toMatchObject({ body: noteOf(9), source: 'store' });
    }
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(1);

    await clock.advance(10 * second);
    await ask(latest);
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(2);
  });

  it('stays the known one when asking fails in a way nobody foresaw', async () => {
    const { ask, database, clock } = makeProven();
    database.latest = async () => Promise.reject(new Error('EIO'));
    await clock.advance(61 * second);

    expect(await ask(latest)).toMatchObject({ body: noteOf(9) });
  });

  it('is not waited for beyond patience; it is taken when it comes', async () => {
    const { ask, database, clock } = makeProven();
    const late = Promise.withResolvers<ReturnType<typeof database.headOf>>();
    database.latest = () => late.promise;
    await clock.advance(61 * second);

    const waiting = ask(latest);
    await clock.advance(1 * second);
    const joined = ask(latest);
    await clock.advance(1 * second);
    expect(await waiting).toMatchObject({ body: noteOf(9), source: 'store' });
    expect(await joined).toMatchObject({ body: noteOf(9), source: 'store' });
    // Whoever comes now does not wait at all.
    expect(await ask(latest)).toMatchObject({ body: noteOf(9) });
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(1);

    late.resolve(database.headOf(11));
    await clock.advance(0);
    expect(await ask(latest)).toMatchObject({ body: noteOf(11) });
  });

  it('is then asked for behind the reply until it comes', async () => {
    const { ask, database, clock } = makeProven();
    let late = Promise.withResolvers<undefined>();
    database.latest = () => late.promise;
    await clock.advance(61 * second);
    const waiting = ask(latest);
    await clock.advance(2 * second);
    await waiting;
    late.resolve(undefined);
    await clock.advance(10 * second);

    late = Promise.withResolvers();
    expect(await ask(latest)).toMatchObject({ body: noteOf(9) });
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(2);
    expect(clock.timers).toBe(0);
  });

  it('is asked for once, however long that takes', async () => {
    const { ask, database, clock } = makeProven();
    database.latest = () => new Promise(() => {});
    await clock.advance(61 * second);
    const waiting = ask(latest);
    await clock.advance(30 * second);
    await waiting;

    expect(await ask(latest)).toMatchObject({ body: noteOf(9) });
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(1);
  });

  it('is waited for again once it came late', async () => {
    const { ask, database, clock } = makeProven();
    const late = Promise.withResolvers<ReturnType<typeof database.headOf>>();
    database.latest = () => late.promise;
    await clock.advance(61 * second);
    const waiting = ask(latest);
    await clock.advance(2 * second);
    await waiting;
    late.resolve(database.headOf(10));
    await clock.advance(61 * second);

    database.latest = async () => database.headOf(11);
    expect(await ask(latest)).toMatchObject({ body: noteOf(11) });
  });

  it('comes to those who wait when the one who asked first has left', async () => {
    const { ask, database, clock } = makeProven();
    const late = Promise.withResolvers<ReturnType<typeof database.headOf>>();
    database.latest = () => late.promise;
    await clock.advance(61 * second);
    const controller = new AbortController();
    const first = ask(latest, { signal: controller.signal });
    await clock.advance(0);
    const joined = ask(latest);
    await clock.advance(0);
    controller.abort(new Error('the client left'));
    await expect(first).rejects.toThrow('the client left');
    const asker = database.askers[database.asked.indexOf('head')];
    expect(asker?.signal.aborted).toBe(false);
    expect(database.asked.filter((what) => what === 'head')).toHaveLength(1);
    late.resolve(database.headOf(10));
    expect(await joined).toMatchObject({ body: noteOf(10) });
  });

  it('is asked for behind the reply while nobody can be expected to answer', async () => {
    const { ask, database, state, clock } = makeProven();
    state.mayAnswer = false;
    database.latest = async () => database.headOf(10);
    await clock.advance(61 * second);

    expect(await ask(latest)).toMatchObject({ body: noteOf(9) });
    await clock.advance(0);
    expect(await ask(latest)).toMatchObject({ body: noteOf(10) });
  });

  it('fails as unreachable while none is known', async () => {
    const { ask, database } = makeProven();
    database.known = undefined;

    await expect(ask(latest)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(ask(latest, { storedOnly: true })).rejects.toMatchObject({ code: 'not_fetched' });
  });

  it('ends with its asker, and leaves nothing behind', async () => {
    const { ask, database, clock } = makeProven();
    database.latest = () => new Promise(() => {});
    await clock.advance(61 * second);
    const controller = new AbortController();

    const waiting = ask(latest, { signal: controller.signal });
    await clock.advance(0);
    controller.abort(new Error('the client left'));

    await expect(waiting).rejects.toThrow('the client left');
    expect(clock.timers).toBe(0);
  });
});
