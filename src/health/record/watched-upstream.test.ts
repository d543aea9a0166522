import { describe, expect, it } from 'vitest';
import { readBody } from '../../upstream/read-body.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from '../../upstream/types.ts';
import { owners, path } from './test-record.ts';
import { codeOf, m, request, watch } from './test-watched.ts';
import type { WatchedUpstreamOptions } from './watched-upstream.ts';

/** An upstream whose answers a test gives by hand. */
function scripted(more: Partial<Upstream> = {}) {
  const asked: UpstreamRequest[] = [];
  const waiting: PromiseWithResolvers<UpstreamAnswer>[] = [];
  const inner: Upstream = {
    name: 'one',
    isPrivate: false,
    stopsOnError: false,
    fetch(one) {
      asked.push(one);
      const answer = Promise.withResolvers<UpstreamAnswer>();
      one.signal.addEventListener('abort', () => answer.reject(one.signal.reason), { once: true });
      waiting.push(answer);
      return answer.promise;
    },
    close: () => Promise.resolve(),
    ...more,
  };
  return {
    inner,
    asked,
    /** Answers the oldest question. */
    answer(body: Partial<UpstreamAnswer> & { chunks?: readonly Buffer[] } = {}) {
      const { chunks = [Buffer.from('abc')], ...rest } = body;
      waiting.shift()?.resolve({
        upstream: 'one',
        contentLength: undefined,
        contentType: '',
        etag: undefined,
        lastModified: undefined,
        firstByteMs: 0,
        body: chunksOf(chunks),
        cancel: () => {},
        ...rest,
      });
    },
    fail(code: UpstreamErrorCode, details: ConstructorParameters<typeof UpstreamError>[3] = {}) {
      waiting.shift()?.reject(new UpstreamError('one', code, `it is ${code}`, details));
    },
  };
}

async function* chunksOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, void> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

