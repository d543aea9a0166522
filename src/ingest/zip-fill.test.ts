import { describe, expect, it } from 'vitest';
import type { ArtifactKey } from '../gomod/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import { type UpstreamAnswer, UpstreamError } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { MemorySink } from './sink.ts';
import { testProving } from './test-proving.ts';
import { SourcesFailure } from './types.ts';
import { ZipFill, type ZipFillDeps } from './zip-fill.ts';

const key = { path: 'example.com/a', version: 'v1.0.0', ext: 'zip' } as ArtifactKey;
const never = new AbortController().signal;

class ZipError extends ModferryError {}

function manualClock() {
  const timers: { callback: () => void; cancelled: boolean }[] = [];
  const clock: Clock = {
    now: () => 1_000,
    monotonic: () => 0,
    setTimeout(callback) {
      const timer = { callback, cancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
  };
  return { clock, fire: () => timers.forEach((timer) => !timer.cancelled && timer.callback()) };
}

/** A source whose body the test feeds by hand. */
function source(name: string, contentLength: number | undefined) {
  const waiting: (Buffer | Error | 'end')[] = [];
  let wake = Promise.withResolvers<void>();
  let cancelled = false;
  const answer: UpstreamAnswer = {
    upstream: name,
    contentLength,
    contentType: 'application/zip',
    etag: undefined,
    lastModified: undefined,
    firstByteMs: 1,
    body: (async function* () {
      for (;;) {
        const next = waiting.shift();
        if (next === undefined) {
          await wake.promise;
          wake = Promise.withResolvers<void>();
        } else if (next === 'end') return;
        else if (next instanceof Error) throw next;
        else yield next;
      }
    })(),
    cancel: () => {
      cancelled = true;
      wake.resolve();
    },
  };
  function give(...items: (Buffer | Error | 'end')[]): void {
    waiting.push(...items);
    wake.resolve();
  }
  return { answer, give, isCancelled: () => cancelled };
}

function start(
  answers: UpstreamAnswer[],
  overrides: Partial<ZipFillDeps> & { holdMs?: number; tailBytes?: number } = {},
) {
  const { clock, fire } = manualClock();
  const published: string[] = [];
  const refused: string[] = [];
  const remaining = [...answers];
  const walk = {
    next: async () => remaining.shift(),
    refuse: () => {},
    close: () => {},
    outcomes: [],
  } as unknown as Walk;
  const fill = new ZipFill(key, {
    clock,
    options: {
      holdMs: 2_000,
      tailBytes: overrides.tailBytes ?? 10,
      firstByteMs: { meta: 1, zip: 1 },
      lastHopeMs: 1,
      idleMs: 15_000,
      minRateBytes: 0,
      limits: { zipBytes: 10_000_000, inflatedBytes: 10_000_000, modBytes: 1, infoBytes: 1 },
      concurrency: 1,
      passThroughMemoryBytes: 0,
    },
    shareInMemoryBytes: 10_000_000,
    openWalk: () => walk,
    accept: () => true,
    openSink: async () => new MemorySink(1_000_000, () => {}),
    verify: async () => ({ h1: 'h1:x' }),
    openProving: (signal) => testProving({ key, clock }, signal),
    publish: async (_sink, zip) => {
      published.push(zip.sha256);
    },
    claim: async () => 'ours',
    failure: async () => new SourcesFailure('failed', 'no source'),
    onRefused: (name, reason) => refused.push(`${name}: ${reason}`),
    ...overrides,
  });
  return { fill, holdOver: fire, published, refused };
}

async function readAll(follower: ReturnType<ZipFill['join']>, from = 0): Promise<Buffer> {
  const parts: Buffer[] = [];
  let position = from;
  for (;;) {
    const block = Buffer.alloc(64);
    const count = await follower.readAt(block, block.length, position, never);
    if (count === 0) return Buffer.concat(parts);
    parts.push(block.subarray(0, count));
    position += count;
  }
}

/** Large enough to take the path of staged files rather than that of small zips. */
const large = 300 * 1024;
const good = Buffer.alloc(large, 'g');

describe('ZipFill', () => {
  it('serves a body that verifies within the hold time whole, to every follower', async () => {
    const one = source('one', 100);
    const { fill, published } = start([one.answer]);
    const followers = [fill.join(), fill.join()];
    one.give(Buffer.alloc(100, 'a'), 'end');

    const opened = await Promise.all(followers.map((follower) => follower.open(false, never)));
    const bodies = await Promise.all(followers.map((follower) => readAll(follower)));

    expect(opened.map((open) => open !== 'stored' && open.verified?.sizeBytes)).toEqual([100, 100]);
    expect(bodies.map((body) => body.toString())).toEqual(['a'.repeat(100), 'a'.repeat(100)]);
    expect(published).toHaveLength(1);
  });

  it('streams after the hold time but keeps the tail until it is verified', async () => {
    const one = source('one', large);
    const verified = Promise.withResolvers<{ h1: string }>();
    const { fill, holdOver } = start([one.answer], { verify: () => verified.promise });
    const follower = fill.join();
    holdOver();
    one.give(good.subarray(0, large - 1));

    const opened = await follower.open(false, never);
    const block = Buffer.alloc(large);
    let got = 0;
    while (got < large - 10) got += await follower.readAt(block, large, got, never);
    one.give(good.subarray(large - 1), 'end');
    const rest = follower.readAt(block, large, got, never);
    const early = await Promise.race([rest, new Promise((resolve) => setImmediate(() => resolve('held')))]);

    expect(opened !== 'stored' && opened.verified).toBeUndefined();
    expect(opened !== 'stored' && opened.sizeBytes).toBe(large);
    expect(got).toBe(large - 10);
    expect(early).toBe('held');
    verified.resolve({ h1: 'h1:x' });
    await expect(rest).resolves.toBe(10);
  });

  it('replaces a source whose bytes are refused before anyone has seen a byte', async () => {
    const bad = source('bad', 5);
    const right = source('right', 5);
    let calls = 0;
    const { fill, refused } = start([bad.answer, right.answer], {
      verify: async () => {
        calls += 1;
        if (calls === 1) throw new ZipError('not_a_zip', 'not a zip');
        return { h1: 'h1:x' };
      },
    });
    const follower = fill.join();
    bad.give(Buffer.from('wrong'), 'end');
    right.give(Buffer.from('right'), 'end');

    const opened = await follower.open(false, never);

    expect(opened !== 'stored' && opened.verified?.source).toBe('right');
    expect((await readAll(follower)).toString()).toBe('right');
    expect(refused).toEqual(['bad: not a zip']);
  });

  it('goes on at the same place when the next source begins with the same bytes', async () => {
    const cut = source('cut', large);
    const whole = source('whole', large);
    const { fill, holdOver } = start([cut.answer, whole.answer]);
    const follower = fill.join();
    holdOver();
    cut.give(good.subarray(0, 200_000));
    await follower.open(false, never);
    const block = Buffer.alloc(100_000);
    const got = await follower.readAt(block, 100_000, 0, never);

    cut.give(new UpstreamError('cut', 'reset', 'connection reset'));
    whole.give(good, 'end');
    const rest = await readAll(follower, got);

    expect(got + rest.length).toBe(large);
    expect(Buffer.concat([block.subarray(0, got), rest]).equals(good)).toBe(true);
  });

  it('breaks a follower that has received bytes which the next source does not continue', async () => {
    const cut = source('cut', large);
    const other = source('other', large);
    const { fill, holdOver } = start([cut.answer, other.answer]);
    const early = fill.join();
    const late = fill.join();
    holdOver();
    cut.give(good.subarray(0, 200_000));
    await early.open(false, never);
    await late.open(false, never);
    const got = await early.readAt(Buffer.alloc(1000), 1000, 0, never);

    cut.give(new UpstreamError('cut', 'reset', 'connection reset'));
    other.give(Buffer.alloc(large, 'o'), 'end');

    await expect(readAll(early, got)).rejects.toThrow('bytes differ');
    expect((await readAll(late)).equals(Buffer.alloc(large, 'o'))).toBe(true);
  });

  it('never completes a body that no source could prove', async () => {
    const bad = source('bad', large);
    const { fill, holdOver, published } = start([bad.answer], {
      verify: async () => {
        throw new ZipError('bad_crc', 'bad CRC');
      },
    });
    const follower = fill.join();
    holdOver();
    bad.give(good, 'end');
    await follower.open(false, never).catch(() => undefined);

    await expect(readAll(follower)).rejects.toThrow('no source');
    expect(published).toEqual([]);
  });

  it('stops the fetch when the last follower leaves early, and not when it is nearly done', async () => {
    const early = source('early', large);
    const first = start([early.answer]);
    const leaver = first.fill.join();
    await new Promise((resolve) => setImmediate(resolve));
    leaver.leave();
    const nearly = source('nearly', large);
    const second = start([nearly.answer]);
    const other = second.fill.join();
    second.holdOver();
    nearly.give(good.subarray(0, large - 100));
    await other.open(false, never);
    other.leave();
    nearly.give(good.subarray(large - 100), 'end');

    expect(first.fill.cancelled).toBe(true);
    await second.fill.settled;
    expect(second.published).toHaveLength(1);
  });

  it('tells a fault of our own from failures of its sources', async () => {
    const { fill } = start([source('one', 100).answer], {
      openSink: async () => {
        throw new TypeError('a fault in the program');
      },
    });
    fill.join();

    await expect(fill.outcome).rejects.toMatchObject({ code: 'internal', message: 'a fault in the program' });
  });
});
