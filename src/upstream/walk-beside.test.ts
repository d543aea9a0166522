/** Taking a body over from another source while the first may still be read. */
import { describe, expect, it } from 'vitest';
import { answerOf, codes, planOver, Scripted, walkOver } from './test-walk.ts';

describe('Walk.nextBeside', () => {
  it('asks the next one for the rest and leaves the answer in hand as it is', async () => {
    const [a, b] = [new Scripted('a', ['ok']), new Scripted('b', ['ok'])];
    const { walk } = walkOver([a, b]);
    const first = await answerOf(walk.next());

    const second = await answerOf(walk.nextBeside({ fromByte: 70_000, ifRange: '"e"' }));

    expect(second.upstream).toBe('b');
    expect(b.requests[0]).toMatchObject({ fromByte: 70_000, ifRange: '"e"' });
    expect([a.cancelled, a.givenUp, b.cancelled]).toEqual([0, undefined, 0]);

    walk.adopt(second);
    walk.refuse(first, 'timeout', 'stalled at byte 70000');
    expect(a.blames).toEqual(['timeout: stalled at byte 70000']);
    expect([a.cancelled, b.cancelled]).toEqual([1, 0]);
    expect(codes(walk)).toEqual(['a timeout', 'b ok']);

    walk.refuse(second, 'refused', 'hash differs');
    expect(await walk.next()).toBeUndefined();
    expect(codes(walk)).toEqual(['a timeout', 'b refused']);
  });

  it('does not matter whether the old one is refused before or after', async () => {
    const [a, b] = [new Scripted('a', ['ok']), new Scripted('b', ['ok'])];
    const { walk } = walkOver([a, b]);
    const first = await answerOf(walk.next());
    const second = await answerOf(walk.nextBeside());
    walk.refuse(first, 'reset', 'cut');
    walk.adopt(second);
    walk.close();
    expect([a.cancelled, b.cancelled]).toEqual([1, 1]);
  });

  it('goes on over failures, and is undefined when nobody is left; the reserve is not asked', async () => {
    const [b, out] = [new Scripted('b', ['absent']), new Scripted('out', ['ok'])];
    const { walk, clock } = walkOver(
      planOver([new Scripted('a', ['ok']), b], { reserve: [out], takeRepeat: () => 10 }),
    );
    const first = await answerOf(walk.next());

    expect(await walk.nextBeside()).toBeUndefined();
    expect(await walk.nextBeside()).toBeUndefined();

    expect(b.requests).toHaveLength(1);
    expect(out.requests).toHaveLength(0);
    expect(clock.timers).toBe(0);
    walk.adopt(first);
    expect(walk.patienceMs).toBe(1000);
  });

  it('asks nobody behind a strict source that is answering', async () => {
    const later = new Scripted('later', ['ok']);
    const { walk } = walkOver([new Scripted('strict', ['ok'], true), later]);
    await walk.next();
    expect(await walk.nextBeside()).toBeUndefined();
    expect(later.requests).toHaveLength(0);
  });

  it('has the same patience, and gives up silent ones after the last hope', async () => {
    const [b, c] = [new Scripted('b', []), new Scripted('c', [])];
    const { walk, clock } = walkOver([new Scripted('a', ['ok']), b, c]);
    await walk.next();
    const beside = walk.nextBeside();
    expect(walk.nextBeside()).toBe(beside);
    await clock.advance(1000);
    expect(c.requests).toHaveLength(1);
    await clock.advance(60_000);

    expect(await beside).toBeUndefined();
    expect(codes(walk)).toEqual(['a ok', 'b timeout', 'c timeout']);
    expect(clock.timers).toBe(0);
  });

  it('lets an offer go that was not needed: nobody is blamed, and it stays a hope', async () => {
    const b = new Scripted('b', ['ok', 'ok', 'ok']);
    const { walk } = walkOver([new Scripted('a', ['ok']), b]);
    const first = await answerOf(walk.next());
    walk.refuse(await answerOf(walk.nextBeside()), 'beaten', 'the first one went on');
    expect([b.cancelled, b.blames]).toEqual([1, []]);

    walk.refuse(await answerOf(walk.nextBeside()), 'beaten', 'the first one went on');
    expect(await walk.nextBeside()).toBeUndefined();
    expect(b.requests).toHaveLength(2);

    walk.refuse(first, 'reset', 'cut');
    expect((await walk.next())?.upstream).toBe('b');
  });

  it('comes to an end with a caller who never needs an answer', async () => {
    const a = new Scripted(
      'a',
      Array.from({ length: 100 }, () => 'ok'),
    );
    const { walk } = walkOver([a]);
    for (let answer = await walk.next(); answer !== undefined; answer = await walk.next()) {
      walk.refuse(answer, 'beaten', 'not needed');
    }
    expect(a.requests).toHaveLength(5);
  });

  it('hands what it asked over to `next` when the first breaks meanwhile', async () => {
    const [b, c] = [new Scripted('b', []), new Scripted('c', ['ok'])];
    const { walk } = walkOver([new Scripted('a', ['ok']), b, c]);
    const first = await answerOf(walk.next());
    const beside = walk.nextBeside({ fromByte: 9 });

    walk.refuse(first, 'reset', 'cut');
    const next = walk.next({ fromByte: 9 });
    expect(await beside).toBeUndefined();
    b.say('ok');

    expect((await next)?.upstream).toBe('b');
    expect([b.requests.length, c.requests.length]).toEqual([1, 0]);
  });

  it('asks again when other bytes are wanted now', async () => {
    const b = new Scripted('b', [undefined, 'ok']);
    const { walk } = walkOver([new Scripted('a', ['ok']), b]);
    const first = await answerOf(walk.next());
    void walk.nextBeside({ fromByte: 9 });
    walk.refuse(first, 'reset', 'cut');

    expect((await walk.next())?.upstream).toBe('b');

    expect(b.requests).toHaveLength(2);
    expect(b.requests[0]?.signal.aborted).toBe(true);
    expect(b.requests[1]).not.toHaveProperty('fromByte');
  });

  it('cancels an offer that nobody took when it is closed', async () => {
    const b = new Scripted('b', ['ok']);
    const { walk } = walkOver([new Scripted('a', ['ok']), b]);
    await walk.next();
    await walk.nextBeside();
    walk.close();
    expect(b.cancelled).toBe(1);
  });

  it('ends with the caller, who need not listen any more', async () => {
    const controller = new AbortController();
    const [a, b] = [new Scripted('a', ['ok']), new Scripted('b', [])];
    const { walk, clock } = walkOver([a, b], { signal: controller.signal });
    await walk.next();
    const beside = walk.nextBeside();
    controller.abort(new Error('client gone'));
    // A rejection that nobody heard would end the run here.
    await clock.advance(0);

    await expect(beside).rejects.toThrow('client gone');
    await expect(walk.nextBeside()).rejects.toThrow('client gone');
    expect([a.cancelled, b.givenUp]).toEqual([1, 'aborted']);
  });
});