describe('a request', () => {
  it('passes through, in flight until its body has ended, with its time to the first byte as the upstream measured it', async () => {
    const source = scripted({ isPrivate: true, stopsOnError: true, firstByteMs: { zip: 7 } });
    const { watched, record, clock, traffic } = watch(source.inner);
    expect(watched).toMatchObject({
      name: 'one',
      isPrivate: true,
      stopsOnError: true,
      firstByteMs: { zip: 7 },
      health: record,
    });
    const asked = request();
    const answering = watched.fetch(asked);
    expect(source.asked).toEqual([asked]);
    expect(record.inFlight).toBe(1);
    await clock.advance(900);
    source.answer({ etag: '"x"', firstByteMs: 300 });
    const answer = await answering;
    expect(answer.etag).toBe('"x"');
    expect(record.quantileMs('zip', 0.5)).toBeCloseTo(300, -2);
    expect(record.inFlight).toBe(1);
    expect((await readBody(answer, 100)).toString()).toBe('abc');
    expect(record.inFlight).toBe(0);
    expect(traffic).toEqual(['attempt zip ok', 'body 3 true']);
    expect(record.figures(owners).windows['5m']).toMatchObject({ answers: 1, failures: 0, bytes: 3 });
  });

  it.each([
    ['absent', 'healthy'],
    ['connect', 'suspect'],
    ['status', 'suspect'],
    ['busy', 'healthy'],
  ] as const)('that ends as %s leaves it %s', async (code, state) => {
    const source = scripted();
    const { watched, record, traffic } = watch(source.inner);
    const answering = watched.fetch(request({ answerClass: 'meta', priority: 'low' }));
    source.fail(code);
    expect(await codeOf(answering)).toBe(code);
    expect(record).toMatchObject({ state, inFlight: 0 });
    expect(traffic).toEqual([`attempt meta ${code}`]);
  });

  it('hands on Retry-After and whose fault it is', async () => {
    const source = scripted();
    const { watched, record } = watch(source.inner);
    let answering = watched.fetch(request());
    source.fail('status', { status: 502, isSourcesFault: true });
    await codeOf(answering);
    expect(record.state).toBe('healthy');
    answering = watched.fetch(request());
    source.fail('status', { status: 429, retryAfterMs: 4_000 });
    await codeOf(answering);
    expect(record.restUntilMs).toBe(4_000);
  });

  it.each([
    [new UpstreamError('one', 'beaten', 'two answered first'), 'beaten', 'suspect'],
    [new UpstreamError('one', 'timeout', 'no answer within 60 s'), 'timeout', 'suspect'],
    [new UpstreamError('one', 'aborted', 'no longer needed'), 'aborted', 'healthy'],
    [new DOMException('late', 'TimeoutError'), 'aborted', 'healthy'],
    [new Error('left'), 'aborted', 'healthy'],
  ])('aborted by %s counts as %s after 2 s', async (reason, code, state) => {
    const source = scripted();
    const { watched, record, clock, traffic } = watch(source.inner);
    const controller = new AbortController();
    const answering = watched.fetch(request({ signal: controller.signal }));
    await clock.advance(2_000);
    controller.abort(reason);
    await expect(answering).rejects.toBe(reason);
    expect(record).toMatchObject({ state, inFlight: 0 });
    expect(traffic).toEqual([`attempt zip ${code}`]);
  });

  it('that never got a place of ours does not count as silence', async () => {
    const source = scripted();
    const { watched, record, clock } = watch(source.inner);
    const controller = new AbortController();
    const answering = watched.fetch(request({ signal: controller.signal }));
    await clock.advance(5_000);
    source.fail('busy');
    controller.abort(new UpstreamError('one', 'timeout', 'no answer'));
    await codeOf(answering);
    expect(record.state).toBe('healthy');
  });

  it('is not made in offline mode', async () => {
    const source = scripted();
    const { watched, record, traffic } = watch(source.inner, { isOffline: () => true });
    await expect(watched.fetch(request())).rejects.toMatchObject({
      code: 'skipped',
      message: 'offline mode: nothing is asked',
    });
    expect(source.asked).toEqual([]);
    expect(traffic).toEqual([]);
    expect(record.inFlight).toBe(0);
  });
});

describe('while it is out', () => {
  function out(more: Partial<WatchedUpstreamOptions> = {}, inner: Partial<Upstream> = {}) {
    const source = scripted(inner);
    const all = watch(source.inner, more);
    for (const name of ['a', 'b', 'c']) all.see('connect', { modulePath: path(`example.com/${name}`) });
    expect(all.record.state).toBe('out');
    return { source, ...all };
  }

  it('one request at a time is a trial, until its body has ended', async () => {
    const { source, watched, record, clock } = out();
    const first = watched.fetch(request());
    expect(await codeOf(watched.fetch(request()))).toBe('skipped');
    expect(source.asked).toHaveLength(1);
    source.answer();
    const answer = await first;
    await clock.advance(2_000);
    expect(await codeOf(watched.fetch(request()))).toBe('skipped');
    answer.cancel();
    expect(record.hasTrialPlace).toBe(true);
  });

  it('a failed trial gives its place back', async () => {
    const { source, watched, record, clock } = out();
    const trial = watched.fetch(request());
    source.fail('connect');
    await codeOf(trial);
    expect(record.hasTrialPlace).toBe(false);
    await clock.advance(2_000);
    expect(record.hasTrialPlace).toBe(true);
  });

  it.each([
    ['private', {}, { isPrivate: true }],
    ['pinned', { isAskedAnyway: () => true }, {}],
  ] as const)('a %s one is asked all the same', async (_what, more, inner) => {
    const { source, watched } = out(more, inner);
    const all = [watched.fetch(request()), watched.fetch(request())];
    expect(source.asked).toHaveLength(2);
    source.answer();
    source.answer();
    for (const answer of await Promise.all(all)) answer.cancel();
  });
});

