import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type FanOutOptions, fanOut } from './fan-out.ts';
import { plainPlan } from './plan.ts';
import { type Upstream, UpstreamError, type UpstreamErrorCode } from './types.ts';

interface Script {
  readonly name: string;
  /** A body, or why there is none. */
  readonly says: string | { readonly error: UpstreamErrorCode };
  readonly afterMs?: number;
  readonly isStrict?: boolean;
}

function play(scripts: Script[], more: Partial<FanOutOptions<string>> = {}) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const aborted: string[] = [];
  const upstreams = scripts.map(
    (script): Upstream => ({
      name: script.name,
      isPrivate: false,
      stopsOnError: script.isStrict ?? false,
      fetch(request) {
        asked.push(script.name);
        return new Promise((resolve, reject) => {
          request.signal.addEventListener('abort', () => {
            aborted.push(script.name);
            reject(new UpstreamError(script.name, 'aborted', 'aborted'));
          });
          clock.setTimeout(() => {
            const { says } = script;
            if (typeof says !== 'string') {
              reject(new UpstreamError(script.name, says.error, `says ${says.error}`, { status: 500 }));
              return;
            }
            resolve({
              upstream: script.name,
              contentLength: undefined,
              contentType: 'text/plain',
              etag: undefined,
              lastModified: undefined,
              firstByteMs: 1,
              body: (async function* () {
                yield Buffer.from(says);
              })(),
              cancel() {},
            });
          }, script.afterMs ?? 0);
        });
      },
      close: async () => {},
    }),
  );
  const result = fanOut<string>({
    plan: plainPlan({ upstreams, answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 60_000 }),
    target: '/example.com/m/@v/list',
    signal: new AbortController().signal,
    clock,
    limitBytes: 100,
    read: (body) => body.toString(),
    ...more,
  });
  result.catch(() => {});
  return { result, clock, asked, aborted };
}

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
    expect(outcomes[0]).toMatchObject({ source: 'slow', code: 'timeout', tookMs: 600 });
    await clock.advance(5000);
    expect(late).toEqual(['slow S']);
    expect(aborted).toEqual([]);
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

    const wanted = play(scripts, { onLate: () => {} });
    await wanted.clock.advance(500);
    await wanted.result;
    expect(wanted.aborted).toEqual([]);
    await wanted.clock.advance(60_000);
    expect(wanted.aborted).toEqual(['never']);
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
    const { result, clock } = play(
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
