/** The walk follows its plan: hedges, the reserve, what is skipped, the deadline. */
import { describe, expect, it } from 'vitest';
import type { Plan } from './plan.ts';
import { codes, planOver, Scripted, walkOver } from './test-walk.ts';
import type { SourceOutcome } from './types.ts';
import { verdict } from './verdict.ts';

const skipped: SourceOutcome = {
  source: 'resting',
  code: 'skipped',
  message: 'asked for a pause, 20 s left',
  tookMs: 0,
};
const open = { knownToExist: false, isPrivate: false };

function hedged(count = 10): Partial<Plan> & { taken: number } {
  const plan = {
    taken: 0,
    hedgeMs: () => 200,
    takeHedge: () => {
      if (plan.taken >= count) return false;
      plan.taken += 1;
      return true;
    },
  };
  return plan;
}

describe('Walk: hedges', () => {
  it('asks the next one as well after the hedge delay of a small answer, once for each source', async () => {
    const [a, b, c] = [new Scripted('a', []), new Scripted('b', []), new Scripted('c', [])];
    const hedge = hedged();
    const { walk, clock } = walkOver(planOver([a, b, c], hedge), { answerClass: 'meta' });
    const answer = walk.next();

    await clock.advance(199);
    expect(b.requests).toHaveLength(0);
    await clock.advance(1);
    expect(b.requests).toHaveLength(1);
    expect(c.requests).toHaveLength(0);
    await clock.advance(200);
    expect(c.requests).toHaveLength(1);
    b.say('ok');

    expect((await answer)?.upstream).toBe('b');
    expect([a.givenUp, c.givenUp]).toEqual(['beaten', 'beaten']);
    expect(walk.outcomes.map(({ code, tookMs }) => [code, tookMs])).toEqual([
      ['beaten', 400],
      ['ok', 200],
      ['beaten', 0],
    ]);
    expect(hedge.taken).toBe(2);
    expect(clock.timers).toBe(0);
  });

  it('waits for the patience when the budget is spent', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['ok'])];
    const { walk, clock } = walkOver(planOver([a, b], hedged(0)), { answerClass: 'meta' });
    const answer = walk.next();
    await clock.advance(999);
    expect(b.requests).toHaveLength(0);
    await clock.advance(1);
    expect((await answer)?.upstream).toBe('b');
  });

  it('takes no hedge for a zip, nor when there is nobody to ask', async () => {
    const hedge = hedged();
    const [a, b] = [new Scripted('a', []), new Scripted('b', [])];
    const zip = walkOver(planOver([a, b], hedge));
    void zip.walk.next();
    await zip.clock.advance(999);
    expect(b.requests).toHaveLength(0);
    zip.walk.close();

    const alone = walkOver(planOver([new Scripted('c', [])], hedge), { answerClass: 'meta' });
    void alone.walk.next();
    await alone.clock.advance(30_000);
    alone.walk.close();
    expect(hedge.taken).toBe(0);
  });

  it('does not hedge behind a strict source, and never with the reserve', async () => {
    const hedge = hedged();
    const later = new Scripted('later', []);
    const strict = walkOver(planOver([new Scripted('strict', [], true), later], hedge), {
      answerClass: 'meta',
    });
    void strict.walk.next();
    await strict.clock.advance(30_000);
    expect(later.requests).toHaveLength(0);
    strict.walk.close();

    const [r1, r2] = [new Scripted('r1', []), new Scripted('r2', [])];
    const { walk, clock } = walkOver(planOver([], { ...hedge, reserve: [r1, r2] }), { answerClass: 'meta' });
    void walk.next();
    await clock.advance(999);
    expect([r1.requests.length, r2.requests.length]).toEqual([1, 0]);
    await clock.advance(1);
    expect(r2.requests).toHaveLength(1);
    walk.close();
    expect(hedge.taken).toBe(0);
  });
});

