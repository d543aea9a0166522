/** Test help: answers of which a test settles each fetch by hand. */
import { FakeClock } from '../lib/fake-clock.ts';
import { type Known, Revalidating } from './revalidating.ts';

export const signal = new AbortController().signal;
export const ask = { signal, revalidate: false };

export interface Value {
  readonly text: string;
}

export const patienceMs = 2_000;
export const one = { value: { text: 'one' } };
export const olderThanStaleMs = 700_000;

export function setUp(options: { stored?: Known<Value> } = {}) {
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

export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
