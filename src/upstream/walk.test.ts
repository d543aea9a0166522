import { describe, expect, it } from 'vitest';
import { answerOf, codes, Scripted, walkOver } from './test-walk.ts';
import type { Upstream } from './types.ts';
import { verdict } from './verdict.ts';

describe('Walk', () => {
  it('gives the first answer and asks nobody else', async () => {
    const [a, b] = [new Scripted('a', ['ok']), new Scripted('b', ['ok'])];
    const { walk } = walkOver([a, b], { requestId: 'r1', priority: 'low', via: ['x'] });

    const answer = await walk.next();

    expect(answer?.upstream).toBe('a');
    expect(b.requests).toHaveLength(0);
    expect(codes(walk)).toEqual(['a ok']);
    expect(a.requests[0]).toMatchObject({ answerClass: 'zip', requestId: 'r1', priority: 'low', via: ['x'] });
  });

  it.each(['absent', 'gone', 'connect', 'status', 'refused', 'busy'] as const)(
    'moves on at once after %s',
    async (code) => {
      const { walk, clock } = walkOver([new Scripted('a', [code]), new Scripted('b', ['ok'])]);

      expect((await walk.next())?.upstream).toBe('b');
      expect(codes(walk)).toEqual([`a ${code}`, 'b ok']);
      expect(clock.timers).toBe(0);
    },
  );

  it('ends without an answer when every source has spoken, and says what each said', async () => {
    const { walk } = walkOver([new Scripted('a', ['absent']), new Scripted('b', ['reset'])]);

    expect(await walk.next()).toBeUndefined();
    expect(walk.outcomes).toEqual([
      { source: 'a', code: 'absent', message: 'says absent', tookMs: 0 },
      { source: 'b', code: 'reset', message: 'says reset', tookMs: 0 },
    ]);
  });

  it('ends at once when there is nobody to ask', async () => {
    const { walk } = walkOver([]);
    expect(await walk.next()).toBeUndefined();
    expect(verdict(walk.outcomes, { knownToExist: false, isPrivate: false }).kind).toBe('unavailable');
  });

  it('starts the next source beside a slow one, and takes the slow one if it answers first', async () => {
    const [slow, second] = [new Scripted('slow', []), new Scripted('second', [])];
    const { walk, clock } = walkOver([slow, second]);
    const answer = walk.next();

    await clock.advance(999);
    expect(second.requests).toHaveLength(0);
    await clock.advance(1);
    expect(second.requests).toHaveLength(1);
    slow.say('ok');

    expect((await answer)?.upstream).toBe('slow');
    expect(second.requests[0]?.signal.aborted).toBe(true);
    expect(slow.requests[0]?.signal.aborted).toBe(false);
    expect(walk.outcomes).toMatchObject([
      { code: 'ok', tookMs: 1000 },
      { code: 'beaten', message: 'slow answered first', tookMs: 0 },
    ]);
    expect(second.requests[0]?.signal.reason).toMatchObject({ upstream: 'second', code: 'beaten' });
  });

  it('cancels the slow one when the next one wins, and an answer that still comes is dropped', async () => {
    const slow = new Scripted('slow', []);
    // It does not hear the abort in time: its answer is already on the way.
    const deaf: Upstream = {
      name: 'deaf',
      isPrivate: false,
      stopsOnError: false,
      fetch: (request) => slow.fetch({ ...request, signal: new AbortController().signal }),
      close: async () => {},
    };
    const { walk, clock } = walkOver([deaf, new Scripted('quick', ['ok'])]);
    const answer = walk.next();
    await clock.advance(1000);
    expect((await answer)?.upstream).toBe('quick');

    slow.say('ok');
    await clock.advance(0);

    expect(slow.cancelled).toBe(1);
    expect(codes(walk)).toEqual(['deaf beaten', 'quick ok']);
  });

  it('goes on after a refused body, and asks the one again that had been cancelled for it', async () => {
    const slow = new Scripted('slow', [undefined, 'ok']);
    const quick = new Scripted('quick', ['ok']);
    const { walk, clock } = walkOver([slow, quick]);
    const first = walk.next();
    await clock.advance(1000);
    const bad = await first;
    if (bad === undefined) throw new Error('no answer');

    walk.refuse(bad, 'refused', 'hash differs');
    const second = await walk.next();

    expect(second?.upstream).toBe('slow');
    expect(quick.cancelled).toBe(1);
    expect(quick.blames).toEqual(['refused: hash differs']);
    expect(quick.requests).toHaveLength(1);
    expect(walk.outcomes).toMatchObject([
      { source: 'slow', code: 'ok' },
      { source: 'quick', code: 'refused', message: 'hash differs' },
    ]);
  });

  it('keeps the last hope open for its own time, then calls it a timeout', async () => {
    const last = new Scripted('last', []);
    const { walk, clock } = walkOver([new Scripted('a', ['absent']), last]);
    const answer = walk.next();

    await clock.advance(59_999);
    expect(last.requests[0]?.signal.aborted).toBe(false);
    await clock.advance(1);

    expect(await answer).toBeUndefined();
    expect(last.requests[0]?.signal.aborted).toBe(true);
    expect(last.requests[0]?.signal.reason).toMatchObject({ upstream: 'last', code: 'timeout' });
    expect(walk.outcomes[1]).toMatchObject({ code: 'timeout', tookMs: 60_000 });
    expect(clock.timers).toBe(0);
  });

  it('keeps a slow one open while it is the only hope, though the others have failed', async () => {
    const slow = new Scripted('slow', []);
    const { walk, clock } = walkOver([slow, new Scripted('b', ['connect'])]);
    const answer = walk.next();
    await clock.advance(30_000);

    slow.say('ok');

    expect((await answer)?.upstream).toBe('slow');
  });

  it.each(['connect', 'status', 'timeout', 'busy'] as const)(
    'asks nobody behind a strict source that fails with %s',
    async (code) => {
      const later = new Scripted('later', ['ok']);
      const { walk } = walkOver([new Scripted('strict', [code], true), later]);

      expect(await walk.next()).toBeUndefined();
      expect(later.requests).toHaveLength(0);
    },
  );

  it('passes a strict source that says absent', async () => {
    const { walk } = walkOver([new Scripted('strict', ['absent'], true), new Scripted('later', ['ok'])]);
    expect((await walk.next())?.upstream).toBe('later');
  });

  it('starts nobody behind a strict source while it is silent, even when one before it fails', async () => {
    const [first, strict, later] = [
      new Scripted('first', []),
      new Scripted('strict', [], true),
      new Scripted('later', ['ok']),
    ];
    const { walk, clock } = walkOver([first, strict, later]);
    const answer = walk.next();
    await clock.advance(1000);
    first.say('reset');
    await clock.advance(59_999);
    expect(later.requests).toHaveLength(0);
    await clock.advance(1);

    expect(await answer).toBeUndefined();
    expect(later.requests).toHaveLength(0);
    expect(codes(walk)).toEqual(['first reset', 'strict timeout']);
  });

  it('asks nobody behind a strict source whose bytes were refused', async () => {
    const later = new Scripted('later', ['ok']);
    const { walk } = walkOver([new Scripted('strict', ['ok'], true), later]);
    const answer = await walk.next();
    if (answer === undefined) throw new Error('no answer');

    walk.refuse(answer, 'truncated', 'cut');

    expect(await walk.next()).toBeUndefined();
    expect(later.requests).toHaveLength(0);
  });

  it('rejects with the reason when the caller leaves, and aborts what it asked', async () => {
    const a = new Scripted('a', []);
    const controller = new AbortController();
    const { walk, clock } = walkOver([a], { signal: controller.signal });
    const answer = walk.next();
    answer.catch(() => {});
    await clock.advance(5);

    controller.abort(new Error('client gone'));

    await expect(answer).rejects.toThrow('client gone');
    await expect(walk.next()).rejects.toThrow('client gone');
    expect(a.requests[0]?.signal.aborted).toBe(true);
    expect(codes(walk)).toEqual(['a aborted']);
    expect(clock.timers).toBe(0);
  });

  it('takes a deadline for a timeout of its sources', async () => {
    const controller = new AbortController();
    const { walk } = walkOver([new Scripted('a', [])], { signal: controller.signal });
    const answer = walk.next();

    controller.abort(new DOMException('late', 'TimeoutError'));

    expect(await answer).toBeUndefined();
    expect(codes(walk)).toEqual(['a timeout']);
  });

  it('cancels everything when closed', async () => {
    const a = new Scripted('a', []);
    const { walk, clock } = walkOver([a]);
    const answer = walk.next();
    walk.close();
    walk.close();

    expect(await answer).toBeUndefined();
    expect(await walk.next()).toBeUndefined();
    expect(a.requests[0]?.signal.aborted).toBe(true);
    expect(clock.timers).toBe(0);
  });

  it('blames nobody for a body that the caller gave up, and for none twice', async () => {
    for (const code of ['aborted', 'beaten'] as const) {
      const a = new Scripted('a', ['ok']);
      const { walk } = walkOver([a]);
      const answer = await answerOf(walk.next());
      walk.refuse(answer, code, 'left');
      walk.refuse(answer, 'truncated', 'cut');
      expect(a.blames).toEqual([]);
      expect(codes(walk)).toEqual([`a ${code}`]);
    }
  });

  it('cancels the answer it gave when closed', async () => {
    const a = new Scripted('a', ['ok']);
    const { walk } = walkOver([a]);
    await walk.next();
    walk.close();
    expect(a.cancelled).toBe(1);
  });

  it('counts an upstream that throws as one that failed', async () => {
    const broken: Upstream = {
      name: 'broken',
      isPrivate: false,
      stopsOnError: false,
      fetch: () => {
        throw new TypeError('bug');
      },
      close: async () => {},
    };
    const { walk } = walkOver([broken, new Scripted('b', ['ok'])]);
    expect((await walk.next())?.upstream).toBe('b');
    expect(codes(walk)).toEqual(['broken protocol', 'b ok']);
  });
});