describe('Walk.askAgain', () => {
  it('puts a source back once', async () => {
    const a = new Scripted('a', ['ok', 'ok']);
    const { walk } = walkOver([a]);
    walk.refuse(await answerOf(walk.next()), 'truncated', 'cut');
    expect(await walk.next({ fromByte: 9 })).toBeUndefined();
    expect(walk.askAgain('nobody')).toBe(false);
    expect(walk.askAgain('a')).toBe(true);
    expect(walk.askAgain('a')).toBe(false);

    walk.refuse(await answerOf(walk.next()), 'truncated', 'cut again');
    expect(walk.askAgain('a')).toBe(false);
    expect(await walk.next()).toBeUndefined();
    expect(a.requests).toHaveLength(2);
  });

  it('is refused while the source is asked or its answer is in hand', async () => {
    const a = new Scripted('a', []);
    const { walk } = walkOver([a]);
    const asked = walk.next();
    expect(walk.askAgain('a')).toBe(false);
    a.say('ok');
    const answer = await answerOf(asked);
    expect(walk.askAgain('a')).toBe(false);
    walk.refuse(answer, 'protocol', 'another range');
    expect(walk.askAgain('a')).toBe(true);

    const again = walk.next();
    a.say('ok');
    expect((await again)?.upstream).toBe('a');
    expect(a.requests[1]).not.toHaveProperty('fromByte');
    walk.close();
    expect(walk.askAgain('a')).toBe(false);
  });
});