describe('a body', () => {
  async function answered(more: Parameters<ReturnType<typeof scripted>['answer']>[0] = {}) {
    const source = scripted();
    const all = watch(source.inner);
    const controller = new AbortController();
    const answering = all.watched.fetch(request({ signal: controller.signal }));
    source.answer(more);
    return { ...all, controller, answer: await answering };
  }

  it('that is blamed is one failure, also when it then breaks', async () => {
    async function* broken(): AsyncGenerator<Buffer, void, void> {
      yield await Promise.resolve(Buffer.from('ab'));
      throw new UpstreamError('one', 'reset', 'the connection was reset');
    }
    const blamed: string[] = [];
    const { answer, record, told, traffic } = await answered({
      body: broken(),
      blame: (code) => blamed.push(code),
    });
    answer.blame?.('timeout', 'slower than 4 KiB/s');
    expect(await codeOf(readBody(answer, 100))).toBe('reset');
    answer.blame?.('refused', 'twice');
    expect(blamed).toEqual(['timeout', 'refused']);
    expect(record.figures(owners)).toMatchObject({
      state: 'suspect',
      cause: 'timeout: slower than 4 KiB/s',
    });
    expect(record.figures(owners).windows['5m']).toMatchObject({ answers: 1, failures: 1 });
    expect(told).toEqual(['state healthy suspect', 'avoided example.com/m 60000']);
    expect(traffic.at(-1)).toBe('body 2 false');
  });

  it('can be blamed after its end', async () => {
    const { answer, record } = await answered();
    await readBody(answer, 100);
    answer.blame?.('refused', 'the zip is broken');
    expect(record.state).toBe('suspect');
    expect(record.isAvoided(m)).toBe(true);
  });

  it('is not blamed for what is nobody’s fault', async () => {
    const { answer, record } = await answered();
    answer.blame?.('aborted', 'the client left');
    expect(record.state).toBe('healthy');
    answer.blame?.('refused', 'the zip is broken');
    expect(record.state).toBe('suspect');
  });

  it.each([
    ['cancelled', async (answer: UpstreamAnswer) => answer.cancel()],
    [
      'left by its reader',
      async (answer: UpstreamAnswer) => {
        for await (const chunk of answer.body) if (chunk.length > 0) break;
      },
    ],
  ])('%s says nothing, and is in flight no longer', async (_how, leave) => {
    let cancelled = 0;
    const chunks = [Buffer.from('abc'), Buffer.from('def')];
    const { answer, record, see, traffic } = await answered({ chunks, cancel: () => (cancelled += 1) });
    see('reset');
    await leave(answer);
    answer.cancel();
    expect(cancelled).toBeGreaterThan(0);
    expect(record).toMatchObject({ state: 'suspect', inFlight: 0 });
    expect(traffic.at(-1)).toMatch(/^body [03] false$/);
    expect(traffic.filter((line) => line.startsWith('body'))).toHaveLength(1);
  });

  it('that nobody reads is over when its request is aborted', async () => {
    const { record, controller } = await answered();
    expect(record.inFlight).toBe(1);
    controller.abort(new UpstreamError('one', 'aborted', 'no longer needed'));
    expect(record).toMatchObject({ state: 'healthy', inFlight: 0 });
  });

  it('tells the throughput when it is long', async () => {
    const { answer, record, clock } = await answered({ chunks: [Buffer.alloc(300_000)] });
    await clock.advance(100);
    await readBody(answer, 1_000_000);
    expect(record.bytesPerSecond).toBe(3_000_000);
  });

  it('passes its chunks on untouched', async () => {
    const chunks = [Buffer.from('abc'), Buffer.from('def')];
    const { answer } = await answered({ chunks });
    let nth = 0;
    for await (const chunk of answer.body) {
      expect(chunk).toBe(chunks[nth]);
      nth += 1;
    }
    expect(nth).toBe(2);
  });
});
