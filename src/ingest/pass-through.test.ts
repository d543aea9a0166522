import { describe, expect, it } from 'vitest';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { Walk } from '../upstream/walk.ts';
import { PassThrough, type StreamJudge } from './pass-through.ts';
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
    tailBytes: 10,
    limitBytes: 1_000,
    newJudge: () => ({ push: async () => {}, finish: async () => {}, close: () => {}, ...judge() }),
    failure: async () => new SourcesFailure('failed', 'no source'),
    onRefused: (source, reason) => refused.push(`${source}: ${reason}`),
    onClose: () => {},
  });
  return { body, refused };
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
});
