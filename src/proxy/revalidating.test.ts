import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type Known, Revalidating } from './revalidating.ts';

const signal = new AbortController().signal;
const ask = { signal, revalidate: false };

interface Value {
  readonly text: string;
}

function setUp(options: { stored?: Known<Value> } = {}) {
  const clock = new FakeClock();
  const saved: Known<Value>[] = [];
  const fetches: PromiseWithResolvers<Value>[] = [];
  const answers = new Revalidating<Value>({
    clock,
    maxEntries: 10,
    windows: () => ({ freshMs: 60_000, staleMs: 600_000, errorMs: 86_400_000 }),
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
  return { clock, saved, fetches, answers, fetchNumber };
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
