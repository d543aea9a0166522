import { stat } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { judgeOff } from '../checksums/test-judges.ts';
import type { ArtifactKey, ModulePath } from '../gomod/types.ts';
import { EventBus } from '../lib/event-bus.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { plainPlan } from '../upstream/plan.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { Ingest } from './ingest.ts';
import { FedUpstream } from './test-source.ts';

const path = 'example.com/a' as ModulePath;
const key = { path, version: 'v1.0.0', ext: 'zip' } as ArtifactKey;
const { signal } = new AbortController();

async function setUp() {
  const clock = new FakeClock(Date.now());
  const store = await makeTestFolder().open();
  const source = new FedUpstream('a');
  const ingest = new Ingest({
    clock,
    store,
    verifier: {} as ZipVerifier,
    judge: judgeOff,
    events: new EventBus(),
    options: () => ({
      holdMs: 2_000,
      tailBytes: 1024,
      firstByteMs: { meta: 1_000, zip: 1_000 },
      lastHopeMs: 60_000,
      idleMs: 15_000,
      minRateBytes: 0,
      limits: { zipBytes: 1_000_000, inflatedBytes: 1_000_000, modBytes: 1, infoBytes: 1 },
      concurrency: 4,
      passThroughMemoryBytes: 0,
    }),
    plan: () =>
      plainPlan({ upstreams: [source], answerClass: 'zip', firstByteMs: 1_000, lastHopeMs: 60_000 }),
    isPrivate: () => false,
    knownToExist: async () => false,
    absenceHint: () => undefined,
    shareInMemoryBytes: 0,
  });
  onTestFinished(() => ingest.close());
  async function asked(count: number): Promise<void> {
    for (let turn = 0; source.requests.length < count && turn < 20_000; turn += 1) {
      // The store's own work stands before this in the same queue.
      await stat('.');
    }
    expect(source.requests).toHaveLength(count);
  }
  /** How look-ahead's fetch of a zip over its limit ends. */
  async function lookAhead(count: number): Promise<unknown> {
    const follower = ingest.zip(key, { signal, background: true }, () => false);
    await asked(count);
    source.say({ contentLength: 100_000 });
    const end = await follower.open(true, signal).catch((error: unknown) => error);
    follower.leave();
    return end;
  }
  return { ingest, asked, lookAhead };
}

describe('a zip that only look-ahead wants', () => {
  it('is not fetched over its limit because a client waited for it before a purge', async () => {
    const { ingest, asked, lookAhead } = await setUp();
    const client = ingest.zip(key, { signal });
    const opened = client.open(true, signal).catch((error: unknown) => error);
    await asked(1);
    ingest.cancelMatching(path);
    expect(await opened).toMatchObject({ code: 'cancelled' });
    client.leave();

    expect(await lookAhead(2)).toMatchObject({ code: 'not_fetched' });
  });

  it('is not fetched over its limit because of a client that has left', async () => {
    const { ingest, asked, lookAhead } = await setUp();
    const client = ingest.zip(key, { signal });
    await asked(1);
    client.leave();

    expect(await lookAhead(2)).toMatchObject({ code: 'not_fetched' });
  });
});
