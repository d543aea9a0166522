import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { paced, rateWindowMs } from './upload-pace.ts';

/** A body whose chunks come when they are pushed. */
function pushed() {
  const waiting: ((result: IteratorResult<Buffer>) => void)[] = [];
  const ready: IteratorResult<Buffer>[] = [];
  let isReturned = false;
  const tell = (result: IteratorResult<Buffer>): void => {
    const waiter = waiting.shift();
    if (waiter === undefined) ready.push(result);
    else waiter(result);
  };
  const body: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const result = ready.shift();
        if (result !== undefined) return Promise.resolve(result);
        return new Promise((resolve) => waiting.push(resolve));
      },
      return: () => {
        isReturned = true;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  return {
    body,
    push: (bytes: number) => tell({ done: false, value: Buffer.alloc(bytes) }),
    end: () => tell({ done: true, value: undefined }),
    isReturned: () => isReturned,
  };
}

function read(pace: { idleMs: number; minRateBytes: number }) {
  const clock = new FakeClock();
  const source = pushed();
  const abort = new AbortController();
  let receivedBytes = 0;
  const done = (async () => {
    for await (const chunk of paced(source.body, pace, clock, abort.signal)) receivedBytes += chunk.length;
    return receivedBytes;
  })();
  done.catch(() => {});
  return { ...source, clock, abort, done };
}

describe('the pace of an upload', () => {
  it('may be as slow as the limits for as long as it takes', async () => {
    const upload = read({ idleMs: 30_000, minRateBytes: 50 });

    for (let second = 0; second < 3_600; second += 5) {
      upload.push(500);
      await upload.clock.advance(5_000);
    }
    upload.end();

    expect(await upload.done).toBe(360_000);
    expect(upload.clock.timers).toBe(0);
  });

  it('ends when nothing comes for the idle time', async () => {
    const upload = read({ idleMs: 30_000, minRateBytes: 0 });
    upload.push(500);

    await upload.clock.advance(30_001);

    await expect(upload.done).rejects.toMatchObject({
      name: 'PublishError',
      code: 'slow',
      message: expect.stringContaining('nothing came for 30 s after byte 500'),
    });
    expect(upload.isReturned()).toBe(true);
    expect(upload.clock.timers).toBe(0);
  });

  it('ends when a trickle never stops', async () => {
    const upload = read({ idleMs: 30_000, minRateBytes: 100 });

    for (let second = 0; second <= rateWindowMs / 1000; second += 1) {
      upload.push(1);
      await upload.clock.advance(1_000);
    }

    await expect(upload.done).rejects.toMatchObject({ code: 'slow' });
  });

  it('ends a trickle in a later window too', async () => {
    const upload = read({ idleMs: 30_000, minRateBytes: 100 });
    for (let second = 0; second < 60; second += 1) {
      upload.push(10_000);
      await upload.clock.advance(1_000);
    }

    for (let second = 0; second <= (2 * rateWindowMs) / 1000; second += 1) {
      upload.push(1);
      await upload.clock.advance(1_000);
    }

    await expect(upload.done).rejects.toMatchObject({
      message: expect.stringMatching(/slower than 100 bytes\/s at byte 6000\d\d/),
    });
  });

  it('does not count the time in which we were not reading', async () => {
    const clock = new FakeClock();
    const source = pushed();
    const body = paced(
      source.body,
      { idleMs: 1_000, minRateBytes: 100 },
      clock,
      new AbortController().signal,
    );
    source.push(1);
    source.push(1);
    await body.next();

    await clock.advance(60_000);

    expect(await body.next()).toMatchObject({ done: false });
    await body.return(undefined);
    expect(source.isReturned()).toBe(true);
  });

  it('ends with the reason of the signal', async () => {
    const upload = read({ idleMs: 30_000, minRateBytes: 0 });
    upload.push(1);
    await upload.clock.advance(1);

    upload.abort.abort(new Error('gone'));

    await expect(upload.done).rejects.toThrow('gone');
    expect(upload.clock.timers).toBe(0);
  });
});
