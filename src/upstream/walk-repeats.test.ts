/** The same source again, when nobody else is left (ruling 18). */
import { describe, expect, it } from 'vitest';
import type { FailedAttempt, Plan } from './plan.ts';
import { answerOf, codes, planOver, Scripted, walkOver } from './test-walk.ts';

/** Repeats of everybody up to `count`, after `waitMs`; remembers what it was asked. */
function repeating(count: number, waitMs = 100) {
  const asked: { name: string; nth: number; error: FailedAttempt }[] = [];
  const takeRepeat: Plan['takeRepeat'] = (upstream, nth, error) => {
    asked.push({ name: upstream.name, nth, error });
    return nth <= count ? waitMs : undefined;
  };
  return { asked, takeRepeat };
}

describe('Walk: repeats', () => {
  it('asks the one again whose failure is most likely to pass, after the wait', async () => {
    const [a, b, c] = [
      new Scripted('a', ['refused']),
      new Scripted('b', ['status', 'ok']),
      new Scripted('c', ['reset']),
    ];
    const { asked, takeRepeat } = repeating(2);
    const { walk, clock } = walkOver(planOver([a, b, c], { takeRepeat }));
    const answer = walk.next();

    await clock.advance(99);
    expect(b.requests).toHaveLength(1);
    await clock.advance(1);

    expect((await answer)?.upstream).toBe('b');
    expect(asked).toEqual([
      { name: 'b', nth: 1, error: { code: 'status', status: 503, retryAfterMs: 7000 } },
    ]);
    expect(codes(walk)).toEqual(['a refused', 'b ok', 'c reset']);
    expect(clock.timers).toBe(0);
  });

  it('lets a later failure replace the one before, and counts', async () => {
    const a = new Scripted('a', ['reset', 'truncated', 'connect', 'reset']);
    const { walk, clock } = walkOver(planOver([a], { takeRepeat: repeating(2).takeRepeat }));
    const answer = walk.next();
    await clock.advance(100);
    expect(walk.outcomes[0]?.message).toBe('says truncated (after 1 repeat)');
    await clock.advance(100);

    expect(await answer).toBeUndefined();
    expect(a.requests).toHaveLength(3);
    expect(walk.outcomes).toMatchObject([{ code: 'connect', message: 'says connect (after 2 repeats)' }]);
  });

  it('takes the next candidate when the plan has no repeat for the first', async () => {
    const [a, b] = [new Scripted('a', ['reset']), new Scripted('b', ['dns', 'ok'])];
    const { walk, clock } = walkOver(
      planOver([a, b], { takeRepeat: ({ name }) => (name === 'b' ? 10 : undefined) }),
    );
    const answer = walk.next();
    await clock.advance(10);
    expect((await answer)?.upstream).toBe('b');
  });

  it('repeats only after the reserve, and also what of it failed', async () => {
    const [a, out] = [new Scripted('a', ['dns']), new Scripted('out', ['reset', 'absent'])];
    const { asked, takeRepeat } = repeating(1);
    const { walk, clock } = walkOver(planOver([a], { reserve: [out], takeRepeat }));
    const answer = walk.next();
    await clock.advance(100);

    expect(await answer).toBeUndefined();
    expect(asked[0]).toMatchObject({ name: 'out', nth: 1 });
    expect(walk.outcomes[1]).toMatchObject({ code: 'absent', isDoubtful: true });
  });

  it('repeats after a body that broke', async () => {
    const a = new Scripted('a', ['ok', 'ok']);
    const { walk, clock } = walkOver(planOver([a], { takeRepeat: repeating(2).takeRepeat }));
    walk.refuse(await answerOf(walk.next()), 'truncated', 'sent 5 of 9 bytes');
    const again = walk.next({ fromByte: 5, ifRange: '"x"' });
    await clock.advance(100);

    expect((await again)?.upstream).toBe('a');
    expect(a.requests[1]).toMatchObject({ fromByte: 5, ifRange: '"x"' });
  });

  it('repeats nothing after an absence, nor a last hope that had all the time there is', async () => {
    const { asked, takeRepeat } = repeating(2);
    const absent = walkOver(
      planOver([new Scripted('a', ['absent']), new Scripted('b', ['reset'])], { takeRepeat }),
    );
    expect(await absent.walk.next()).toBeUndefined();

    const silent = walkOver(planOver([new Scripted('a', [])], { takeRepeat }));
    const answer = silent.walk.next();
    await silent.clock.advance(60_000);
    expect(await answer).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('repeats a strict source, and goes on behind it once it says absent', async () => {
    const [strict, later] = [
      new Scripted('strict', ['status', 'absent'], true),
      new Scripted('later', ['ok']),
    ];
    const { walk, clock } = walkOver(planOver([strict, later], { takeRepeat: repeating(2).takeRepeat }));
    const answer = walk.next();
    await clock.advance(99);
    expect(later.requests).toHaveLength(0);
    await clock.advance(1);
    expect((await answer)?.upstream).toBe('later');
    expect(codes(walk)).toEqual(['strict absent', 'later ok']);
  });

  it('repeats nobody behind a strict source that failed when it was asked again', async () => {
    const [strict, later] = [
      new Scripted('strict', ['absent', 'status'], true),
      new Scripted('later', ['reset']),
    ];
    const { asked, takeRepeat } = repeating(0);
    const { walk } = walkOver(planOver([strict, later], { takeRepeat }));
    expect(await walk.next()).toBeUndefined();
    walk.askAgain('strict');
    expect(await walk.next()).toBeUndefined();
    expect(asked.map(({ name }) => name)).toEqual(['strict']);
  });

  it('repeats nobody once the caller has left or closed', async () => {
    for (const leave of ['abort', 'close'] as const) {
      const a = new Scripted('a', ['reset', 'ok']);
      const controller = new AbortController();
      const { walk, clock } = walkOver(planOver([a], { takeRepeat: repeating(2).takeRepeat }), {
        signal: controller.signal,
      });
      const answer = walk.next();
      await clock.advance(50);
      expect(clock.timers).toBe(1);
      if (leave === 'abort') controller.abort(new Error('client gone'));
      else walk.close();
      await clock.advance(1000);

      if (leave === 'abort') await expect(answer).rejects.toThrow('client gone');
      else expect(await answer).toBeUndefined();
      expect(a.requests).toHaveLength(1);
      expect(clock.timers).toBe(0);
    }
  });

  it('takes a silence as long as the last hope for one, whoever ended it', async () => {
    const a = new Scripted('a', []);
    const { asked, takeRepeat } = repeating(2);
    const { walk, clock } = walkOver(planOver([a, new Scripted('b', [])], { takeRepeat }));
    const answer = walk.next();
    await clock.advance(60_000);
    a.say('timeout');
    await clock.advance(1000);
    expect(await answer).toBeUndefined();
    expect(codes(walk)).toEqual(['a timeout', 'b timeout']);
    expect(asked).toEqual([]);
  });

  it('makes no repeat that would begin in the last 500 ms', async () => {
    const a = new Scripted('a', ['reset', 'ok']);
    const { walk, clock } = walkOver(planOver([a], { takeRepeat: repeating(1, 400).takeRepeat }), {
      deadlineAtMs: () => 899,
    });
    expect(await walk.next()).toBeUndefined();
    await clock.advance(1000);
    expect(a.requests).toHaveLength(1);
  });
});
