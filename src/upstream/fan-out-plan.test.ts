/** The fan-out follows its plan: whom it waits for, the reserve, repeats, the deadline. */
import { describe, expect, it } from 'vitest';
import type { Plan } from './plan.ts';
import { plainAnswer } from './test-answers.ts';
import { type FanOutScript, playFanOut as play } from './test-fan-out.ts';
import { type Upstream, UpstreamError } from './types.ts';
import { verdict } from './verdict.ts';

describe('fanOut, by levels', () => {
  const levels = { levelOf: ({ name }: Upstream) => (name.startsWith('root') ? 2 : 1) };

  it('asks nobody of a higher level when one of a lower one answers', async () => {
    const { result, clock, asked } = play(
      [
        { name: 'a', says: 'A' },
        { name: 'b', says: 'B' },
        { name: 'root', says: 'R' },
      ],
      { plan: levels },
    );
    await clock.advance(1);
    expect((await result).answers.map(({ value }) => value)).toEqual(['A', 'B']);
    expect(asked).toEqual(['a', 'b']);
  });

  it.each([{ error: 'absent' }, { error: 'reset' }] as const)('goes on to it after %j', async (says) => {
    const { result, clock } = play(
      [
        { name: 'a', says },
        { name: 'root', says: 'R' },
      ],
      { plan: levels },
    );
    await clock.advance(1);
    expect((await result).answers).toEqual([{ upstream: 'root', value: 'R' }]);
  });

  it('asks it beside those who are silent for their usual time', async () => {
    const { result, clock, asked } = play(
      [
        { name: 'a', says: 'A', afterMs: 50_000 },
        { name: 'root', says: 'R', afterMs: 10 },
      ],
      { plan: levels },
    );
    await clock.advance(4_999);
    expect(asked).toEqual(['a']);
    await clock.advance(1);
    expect(asked).toEqual(['a', 'root']);
    await clock.advance(510);
    expect((await result).answers).toEqual([{ upstream: 'root', value: 'R' }]);
    expect(clock.timers).toBe(0);
  });
});

describe('fanOut, after an absence', () => {
  const scripts = [
    { name: 'silent', says: 'S', afterMs: 50_000 },
    { name: 'a', says: { error: 'absent' }, afterMs: 10 },
  ] as const;

  it('gives the silent ones their patience only for a module that nobody knows, and does not blame them', async () => {
    const { result, clock, reasons } = play([...scripts], { isKnown: () => Promise.resolve(false) });
    await clock.advance(5_000);
    const { outcomes } = await result;
    expect(outcomes.map(({ code }) => code)).toEqual(['timeout', 'absent']);
    expect(reasons).toMatchObject([{ code: 'aborted' }]);
    expect(clock.timers).toBe(0);
  });

  it('waits for one that may have it, until it becomes suspect', async () => {
    let tell: ((name: string) => void) | undefined;
    const plan: Partial<Plan> = {
      onLost: (listener) => {
        tell = listener;
        return () => {};
      },
    };
    const { result, clock } = play([...scripts], { isKnown: () => Promise.resolve(true), plan });
    let isOver = false;
    void result.then(() => (isOver = true));
    await clock.advance(20_000);
    expect(isOver).toBe(false);
    tell?.('silent');
    await clock.advance(1);
    expect(isOver).toBe(true);
  });
});

