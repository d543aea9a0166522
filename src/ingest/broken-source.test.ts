import { describe, expect, it } from 'vitest';
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

describe('a source that fails in mid-zip', () => {
  it('is continued by the next at the same byte, held behind the seam until all is verified', async () => {
    const { fill, clock, a, b, takeOvers, refused } = startFill('ab');
    const follower = fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    await clock.advance(2_500);
    await follower.open(false, never);
    a.breakOff('truncated');
    await clock.advance(0);
    expect(b.wish).toEqual({ fromByte: at, ifRange: etag });
    b.say(rest(at), file.subarray(at, sizeBytes - 1));
    await clock.advance(0);
    const head = await read(follower, 0, at);
    let behind = 'held';
    const tail = read(follower, at).then((bytes) => {
      behind = 'sent';
      return bytes;
    });
    await clock.advance(0);
    expect(behind).toBe('held');
    b.give(file.subarray(sizeBytes - 1), 'end');
    await clock.advance(0);

    expect(Buffer.concat([head, await tail]).equals(file)).toBe(true);
    expect(takeOvers).toMatchObject([{ how: 'resumed', atByte: at, cause: 'connection reset' }]);
    expect(refused).toEqual(['a: connection reset']);
  });

  it.each([
    ['without an ETag', whole, at],
    ['with a weak ETag', { ...whole, etag: 'W/"one"' }, at],
    ['before 64 KiB', tagged, 60_000],
    ['of unknown length', { etag }, at],
  ])('%s is begun again whole', async (_what, facts, received) => {
    const { fill, clock, a, b, takeOvers } = startFill('ab');
    fill.join();
    await clock.advance(0);
    a.say(facts, file.subarray(0, received));
    await clock.advance(0);
    a.breakOff();
    await clock.advance(0);
    expect(b.wish).toEqual({ fromByte: undefined, ifRange: undefined });
    b.say(tagged, file, 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'b' });
    expect(takeOvers).toMatchObject([{ from: 'a', to: 'b', atByte: received, how: 'restarted' }]);
  });

  it.each([
    ['another ETag', rest(at, { etag: '"two"' })],
    ['no ETag', rest(at, { etag: undefined })],
    ['another length', rest(at, { totalBytes: sizeBytes + 1, contentLength: sizeBytes + 1 - at })],
  ])('is not joined with a part of %s: the same source is asked for all of it', async (_what, facts) => {
    const { fill, clock, a, b } = await fillWithPart('ab');
    await clock.advance(0);
    a.breakOff();
    await clock.advance(0);
    b.willSay({ ...whole, etag: '"two"' }, other, 'end');
    b.say(facts, other.subarray(at), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'b', sizeBytes });
    expect(b.requests.map(({ fromByte }) => fromByte)).toEqual([at, undefined]);
    expect(b.blames).toEqual([]);
  });

  it.each([
    ['416', 'status', 416],
    ['an unusable 206', 'protocol', 206],
  ] as const)('asks a source again for the whole file that answered %s', async (_what, code, status) => {
    const { fill, clock, a, b } = await fillWithPart('ab');
    b.willFail(code, status).willSay(whole, other, 'end');
    await clock.advance(0);
    a.breakOff();
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'b', sizeBytes });
    expect(b.requests.map(({ fromByte }) => fromByte)).toEqual([at, undefined]);
  });

  it('blames nobody for a joined file that fails verification, and fetches it once whole', async () => {
    const { fill, clock, a, b, refused } = startFill('ab');
    const follower = fill.join();
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    await clock.advance(2_500);
    await follower.open(false, never);
    await read(follower, 0, 1000);
    a.breakOff();
    await clock.advance(0);
    b.willSay(tagged, other, 'end');
    b.say(rest(at), other.subarray(at), 'end');
    await clock.advance(0);

    expect(await fill.outcome).toMatchObject({ source: 'b', sizeBytes });
    expect(b.requests.map(({ fromByte }) => fromByte)).toEqual([at, undefined]);
    expect(b.blames).toEqual([]);
    expect(refused).toEqual(['a: connection reset', 'b: joined from a and b: bad CRC']);
    await expect(read(follower, 1000)).rejects.toThrow('bytes differ');
  });

  it('tells what every source said when nobody can go on', async () => {
    const { fill, clock, a, b, fetched } = startFill('ab');
    fill.join();
    const failed = fill.outcome.catch((error: unknown) => error);
    await clock.advance(0);
    a.say(tagged, file.subarray(0, at));
    b.willFail('connect');
    await clock.advance(0);
    a.breakOff();
    await clock.advance(0);

    expect(await failed).toMatchObject({ code: 'failed' });
    expect(fetched).toEqual([{ source: undefined, outcomes: ['a reset', 'b connect'] }]);
  });
});
