import { describe, expect, it } from 'vitest';
import { MemorySink } from './sink.ts';
import {
  at,
  etag,
  file,
  never,
  other,
  read,
  rest,
  sizeBytes,
  startFill,
  tagged,
  whole,
} from './test-fill.ts';

describe('a source that is too slow', () => {
  it('is left for another one, which goes on at the same byte under the same ETag and length', async () => {
    const { fill, clock, a, b, takeOvers, fetched } = startFill('ab');
    fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
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
    const { fill, clock, a, b, takeOvers } = startFill('ab');
    fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    await clock.advance(8_000);
    a.give(file.subarray(at, at + 500));
    await clock.advance(100);
    b.say(rest(at), file.subarray(at, at + 300), file.subarray(at + 300), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ sizeBytes, source: 'b' });
    expect(takeOvers).toMatchObject([{ atByte: at + 500, how: 'resumed' }]);
  });

  it('is not joined with bytes that differ under the same ETag: the file is fetched whole', async () => {
    const { fill, clock, a, b, refused } = startFill('ab');
    fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
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