describe('fanOut, by its plan', () => {
  it('does not wait for those whom the plan does not wait for, once one has answered', async () => {
    const plan = { isWaitedFor: ({ name }: Upstream) => name !== 'suspect' };
    const scripts = [
      { name: 'suspect', says: 'S', afterMs: 400 },
      { name: 'a', says: 'A', afterMs: 10 },
      { name: 'b', says: { error: 'absent' }, afterMs: 50 },
    ] as const;
    const { result, clock, reasons } = play([...scripts], { plan });
    await clock.advance(49);
    expect(reasons).toEqual([]);
    await clock.advance(1);

    const { answers, outcomes } = await result;
    expect(answers).toEqual([{ upstream: 'a', value: 'A' }]);
    expect(outcomes.map(({ code }) => code)).toEqual(['beaten', 'ok', 'absent']);
    // It was not even waited for, so nothing is held against it.
    expect(reasons).toMatchObject([{ code: 'aborted', upstream: 'suspect' }]);
    expect(clock.timers).toBe(0);
  });

  it('takes the answer of one that is not waited for when it is the only one', async () => {
    const { result, clock } = play(
      [
        { name: 'suspect', says: 'S', afterMs: 20_000 },
        { name: 'a', says: { error: 'reset' }, afterMs: 10 },
      ],
      { plan: { isWaitedFor: ({ name }) => name !== 'suspect' } },
    );
    await clock.advance(20_000);
    expect((await result).answers).toEqual([{ upstream: 'suspect', value: 'S' }]);
  });

  it('gives such a one its usual patience to object to an absence, and no more', async () => {
    for (const [afterMs, count] of [
      [4999, 1],
      [5001, 0],
    ] as const) {
      const { result, clock, reasons } = play(
        [
          { name: 'suspect', says: 'S', afterMs },
          { name: 'a', says: { error: 'absent' }, afterMs: 10 },
        ],
        { plan: { isWaitedFor: ({ name }) => name !== 'suspect' } },
      );
      await clock.advance(5000);
      const { answers, outcomes } = await result;
      expect(answers).toHaveLength(count);
      if (count > 0) continue;
      expect(outcomes.map(({ code }) => code)).toEqual(['timeout', 'absent']);
      expect(reasons).toMatchObject([{ code: 'aborted' }]);
      const facts = { knownToExist: false, isPrivate: false };
      expect(verdict(outcomes, facts)).toEqual({ kind: 'absent', partial: true });
    }
  });

  it('cuts nobody short for a doubtful absence', async () => {
    const { result, clock } = play(
      [
        { name: 'out1', says: { error: 'absent' }, isReserve: true },
        { name: 'out2', says: 'O', afterMs: 20_000, isReserve: true },
      ],
      { plan: { isWaitedFor: ({ name }) => name === 'out1' } },
    );
    await clock.advance(20_000);
    expect((await result).answers).toEqual([{ upstream: 'out2', value: 'O' }]);
  });

  it('blames nobody for a body that was dropped', async () => {
    const { result, clock, blames } = play([{ name: 'a', says: 'A' }], {
      read: () => {
        throw new UpstreamError('a', 'aborted', 'the body was dropped');
      },
    });
    await clock.advance(1);
    expect((await result).outcomes).toMatchObject([{ code: 'aborted' }]);
    expect(blames).toEqual([]);
  });

  it('asks the reserve, together, only when the others brought neither answer nor absence', async () => {
    const reserve: FanOutScript[] = [
      { name: 'out1', says: { error: 'absent' }, isReserve: true },
      { name: 'out2', says: 'O', isReserve: true },
    ];
    const skipped = { source: 'rests', code: 'skipped', message: 'asked for a pause', tookMs: 0 } as const;
    const failed = play([{ name: 'a', says: { error: 'reset' }, afterMs: 30 }, ...reserve], {
      plan: { skipped: [skipped] },
    });
    await failed.clock.advance(29);
    expect(failed.asked).toEqual(['a']);
    await failed.clock.advance(2);
    const { answers, outcomes } = await failed.result;
    expect(answers).toEqual([{ upstream: 'out2', value: 'O' }]);
    expect(outcomes).toMatchObject([
      { source: 'a', code: 'reset' },
      { source: 'out1', code: 'absent', isDoubtful: true },
      { source: 'out2', code: 'ok' },
      skipped,
    ]);

    const absent = play([{ name: 'a', says: { error: 'absent' } }, ...reserve]);
    await absent.clock.advance(1);
    expect((await absent.result).answers).toEqual([]);
    expect(absent.asked).toEqual(['a']);

    const strict = play([{ name: 'a', says: { error: 'reset' }, isStrict: true }, ...reserve]);
    await strict.clock.advance(1);
    await strict.result;
    expect(strict.asked).toEqual(['a']);
  });

  it('asks one again when all have failed, and nobody when one has said absent', async () => {
    const takeRepeat: Plan['takeRepeat'] = (_, nth) => (nth <= 2 ? 100 : undefined);
    const failed = play(
      [
        { name: 'a', says: { error: 'refused' } },
        { name: 'b', says: { error: 'reset' }, thenSays: 'B' },
      ],
      { plan: { takeRepeat } },
    );
    await failed.clock.advance(100);
    expect(failed.asked).toEqual(['a', 'b', 'b']);
    const { answers, outcomes } = await failed.result;
    expect(answers).toEqual([{ upstream: 'b', value: 'B' }]);
    expect(outcomes).toMatchObject([
      { source: 'a', code: 'refused' },
      { source: 'b', code: 'ok', message: 'answered (after 1 repeat)' },
    ]);
    expect(failed.clock.timers).toBe(0);

    const dead = play([{ name: 'a', says: { error: 'connect' } }], { plan: { takeRepeat } });
    await dead.clock.advance(1000);
    expect((await dead.result).outcomes[0]?.message).toBe('says connect (after 2 repeats)');
    expect(dead.asked).toHaveLength(3);

    const absent = play(
      [
        { name: 'a', says: { error: 'absent' } },
        { name: 'b', says: { error: 'reset' } },
      ],
      { plan: { takeRepeat } },
    );
    await absent.clock.advance(1000);
    await absent.result;
    expect(absent.asked).toEqual(['a', 'b']);
  });

  it('goes on behind a strict upstream whose repeat says absent', async () => {
    const { result, clock, asked } = play(
      [
        { name: 'strict', says: { error: 'status' }, thenSays: { error: 'absent' }, isStrict: true },
        { name: 'public', says: 'P' },
      ],
      { plan: { takeRepeat: () => 100 } },
    );
    await clock.advance(50);
    expect(asked).toEqual(['strict']);
    await clock.advance(50);
    await clock.advance(1);
    expect((await result).answers).toEqual([{ upstream: 'public', value: 'P' }]);
  });

  it('stops waiting for a repeat when the caller leaves', async () => {
    const controller = new AbortController();
    const { result, clock, asked } = play([{ name: 'a', says: { error: 'reset' } }], {
      signal: controller.signal,
      plan: { takeRepeat: () => 100 },
    });
    await clock.advance(50);
    controller.abort(new Error('client gone'));
    await expect(result).rejects.toThrow('client gone');
    await clock.advance(1000);
    expect(asked).toEqual(['a']);
    expect(clock.timers).toBe(0);
  });

  it('tells how much time is left, and asks nobody in the last 500 ms', async () => {
    const { result, clock, asked, requests } = play(
      [
        { name: 'strict', says: { error: 'absent' }, afterMs: 600, isStrict: true },
        { name: 'public', says: 'P' },
      ],
      { deadlineAtMs: () => 1000 },
    );
    await clock.advance(600);
    expect(requests[0]?.remainingMs).toBe(1000);
    expect(asked).toEqual(['strict']);
    expect((await result).outcomes.map(({ code }) => code)).toEqual(['absent', 'timeout']);
  });

  it('asks the next group for those who joined with more time, as soon as that of the others is over', async () => {
    let deadlineAtMs = 5_400;
    const { result, clock, asked, requests } = play(
      [
        { name: 'near', says: 'N', afterMs: 50_000 },
        { name: 'far', says: 'F' },
      ],
      { deadlineAtMs: () => deadlineAtMs, plan: { levelOf: ({ name }) => (name === 'near' ? 1 : 2) } },
    );
    await clock.advance(5_000);
    deadlineAtMs = 20_000;
    await clock.advance(399);
    expect(asked).toEqual(['near']);
    await clock.advance(1);
    expect(asked).toEqual(['near', 'far']);
    expect(requests[1]?.remainingMs).toBe(14_600);
    await clock.advance(500);
    expect((await result).answers).toEqual([{ upstream: 'far', value: 'F' }]);
  });

  it('drops an answer of one that was given up, and survives an owner who throws', async () => {
    let cancelled = 0;
    const answer = Promise.withResolvers<void>();
    const deaf: Upstream = {
      name: 'deaf',
      isPrivate: false,
      stopsOnError: false,
      fetch: async () => {
        await answer.promise;
        return plainAnswer('deaf', {
          contentLength: undefined,
          cancel: () => {
            cancelled += 1;
          },
        });
      },
      close: async () => {},
    };
    const alone = play([], { plan: { upstreams: [deaf] } });
    await alone.clock.advance(60_000);
    expect((await alone.result).outcomes).toMatchObject([{ code: 'timeout' }]);
    answer.resolve();
    await alone.clock.advance(0);
    expect(cancelled).toBe(1);

    const { result, clock } = play(
      [
        { name: 'slow', says: 'S', afterMs: 900 },
        { name: 'quick', says: 'Q' },
      ],
      {
        onLate: () => {
          throw new Error('owner');
        },
      },
    );
    await clock.advance(1000);
    expect((await result).answers).toEqual([{ upstream: 'quick', value: 'Q' }]);
  });
});
