import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { PassThrough, type StreamJudge } from './pass-through.ts';
import { FedUpstream, fedWalk } from './test-source.ts';
import { SourcesFailure } from './types.ts';

function answerOf(name: string, chunks: readonly Buffer[]): UpstreamAnswer {
  return {
    upstream: name,
    contentLength: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    contentType: 'application/zip',
    etag: undefined,
    lastModified: undefined,
    firstByteMs: 1,
    body: (async function* () {
      yield* chunks;
    })(),
    cancel: () => {},
  };
}

function open(answers: UpstreamAnswer[], judge: () => Partial<StreamJudge> = () => ({})) {
  const remaining = [...answers];
  const refused: string[] = [];
  const walk = {
    next: async () => remaining.shift(),
    refuse: () => {},
    close: () => {},
    outcomes: [],
  } as unknown as Walk;
  const body = new PassThrough({
    walk,
    clock: new FakeClock(),
    ...depsOf(refused),
    newJudge: () => ({ ...goodJudge, ...judge() }),
  });
  return { body, refused };
}

const goodJudge: StreamJudge = { push: async () => {}, finish: async () => {}, close: () => {} };

function depsOf(refused: string[]) {
  return {
    pace: { idleMs: 15_000, minRateBytes: 4096 },
    tailBytes: 10,
    limitBytes: 1_000,
    newJudge: () => goodJudge,
    failure: async (walk: Walk) => new SourcesFailure('failed', 'no source', walk.outcomes),
    onRefused: (source: string, reason: string) => refused.push(`${source}: ${reason}`),
    onClose: () => {},
  };
}

/** Over sources fed by hand, named by one letter each. */
function openFed(names: string) {
  const upstreams = names.split('').map((name) => new FedUpstream(name));
  const { walk, clock } = fedWalk(upstreams);
  const refused: string[] = [];
  const body = new PassThrough({ walk, clock, ...depsOf(refused) });
  const opening = body.open();
  opening.catch(() => {});
  const [a, b] = upstreams as [FedUpstream, FedUpstream];
  return { body, opening, clock, a, b, refused };
}

async function drain(body: PassThrough): Promise<Buffer> {
  const parts: Buffer[] = [];
  let position = 0;
  for (;;) {
    const block = Buffer.alloc(7);
    const count = await body.readAt(block, block.length, position);
    if (count === 0) return Buffer.concat(parts);
    parts.push(block.subarray(0, count));
    position += count;
  }
}

describe('PassThrough', () => {
  it('passes on every byte of a proven body', async () => {
    const { body } = open([answerOf('one', [Buffer.alloc(50, 'a'), Buffer.alloc(33, 'b')])]);

    await body.open();
    const got = await drain(body);

    expect(got.toString()).toBe('a'.repeat(50) + 'b'.repeat(33));
  });

  it('breaks with the tail unsent when the end of the body is not proven', async () => {
    const judge = () => ({
      finish: async () => {
        throw new Error('bad CRC');
      },
    });
    const { body } = open([answerOf('one', [Buffer.alloc(50, 'a')])], judge);
    const block = Buffer.alloc(1_000);

    await body.open();
    const got = await body.readAt(block, block.length, 0);

    expect(got).toBe(40);
    await expect(body.readAt(block, block.length, got)).rejects.toThrow('bad CRC');
  });

  it('asks the next source when the first one is bad before a byte was sent', async () => {
    let judges = 0;
    const { body, refused } = open(
      [answerOf('bad', [Buffer.from('xx')]), answerOf('good', [Buffer.from('yy')])],
      () => {
        judges += 1;
        const bad = judges === 1;
        return {
          push: async () => {
            if (bad) throw new Error('not a zip');
          },
        };
      },
    );

    await body.open();

    expect((await drain(body)).toString()).toBe('yy');
    expect(refused).toEqual(['bad: not a zip']);
  });

  it('refuses a body over the limit', async () => {
    const { body } = open([answerOf('big', [Buffer.alloc(500), Buffer.alloc(501)])]);
    await body.open();

    await expect(drain(body)).rejects.toThrow('over the limit');
  });

  it('leaves a source that stalls or drips before a byte was sent, once another one answers', async () => {
    const { body, opening, clock, a, b, refused } = openFed('ab');
    await clock.advance(0);
    a.say({ contentLength: 50 }, Buffer.from('a'));
    await clock.advance(8_000);
    expect(b.requests).toHaveLength(1);
    expect(a.cancelled).toBe(0);
    b.say({ contentLength: 30 }, Buffer.alloc(30, 'b'), 'end');
    await opening;

    expect((await drain(body)).toString()).toBe('b'.repeat(30));
    expect(refused).toEqual(['a: stalled at byte 1']);
    expect(a.blames).toEqual(['timeout: stalled at byte 1']);
    expect(a.cancelled).toBe(1);
    body.close();
    expect(clock.timers).toBe(0);
  });

  it('goes on with a slow source where nobody else answers', async () => {
    const { body, opening, clock, a, b } = openFed('ab');
    await clock.advance(0);
    a.say({ contentLength: 30 }, Buffer.from('a'));
    b.willFail('connect');
    await clock.advance(10_000);
    expect(b.requests).toHaveLength(1);
    a.give(Buffer.alloc(29, 'a'), 'end');
    await opening;

    expect((await drain(body)).toString()).toBe('a'.repeat(30));
    expect(a.blames).toEqual([]);
  });

  it('drops the help that answers when the slow source is well again', async () => {
    const { body, opening, clock, a, b } = openFed('ab');
    await clock.advance(0);
    a.say({ contentLength: 30 }, Buffer.from('a'));
    await clock.advance(8_000);
    a.give(Buffer.alloc(29, 'a'));
    await opening;
    b.say({ contentLength: 30 });
    await clock.advance(0);
    a.give('end');

    expect((await drain(body)).toString()).toBe('a'.repeat(30));
    expect(b.cancelled).toBe(1);
    expect(b.blames).toEqual([]);
  });

  it('fails when the only source stalls for the idle time', async () => {
    const { opening, clock, a } = openFed('a');
    await clock.advance(0);
    a.say({ contentLength: 50 });
    await clock.advance(17_000);

    await expect(opening).rejects.toMatchObject({ outcomes: [{ source: 'a', code: 'timeout' }] });
  });

  it('breaks after the idle time of a stall in the middle', async () => {
    const { body, opening, clock, a, b } = openFed('ab');
    await clock.advance(0);
    a.say({ contentLength: 50 }, Buffer.alloc(20, 'a'));
    await opening;
    const block = Buffer.alloc(100);
    expect(await body.readAt(block, 100, 0)).toBe(10);
    const broken = body.readAt(block, 100, 10);
    broken.catch(() => {});
    await clock.advance(17_000);

    await expect(broken).rejects.toThrow('stalled at byte 20: nothing for 15 s');
    expect(a.blames).toEqual(['timeout: stalled at byte 20: nothing for 15 s']);
    expect(b.requests).toHaveLength(0);
  });
});
