import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { firstBody } from './first-body.ts';
import { plainPlan } from './plan.ts';
import { readBody } from './read-body.ts';
import { BodyUpstream } from './test-bodies.ts';
import { failure } from './test-servers.ts';
import { codes } from './test-walk.ts';
import { Walk } from './walk.ts';

function walkOver(names: string, { signal }: AbortController) {
  const upstreams = names.split('').map((name) => new BodyUpstream(name));
  const clock = new FakeClock();
  const walk = new Walk({
    plan: plainPlan({ upstreams, answerClass: 'meta', firstByteMs: 1_000, lastHopeMs: 60_000 }),
    target: '/example.com/m/@v/v1.0.0.info',
    answerClass: 'meta',
    signal,
    clock,
  });
  const [a, b] = upstreams as [BodyUpstream, BodyUpstream];
  return { walk, signal, clock, a, b };
}

function start(names: string, controller = new AbortController()) {
  const { walk, signal, clock, a, b } = walkOver(names, controller);
  const refused: string[] = [];
  const found = firstBody({
    walk,
    signal,
    clock,
    limitBytes: 100,
    withinMs: 60_000,
    judge(body) {
      if (body.toString() === 'bad') throw new Error('no good');
      return body.toString();
    },
    onRefused: (source, reason) => refused.push(`${source}: ${reason}`),
  });
  found.catch(() => {});
  return { clock, walk, found, refused, a, b, controller };
}

describe('firstBody', () => {
  it('takes the first source that is complete in time, and asks nobody else', async () => {
    const { found, clock, a, b } = start('ab');
    await clock.advance(0);
    a.answer().give('one', 'end');

    expect(await found).toEqual({ value: 'one', upstream: 'a' });
    expect(b.asked).toBe(0);
    expect(clock.timers).toBe(0);
  });

  it('asks the next one beside a body that drips, and blames the one that lost', async () => {
    const { found, clock, a, b, walk } = start('ab');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(900);
    expect(b.asked).toBe(0);
    await clock.advance(200);
    expect([a.cancelled, b.asked]).toEqual([0, 1]);
    b.answer().give('two', 'end');

    expect(await found).toEqual({ value: 'two', upstream: 'b' });
    expect(a.blames).toEqual(['timeout: its body was not complete after 1100 ms, that of b was']);
    expect(codes(walk)).toEqual(['a timeout', 'b ok']);
    await clock.advance(0);
    expect([a.cancelled, clock.timers]).toEqual([1, 0]);
  });

  it('takes the slow one after all when it is complete first, and blames nobody', async () => {
    const { found, clock, a, b, walk } = start('ab');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(1_100);
    b.answer().give('t');
    a.give('ne', 'end');

    expect(await found).toEqual({ value: 'one', upstream: 'a' });
    expect([...a.blames, ...b.blames]).toEqual([]);
    expect(b.cancelled).toBe(1);
    expect(codes(walk)).toEqual(['a ok', 'b beaten']);
  });

  it('waits for the slow one when the other brings nothing', async () => {
    const { found, clock, a, b, refused } = start('ab');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(1_100);
    b.answer().give('bad', 'end');
    await clock.advance(5_000);
    a.give('ne', 'end');

    expect(await found).toEqual({ value: 'one', upstream: 'a' });
    expect(refused).toEqual(['b: no good']);
  });

  it('goes on to the next after bytes that are refused', async () => {
    const { found, clock, a, b, walk } = start('ab');
    await clock.advance(0);
    a.answer().give('bad', 'end');
    await clock.advance(0);
    b.answer().give('two', 'end');

    expect(await found).toMatchObject({ upstream: 'b' });
    expect(codes(walk)).toEqual(['a refused', 'b ok']);
  });

  it('gives up the only source when its time is over', async () => {
    const { found, clock, a, walk } = start('a');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(61_000);

    expect(await found).toBeUndefined();
    expect(codes(walk)).toEqual(['a timeout']);
    expect(clock.timers).toBe(0);
  });

  it('ends with the caller, and is out of time at its deadline', async () => {
    const left = start('ab');
    await left.clock.advance(0);
    left.a.answer().give('o');
    await left.clock.advance(1_100);
    left.b.answer();
    await left.clock.advance(0);
    left.controller.abort(new Error('gone'));
    await expect(left.found).rejects.toThrow('gone');
    expect([left.a.cancelled, left.b.cancelled, left.clock.timers]).toEqual([1, 1, 0]);

    const late = start('a');
    await late.clock.advance(0);
    late.a.answer();
    await late.clock.advance(0);
    late.controller.abort(new DOMException('late', 'TimeoutError'));
    expect(await late.found).toBeUndefined();
    expect(codes(late.walk)).toEqual(['a timeout']);
  });
});

