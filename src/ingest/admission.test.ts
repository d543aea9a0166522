import { describe, expect, it } from 'vitest';
import type { ModulePath } from '../gomod/types.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import type { Store } from '../store/store.ts';
import { Admission } from './admission.ts';
import type { IngestOptions } from './types.ts';

const { signal } = new AbortController();

function admissionOf(concurrency: number): Admission {
  return new Admission({
    clock: new FakeClock(),
    store: {} as Store,
    isPrivate: (path) => path.includes('.corp.test/'),
    options: () => ({ concurrency, lastHopeMs: 60_000 }) as IngestOptions,
  });
}

/** Which of them have a place by now. */
async function placed(slots: readonly Promise<unknown>[]): Promise<number> {
  let count = 0;
  for (const slot of slots) void slot.then(() => (count += 1)).catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  return count;
}

describe('Admission', () => {
  it('gives private modules half of the places, and those of one host a quarter', async () => {
    const admission = admissionOf(8);
    const ask = (host: string, count: number) =>
      Array.from({ length: count }, (_, at) => admission.slot(`${host}/m${at}` as ModulePath, signal, false));
    const slow = ask('slow.corp.test', 20);
    expect(await placed(slow)).toBe(2);
    expect(await placed([...ask('b.corp.test', 5), ...ask('c.corp.test', 5)])).toBe(2);
    expect(await placed(ask('example.com', 5))).toBe(4);
    expect(admission.waiting).toBe(18 + 8 + 1);
    (await slow[0])?.();
    // The one that waits among all others comes first: it is not behind those of a slow host.
    expect(await placed(slow.slice(2, 3))).toBe(0);
  });

  it('gives back what whoever went away had', async () => {
    const admission = admissionOf(4);
    const path = 'git.corp.test/lib' as ModulePath;
    const release = await admission.slot(path, signal, false);
    const gone = new AbortController();
    const waiting = admission.slot(path, gone.signal, false);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    release();
    release();
    expect(await placed([admission.slot(path, signal, false)])).toBe(1);
    expect(admission.waiting).toBe(0);
  });
});
