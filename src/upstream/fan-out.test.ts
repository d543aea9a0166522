import { describe, expect, it } from 'vitest';
import { playFanOut as play } from './test-fan-out.ts';

describe('fanOut', () => {
  it('asks public upstreams together and waits for all that are quick', async () => {
    const { result, clock, asked } = play([
      { name: 'a', says: 'A', afterMs: 10 },
      { name: 'b', says: { error: 'absent' }, afterMs: 20 },
      { name: 'c', says: 'C', afterMs: 400 },
    ]);
    expect(asked).toEqual(['a', 'b', 'c']);
    await clock.advance(400);

    expect(await result).toEqual({
      answers: [
        { upstream: 'a', value: 'A' },
        { upstream: 'c', value: 'C' },
      ],
      outcomes: [
        { source: 'a', code: 'ok', message: 'answered', tookMs: 10 },
        { source: 'b', code: 'absent', message: 'says absent', tookMs: 20, status: 500 },
        { source: 'c', code: 'ok', message: 'answered', tookMs: 400 },
      ],
    });
  });

  it('waits 500 ms after the first answer and hands a later one over', async () => {
    const late: string[] = [];
    const { result, clock, aborted } = play(
      [
        { name: 'slow', says: 'S', afterMs: 5000 },
        { name: 'quick', says: 'Q', afterMs: 100 },
      ],
      { onLate: (upstream, value) => late.push(`${upstream} ${value}`) },
    );
    let isDone = false;
    void result.then(() => {
      isDone = true;
    });
    await clock.advance(599);
    expect(isDone).toBe(false);
    await clock.advance(1);

    const { answers, outcomes } = await result;
    expect(answers).toEqual([{ upstream: 'quick', value: 'Q' }]);
    expect(outcomes[0]).toMatchObject({ source: 'slow', code: 'beaten', tookMs: 600 });
    await clock.advance(5000);
    expect(late).toEqual(['slow S']);
    expect(aborted).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it('cancels what is late when nobody wants it, and in the end when somebody does', async () => {
    const scripts = [
      { name: 'never', says: 'N', afterMs: 1_000_000 },
      { name: 'quick', says: 'Q' },
    ];
    const unwanted = play(scripts);
    await unwanted.clock.advance(500);
    await unwanted.result;
    await unwanted.clock.advance(0);
    expect(unwanted.aborted).toEqual(['never']);
    expect(unwanted.reasons).toMatchObject([{ code: 'beaten', upstream: 'never' }]);
    expect(unwanted.clock.timers).toBe(0);

    const wanted = play(scripts, { onLate: () => {} });
    await wanted.clock.advance(500);
    await wanted.result;
    expect(wanted.aborted).toEqual([]);
    await wanted.clock.advance(60_000);
    expect(wanted.aborted).toEqual(['never']);
    expect(wanted.reasons).toMatchObject([{ code: 'timeout', upstream: 'never' }]);
  });

  it('does not count an absence as the first answer', async () => {
    const { result, clock } = play([
      { name: 'a', says: { error: 'absent' } },
      { name: 'b', says: 'B', afterMs: 3000 },
    ]);
    await clock.advance(3000);
    expect((await result).answers).toEqual([{ upstream: 'b', value: 'B' }]);
  });

  it('asks nobody behind a strict upstream that answers', async () => {
    const { result, clock, asked } = play([
      { name: 'strict', says: 'S', isStrict: true },
      { name: 'b', says: 'B' },
    ]);
    await clock.advance(1);
    expect((await result).answers).toEqual([{ upstream: 'strict', value: 'S' }]);
    expect(asked).toEqual(['strict']);
  });

  it('asks nobody behind a strict upstream that fails', async () => {
    const { result, clock, asked } = play([
      { name: 'strict', says: { error: 'connect' }, isStrict: true },
      { name: 'b', says: 'B' },
    ]);
    await clock.advance(1);
    expect(await result).toMatchObject({ answers: [], outcomes: [{ source: 'strict', code: 'connect' }] });
    expect(asked).toEqual(['strict']);
  });

  it('asks a strict upstream by itself, after those before it', async () => {
    const { result, clock, asked } = play([
      { name: 'public', says: 'P', afterMs: 10 },
      { name: 'strict', says: 'S', isStrict: true },
    ]);
    await clock.advance(10);
    expect((await result).answers).toEqual([{ upstream: 'public', value: 'P' }]);
    expect(asked).toEqual(['public']);
  });

  it('moves on from a strict upstream that says absent, and from public ones that fail', async () => {
    const { result, clock, asked } = play([
      { name: 'strict', says: { error: 'gone' }, isStrict: true },
      { name: 'public', says: { error: 'status' } },
      { name: 'strict2', says: 'X', isStrict: true },
    ]);
    await clock.advance(5);
    expect((await result).answers).toEqual([{ upstream: 'strict2', value: 'X' }]);
    expect(asked).toEqual(['strict', 'public', 'strict2']);
  });

  it('refuses a body that is too long or that the reader does not take', async () => {
    const { result, clock, blames } = play(
      [
        { name: 'long', says: 'x'.repeat(101) },
        { name: 'odd', says: 'odd' },
      ],
      {
        read: (body) => {
          throw new SyntaxError(`not a list: ${body.toString()}`);
        },
      },
    );
    await clock.advance(1);
    expect((await result).outcomes).toMatchObject([
      { source: 'long', code: 'refused' },
      { source: 'odd', code: 'refused', message: 'not a list: odd' },
    ]);
    expect(blames).toEqual([
      'long refused: sent more bytes where at most 100 are expected',
      'odd refused: not a list: odd',
    ]);
  });

  it('gives up after the last hope', async () => {
    const { result, clock, aborted } = play([{ name: 'a', says: 'A', afterMs: 1_000_000 }]);
    await clock.advance(60_000);
    expect(await result).toMatchObject({ answers: [], outcomes: [{ code: 'timeout', tookMs: 60_000 }] });
    expect(aborted).toEqual(['a']);
  });

  it('rejects with the reason when the caller leaves, but makes a deadline a result', async () => {
    for (const isLate of [false, true]) {
      const controller = new AbortController();
      const { result, aborted } = play([{ name: 'a', says: 'A', afterMs: 100 }], {
        signal: controller.signal,
      });
      controller.abort(isLate ? new DOMException('late', 'TimeoutError') : new Error('client gone'));
      if (isLate) expect(await result).toMatchObject({ answers: [], outcomes: [{ source: 'a' }] });
      else await expect(result).rejects.toThrow('client gone');
      expect(aborted).toEqual(['a']);
    }
  });
});