describe('firstBody with a judge that takes its time', () => {
  function judging(names: string, isFinal?: (error: unknown) => boolean) {
    const controller = new AbortController();
    const { walk, signal, clock, a, b } = walkOver(names, controller);
    const verdicts = new Map<string, PromiseWithResolvers<string>>();
    const found = firstBody({
      walk,
      signal,
      clock,
      limitBytes: 100,
      withinMs: 60_000,
      judge(_, upstream) {
        const verdict = Promise.withResolvers<string>();
        verdicts.set(upstream, verdict);
        return verdict.promise;
      },
      ...(isFinal === undefined ? {} : { isFinal }),
    });
    found.catch(() => {});
    return { clock, walk, found, a, b, controller, verdicts };
  }

  it('refuses the source whose judgement fails later, and takes what was complete meanwhile', async () => {
    const { found, clock, a, b, walk, verdicts } = judging('ab');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(1_100);
    b.answer().give('t');
    a.give('ne', 'end');
    await clock.advance(0);
    b.give('wo', 'end');
    await clock.advance(5_000);
    expect([...verdicts.keys()]).toEqual(['a']);
    verdicts.get('a')?.reject(new Error('no proof'));
    await clock.advance(0);
    verdicts.get('b')?.resolve('proven');

    expect(await found).toEqual({ value: 'proven', upstream: 'b' });
    expect(codes(walk)).toEqual(['a refused', 'b ok']);
    expect(clock.timers).toBe(0);
  });

  it('blames nobody who was complete while the winner was judged', async () => {
    const { found, clock, a, b, walk, verdicts } = judging('ab');
    await clock.advance(0);
    a.answer().give('o');
    await clock.advance(1_100);
    b.answer().give('two', 'end');
    await clock.advance(0);
    a.give('ne', 'end');
    await clock.advance(0);
    verdicts.get('b')?.resolve('proven');

    expect(await found).toEqual({ value: 'proven', upstream: 'b' });
    expect(a.blames).toEqual([]);
    expect(codes(walk)).toEqual(['a beaten', 'b ok']);
  });

  it('ends with a final error, without refusing the source or asking the next one', async () => {
    const { found, clock, a, b, verdicts } = judging('ab', (error) => error instanceof RangeError);
    await clock.advance(0);
    a.answer().give('one', 'end');
    await clock.advance(0);
    verdicts.get('a')?.reject(new RangeError('the end'));

    await expect(found).rejects.toThrow('the end');
    expect([a.blames, b.asked, clock.timers]).toEqual([[], 0, 0]);
  });

  it('ends with the caller although the judge does not', async () => {
    const { found, clock, a, controller, verdicts } = judging('ab');
    await clock.advance(0);
    a.answer().give('one', 'end');
    await clock.advance(0);
    expect(verdicts.size).toBe(1);
    controller.abort(new Error('gone'));

    await expect(found).rejects.toThrow('gone');
    expect([a.blames, clock.timers]).toEqual([[], 0]);
  });
});

describe('readBody within a time', () => {
  it('is timeout when the body is not complete by then, and cancels it', async () => {
    const source = new BodyUpstream('a');
    const clock = new FakeClock();
    const asked = source.fetch({ target: '/x', answerClass: 'meta', signal: new AbortController().signal });
    source.answer().give('abc');
    const failed = failure(readBody(await asked, 100, { clock, withinMs: 2_000 }));
    await clock.advance(2_000);

    expect(await failed).toMatchObject({
      code: 'timeout',
      message: 'its answer was not complete within 2 s',
    });
    expect([source.cancelled, clock.timers]).toEqual([1, 0]);
  });

  it('leaves no timer behind a body that is', async () => {
    const source = new BodyUpstream('a');
    const clock = new FakeClock();
    const asked = source.fetch({ target: '/x', answerClass: 'meta', signal: new AbortController().signal });
    source.answer().give('abc', 'end');

    expect((await readBody(await asked, 100, { clock, withinMs: 2_000 })).toString()).toBe('abc');
    expect(clock.timers).toBe(0);
  });
});
