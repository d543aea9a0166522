import { describe, expect, it } from 'vitest';
import type { FakeClock } from '../lib/fake-clock.ts';
import { MemorySink } from './sink.ts';
import {
  at,
  etag,
  file,
  fillWithPart,
  never,
  other,
  read,
  rest,
  sizeBytes,
  startFill,
  tagged,
  whole,
} from './test-fill.ts';
import type { FedUpstream } from './test-source.ts';

/** Sends ten bytes a second of the file, from `at` on, for so many seconds. */
function dripOf(source: FedUpstream, clock: FakeClock, from = at): (seconds: number) => Promise<void> {
  let position = from;
  return async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      source.give(file.subarray(position, position + 10));
      position += 10;
      await clock.advance(1_000);
    }
  };
}

describe('a source that is too slow', () => {
  it('is left for another one, which goes on at the same byte under the same ETag and length', async () => {
    const { fill, clock, a, b, takeOvers, fetched } = await fillWithPart('ab');
    await clock.advance(8_000);
    expect(b.wish).toEqual({ fromByte: at, ifRange: etag });
    expect(a.cancelled).toBe(0);
    b.say(rest(at), file.subarray(at), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
    expect(takeOvers).toEqual([
      { from: 'a', to: 'b', atByte: at, how: 'resumed', cause: `stalled at byte ${at}` },
    ]);
    expect(a.blames).toEqual([`timeout: stalled at byte ${at}`]);
    expect(a.cancelled).toBe(1);
    expect(fetched).toEqual([{ source: 'b', outcomes: ['a timeout', 'b ok'] }]);
    expect(clock.timers).toBe(0);
  });

  it('goes on while the other is asked, and what both sent is compared', async () => {
    const { fill, clock, a, b, takeOvers } = await fillWithPart('ab');
    await clock.advance(8_000);
    a.give(file.subarray(at, at + 500));
    await clock.advance(100);
    b.say(rest(at), file.subarray(at, at + 300), file.subarray(at + 300), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
    expect(takeOvers).toMatchObject([{ atByte: at + 500, how: 'resumed' }]);
  });

  it('is not joined with bytes that differ under the same ETag: the file is fetched whole', async () => {
    const { fill, clock, a, b, refused } = await fillWithPart('ab');
    await clock.advance(8_000);
    a.give(file.subarray(at, at + 500));
    await clock.advance(100);
    b.willSay(whole, other, 'end');
    b.say(rest(at), other.subarray(at));
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'b', sizeBytes });
    expect(refused).toEqual(['b: joined from a and b: a and b sent different bytes under one ETag']);
    expect(b.blames).toEqual([]);
  });

  it('is the last hope when nobody else answers, and goes on to the end', async () => {
    const { fill, clock, a, b, takeOvers } = startFill('ab');
    fill.join();
    await clock.advance(0);
    a.say(whole, file.subarray(0, 1000));
    b.willFail('connect');
    await clock.advance(12_000);
    expect(b.requests).toHaveLength(1);
    a.give(file.subarray(1000), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'a', sizeBytes });
    expect(takeOvers).toEqual([]);
    expect(a.blames).toEqual([]);
  });

  it('is left for one that failed when it was asked first and is well half a minute later', async () => {
    const { fill, clock, a, b, takeOvers, fetched } = await fillWithPart('ab');
    b.willFail('status', 503);
    b.willFail('status', 503);
    const drip = dripOf(a, clock);
    await drip(12);
    expect(b.requests).toHaveLength(1);
    await drip(24);
    expect(b.requests).toHaveLength(1);
    await drip(10);
    expect(b.requests).toHaveLength(2);
    await drip(35);
    expect(b.requests).toHaveLength(3);
    const from = b.wish.fromByte ?? 0;
    b.say(rest(from), file.subarray(from), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
    expect(takeOvers).toMatchObject([{ from: 'a', to: 'b', how: 'resumed' }]);
    expect(a.blames).toEqual([expect.stringMatching(/^timeout: slower than 4096 bytes/)]);
    expect(fetched).toEqual([{ source: 'b', outcomes: ['a timeout', 'b ok'] }]);
    expect(clock.timers).toBe(0);
  });

  it('is not asked for help itself, and nor is one that sent bad bytes', async () => {
    const { fill, clock, a, b, c } = startFill('abc');
    fill.join();
    await clock.advance(0);
    a.say(whole, Buffer.alloc(sizeBytes), 'end');
    await clock.advance(0);
    b.say(tagged, file.subarray(0, at));
    c.willFail('connect');
    const drip = dripOf(b, clock);
    await drip(45);

    expect([a, b, c].map(({ requests }) => requests.length)).toEqual([1, 1, 2]);
    b.give(file.subarray(fill.receivedBytes), 'end');
    await clock.advance(0);
    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
    expect(clock.timers).toBe(0);
  });

  it('does not come back when the one that replaced it is slow as well', async () => {
    const { fill, clock, a, b } = await fillWithPart('ab');
    b.willFail('connect');
    await dripOf(a, clock)(45);
    const from = b.wish.fromByte ?? 0;
    b.say(rest(from), file.subarray(from, from + 1000));
    await clock.advance(0);
    const drip = dripOf(b, clock, from + 1000);
    await drip(120);

    expect([a, b].map(({ requests }) => requests.length)).toEqual([1, 2]);
    expect(fill.receivedBytes).toBeGreaterThan(from + 1000);
    b.give(file.subarray(fill.receivedBytes), 'end');
    await clock.advance(0);
    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
  });

  it('fails after the idle time when it is the only one', async () => {
    const { fill, clock, a } = startFill('a');
    fill.join();
    await clock.advance(0);
    a.say(whole, file.subarray(0, 1000));
    await clock.advance(14_000);
    expect(a.cancelled).toBe(0);
    const failed = fill.outcome.catch((error: unknown) => error);
    await clock.advance(3_000);

    expect(await failed).toMatchObject({ code: 'failed', outcomes: [{ source: 'a', code: 'timeout' }] });
  });

  it('is kept when it is quick again before the other answers', async () => {
    const { fill, clock, a, b, takeOvers } = startFill('ab', {
      openSink: async () => new MemorySink(3_000_000, () => {}),
      verify: async () => ({ h1: 'h1:x' }),
    });
    const big = Buffer.alloc(2_000_000, 'b');
    fill.join();
    await clock.advance(0);
    a.say({ contentLength: big.length }, big.subarray(0, 1000));
    await clock.advance(8_000);
    a.give(big.subarray(1000, 1_900_000));
    await clock.advance(0);
    b.say({ contentLength: big.length });
    await clock.advance(0);
    expect(b.cancelled).toBe(1);
    a.give(big.subarray(1_900_000), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'a' });
    expect(takeOvers).toEqual([]);
    expect(b.blames).toEqual([]);
  });

  it('loses its place to one that sends the whole file, and clients go on where they were', async () => {
    const { fill, clock, a, b, takeOvers } = startFill('ab');
    const follower = fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    await clock.advance(2_500);
    await follower.open(false, never);
    const head = await read(follower, 0, 50_000);
    await clock.advance(6_000);
    b.say({ ...whole, etag: '"two"' }, file, 'end');
    const tail = read(follower, head.length);
    await clock.advance(0);

    expect(Buffer.concat([head, await tail]).equals(file)).toBe(true);
    expect(takeOvers).toMatchObject([{ from: 'a', to: 'b', atByte: at, how: 'restarted' }]);
  });

  it('leaves clients broken that have received bytes which the other does not send', async () => {
    const { fill, clock, a, b } = startFill('ab');
    const early = fill.join();
    const late = fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    await clock.advance(2_500);
    await early.open(false, never);
    await read(early, 0, 1000);
    await late.open(false, never);
    await clock.advance(6_000);
    b.say({ ...whole, etag: '"two"' }, other, 'end');
    await clock.advance(0);

    await expect(read(early, 1000)).rejects.toThrow('bytes differ');
    expect((await read(late, 0)).equals(other)).toBe(true);
  });
});
