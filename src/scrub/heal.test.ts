import { describe, expect, it } from 'vitest';
import type { ArtifactKey } from '../gomod/types.ts';
import type { SmallFile } from '../ingest/small-fill.ts';
import { type IngestEvents, SourcesFailure } from '../ingest/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { keyOf, put, sha256Of } from '../store/contract/kit.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { type HealDeps, healThrough } from './heal.ts';

const { signal } = new AbortController();
const tagged = keyOf('example.com/a', 'v1.0.0', 'info');
const pseudo = keyOf('example.com/a', 'v0.0.0-20240102030405-abcdefabcdef', 'info');
const infoOf = (key: ArtifactKey, time: string, more = ''): string =>
  `{"Version":"${key.version}","Time":"${time}"${more}}`;

/** An ingest that publishes `text`, after as many failures as are given. */
async function healing(text: string | undefined, failures: readonly SourcesFailure[] = []) {
  const store = await makeTestFolder().open();
  const clock = new FakeClock();
  const events = new EventBus<IngestEvents>();
  const left = [...failures];
  let asked = 0;
  const ingest: HealDeps['ingest'] = {
    async small(key) {
      asked += 1;
      const failure = left.shift();
      if (failure !== undefined) throw failure;
      if (text === undefined) {
        events.emit('publishFailed', { key, code: 'disk_full', message: 'full' });
      } else {
        await put(store, key, text, { source: 'mirror' });
        const trust = { unproven: 'none' } as const;
        events.emit('published', { key, sizeBytes: 1, source: 'mirror', byLookAhead: true, trust });
      }
      const body = Buffer.from(text ?? '');
      return { body, sha256: '', trust: {}, source: 'mirror', verifiedAtMs: 0 } satisfies SmallFile;
    },
    zip: () => {
      throw new Error('no zip is asked for');
    },
  };
  const heal = healThrough({ ingest, events, store, clock });
  return { heal, store, clock, asked: () => asked };
}

describe('healing', () => {
  it('takes the very bytes that were published', async () => {
    const text = infoOf(tagged, '2024-01-02T03:04:05Z');
    const { heal } = await healing(text);

    const result = await heal(tagged, { sha256: sha256Of(text) }, signal);

    expect(result).toEqual({ outcome: 'healed', source: 'mirror' });
  });

  it('takes a .info that another source writes in another way', async () => {
    for (const key of [tagged, pseudo]) {
      const { heal } = await healing(infoOf(key, '2024-01-02T03:04:05Z', ',"Origin":{}'));

      expect(await heal(key, { sha256: sha256Of('was') }, signal)).toMatchObject({ outcome: 'healed' });
    }
  });

  it('takes no other go.mod', async () => {
    const key = keyOf('example.com/a', 'v1.0.0', 'mod');
    const { heal, store } = await healing('module example.com/a\n');

    expect(await heal(key, { sha256: sha256Of('module example.com/a\n\n') }, signal)).toMatchObject({
      outcome: 'failed',
    });
    expect(await store.has(key)).toBe(false);
  });

  it('takes any go.mod that was verified when nothing is known of the one before', async () => {
    const key = keyOf('example.com/a', 'v1.0.0', 'mod');
    const { heal } = await healing('module example.com/a\n');

    expect(await heal(key, { sha256: '' }, signal)).toMatchObject({ outcome: 'healed' });
  });

  it('tries again when the news of the withdrawal stopped the fill, and not for ever', async () => {
    const stopped = (): SourcesFailure => new SourcesFailure('cancelled', 'purged');
    const text = infoOf(tagged, '2024-01-02T03:04:05Z');
    const well = await healing(text, [stopped(), stopped()]);
    const ill = await healing(text, [stopped(), stopped(), stopped()]);
    const results = [well, ill].map(({ heal }) => heal(tagged, { sha256: sha256Of(text) }, signal));

    await well.clock.advance(2_000);
    await ill.clock.advance(2_000);

    expect((await Promise.all(results)).map(({ outcome }) => outcome)).toEqual(['healed', 'failed']);
    expect([well.asked(), ill.asked()]).toEqual([3, 3]);
  });

  it('says what the sources said', async () => {
    const { heal, asked } = await healing('', [new SourcesFailure('absent', 'a: 404')]);

    expect(await heal(tagged, { sha256: '' }, signal)).toEqual({ outcome: 'failed', reason: 'a: 404' });
    expect(asked()).toBe(1);
  });

  it('fails when what was fetched could not be published', async () => {
    const { heal } = await healing(undefined);

    expect(await heal(tagged, { sha256: '' }, signal)).toMatchObject({ outcome: 'failed' });
  });
});