describe('Walk: reserve and skipped', () => {
  it('asks the reserve only when everybody else has failed', async () => {
    const [slow, out] = [new Scripted('slow', []), new Scripted('out', ['ok'])];
    const { walk, clock } = walkOver(
      planOver([new Scripted('a', ['reset']), slow], { reserve: [out], skipped: [skipped] }),
    );
    const answer = walk.next();
    await clock.advance(50_000);
    expect(out.requests).toHaveLength(0);
    slow.say('status');

    expect((await answer)?.upstream).toBe('out');
    expect(codes(walk)).toEqual(['a reset', 'slow status', 'out ok', 'resting skipped']);
  });

  it('asks the reserve after a last hope that never answered', async () => {
    const { walk, clock } = walkOver(
      planOver([new Scripted('silent', [])], { reserve: [new Scripted('out', ['ok'])] }),
    );
    const answer = walk.next();
    await clock.advance(60_000);
    expect((await answer)?.upstream).toBe('out');
    expect(codes(walk)).toEqual(['silent timeout', 'out ok']);
  });

  it('does not ask the reserve when a source has said absent', async () => {
    const out = new Scripted('out', ['ok']);
    const { walk } = walkOver(
      planOver([new Scripted('a', ['absent']), new Scripted('b', ['reset'])], {
        reserve: [out],
        skipped: [skipped],
      }),
    );
    expect(await walk.next()).toBeUndefined();
    expect(out.requests).toHaveLength(0);
    expect(verdict(walk.outcomes, open)).toEqual({ kind: 'absent', partial: true });
  });

  it('goes on over the reserve, and believes none of its absences', async () => {
    const { walk } = walkOver(
      planOver([], { reserve: [new Scripted('out1', ['absent']), new Scripted('out2', ['gone'])] }),
    );
    expect(await walk.next()).toBeUndefined();
    expect(walk.outcomes).toMatchObject([
      { source: 'out1', code: 'absent', isDoubtful: true },
      { source: 'out2', code: 'gone', isDoubtful: true },
    ]);
    expect(verdict(walk.outcomes, open).kind).toBe('failed');
  });

  it('marks no absence of the main tier as doubtful', async () => {
    const { walk } = walkOver([new Scripted('a', ['absent'])]);
    await walk.next();
    expect(walk.outcomes[0]).not.toHaveProperty('isDoubtful');
  });

  it('asks no reserve after a strict source that fails', async () => {
    const out = new Scripted('out', ['ok']);
    const { walk } = walkOver(planOver([new Scripted('strict', ['connect'], true)], { reserve: [out] }));
    expect(await walk.next()).toBeUndefined();
    expect(out.requests).toHaveLength(0);
  });

  it('says who was skipped when nobody could be asked', async () => {
    const { walk } = walkOver(planOver([], { skipped: [skipped] }));
    expect(await walk.next()).toBeUndefined();
    expect(walk.outcomes).toEqual([skipped]);
  });
});

describe('Walk: deadline', () => {
  it('tells each source how much time is left', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['ok'])];
    const { walk, clock } = walkOver([a, b], { deadlineAtMs: () => 5000 });
    const answer = walk.next();
    await clock.advance(1000);
    await answer;
    expect(a.requests[0]?.remainingMs).toBe(5000);
    expect(b.requests[0]?.remainingMs).toBe(4000);
  });

  it.each([
    { deadlineAtMs: 1500, isAsked: true },
    { deadlineAtMs: 1499, isAsked: false },
  ])('asks nobody in the last 500 ms: $deadlineAtMs', async ({ deadlineAtMs, isAsked }) => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', [])];
    const { walk, clock } = walkOver([a, b], { deadlineAtMs: () => deadlineAtMs });
    void walk.next();
    await clock.advance(1000);
    expect(b.requests).toHaveLength(isAsked ? 1 : 0);
    expect(a.givenUp).toBeUndefined();
    walk.close();
  });

  it('counts who was not asked for want of time as one that could know', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['ok'])];
    const { walk, clock } = walkOver([a, b], { deadlineAtMs: () => 1200 });
    const answer = walk.next();
    await clock.advance(900);
    a.say('absent');

    expect(await answer).toBeUndefined();
    expect(codes(walk)).toEqual(['a absent', 'b timeout']);
    expect(verdict(walk.outcomes, { knownToExist: true, isPrivate: false }).kind).toBe('failed');
    expect(b.requests).toHaveLength(0);
    expect(walk.outcomes.map(({ isTooLate }) => isTooLate === true)).toEqual([false, true]);
  });

  it('is looked at anew for each source and each repeat, since askers come and go', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['reset', 'ok'])];
    let deadlineAtMs: number | undefined = 2000;
    const plan = planOver([a, b], { takeRepeat: ({ name }) => (name === 'b' ? 100 : undefined) });
    const { walk, clock } = walkOver(plan, { deadlineAtMs: () => deadlineAtMs });
    const answer = walk.next();
    deadlineAtMs = 9000;
    await clock.advance(1000);
    deadlineAtMs = undefined;
    a.say('reset');
    await clock.advance(100);
    expect((await answer)?.upstream).toBe('b');
    expect([...a.requests, ...b.requests].map(({ remainingMs }) => remainingMs)).toEqual([
      2000,
      8000,
      undefined,
    ]);
  });

  it('asks the next one for those who joined with more time, as soon as that of the others is over', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['ok'])];
    let deadlineAtMs = 1400;
    const { walk, clock } = walkOver([a, b], { deadlineAtMs: () => deadlineAtMs });
    const answer = walk.next();
    await clock.advance(1000);
    deadlineAtMs = 9000;
    await clock.advance(399);
    expect(b.requests).toHaveLength(0);
    await clock.advance(1);
    expect((await answer)?.upstream).toBe('b');
    expect(clock.timers).toBe(0);
  });

  it('leaves one that is asked its last hope when nobody else has more time', async () => {
    const [a, b] = [new Scripted('a', []), new Scripted('b', ['ok'])];
    const { walk, clock } = walkOver([a, b], { deadlineAtMs: () => 1400 });
    const answer = walk.next();
    await clock.advance(1400);
    expect(a.givenUp).toBeUndefined();
    await clock.advance(60_000);
    expect(await answer).toBeUndefined();
    expect(a.givenUp).toBe('timeout');
    expect(b.requests).toHaveLength(0);
  });
});
