/** A fill whose zip is checked while it arrives, with real threads. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { bigModuleZip, makeModuleZip } from '../../test/kit/make-zip.ts';
import type { ArtifactKey } from '../gomod/types.ts';
import { makeTestFolder } from '../store/fs/test-folder.ts';
import { UpstreamError } from '../upstream/types.ts';
import type { StreamChecksOptions } from '../zip/stream-checks.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { FileSink, MemorySink } from './sink.ts';
import { startFill } from './test-fill.ts';
import type { ZipFillDeps } from './zip-fill.ts';

const path = 'example.com/a';
const version = 'v1.0.0';
const key = { path, version, ext: 'zip' } as ArtifactKey;
const target = { path, version };
const zip = bigModuleZip(path, version, 3_000_000, 1);

/** A fill with the real check, and what it asked of it. */
function checkedFill(
  names: string,
  options: { streams?: StreamChecksOptions; more?: Partial<ZipFillDeps> } = {},
) {
  // Enough for the whole zip, so that how quick the thread is does not matter.
  const verifier = new ZipVerifier({ streams: options.streams ?? { streamBytes: 8 * 1024 * 1024 } });
  onTestFinished(() => verifier.close());
  const asked = { streams: 0, closed: 0, verified: 0 };
  const started = startFill(names, {
    openSink: async () => new MemorySink(10_000_000, () => {}),
    openStream: (staged) => {
      asked.streams += 1;
      const stream = verifier.openStream(target, staged);
      return {
        push: (chunk) => stream.push(chunk),
        finish: (signal) => stream.finish(signal),
        close: () => {
          asked.closed += 1;
          stream.close();
        },
      };
    },
    verify: (input, signal) => {
      asked.verified += 1;
      return verifier.verify({ ...input, ...target, extraRules: 'report', signal });
    },
    ...options.more,
  });
  return { ...started, verifier, asked };
}

function parts(of: Buffer, sizeBytes = 100_000): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < of.length; at += sizeBytes) cut.push(of.subarray(at, at + sizeBytes));
  return cut;
}

describe('a zip that is checked while it arrives', () => {
  it('is not checked again', async () => {
    const { fill, verifier, asked, a } = checkedFill('a');
    const follower = fill.join();
    a.willSay({ contentLength: zip.length }, ...parts(zip), 'end');

    const outcome = await fill.outcome;

    expect(outcome).toMatchObject({
      h1: (await verifier.verify({ buffer: zip, ...target })).h1,
      sizeBytes: zip.length,
    });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 0 });
    follower.leave();
  });

  it('is not checked again when its length was not told', async () => {
    const { fill, asked, a } = checkedFill('a');
    a.willSay({}, ...parts(zip), 'end');
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ sizeBytes: zip.length });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 0 });
    follower.leave();
  });

  it('is checked as one file when two sources sent it', async () => {
    const { fill, asked, a, b } = checkedFill('ab');
    const tagged = { contentLength: zip.length, etag: '"one"' };
    const half = 1_000_000;
    const broken = new UpstreamError('a', 'reset', 'connection reset');
    a.willSay(tagged, ...parts(zip.subarray(0, half)), broken);
    b.willSay(
      { contentLength: zip.length - half, offset: half, totalBytes: zip.length, etag: '"one"' },
      ...parts(zip.subarray(half)),
      'end',
    );
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ sizeBytes: zip.length, source: 'b' });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 0 });
    follower.leave();
  });

  it('is read from the staged file where it came too fast', async () => {
    const store = await makeTestFolder().open();
    const more = { openSink: async () => new FileSink(await store.stage(key)) };
    const { fill, asked, a } = checkedFill('a', { streams: { streamBytes: 1024 * 1024 }, more });
    a.willSay({ contentLength: zip.length }, ...parts(zip), 'end');
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ sizeBytes: zip.length });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 0 });
    follower.leave();
    await store.close();
  });

  it('is left to random access where the check cannot keep up and there is no file', async () => {
    const { fill, asked, a } = checkedFill('a', { streams: { streamBytes: 1024 * 1024 } });
    a.willSay({ contentLength: zip.length }, ...parts(zip), 'end');
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ sizeBytes: zip.length });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 1 });
    follower.leave();
  });

  it.each([
    ['damaged', damaged(), 'does not match its CRC'],
    ['cut off', zip.subarray(0, 2_500_000), 'end record'],
  ])('is refused by random access, in its words: %s', async (_name, bad, words) => {
    const { fill, verifier, asked, refused, a, b } = checkedFill('ab');
    a.willSay({ contentLength: bad.length }, ...parts(bad), 'end');
    b.willSay({ contentLength: zip.length }, ...parts(zip), 'end');
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ source: 'b' });
    const verdict = await verifier.verify({ buffer: bad, ...target }).catch((error: unknown) => error);
    expect(asked).toEqual({ streams: 2, closed: 2, verified: 1 });
    expect(verdict).toBeInstanceOf(Error);
    expect(refused).toEqual([`a: ${(verdict as Error).message}`]);
    expect(refused[0]).toMatch(new RegExp(words));
    follower.leave();
  });

  it.each([
    ['bytes after it', { after: Buffer.from('after') }],
    ['bytes before it', { before: Buffer.from('#!') }],
  ])('leaves the verdict on %s to random access and its oddities to the proof', async (_name, options) => {
    const odd = makeModuleZip(path, version, { a: zip.subarray(0, 500_000) }, { stored: true, ...options });
    const { fill, asked, refused, a } = checkedFill('a', {
      more: { failure: async () => Promise.reject(new Error('no source')) },
    });
    a.willSay({ contentLength: odd.length }, ...parts(odd), 'end');
    const follower = fill.join();
    const end = await fill.outcome.catch((error: unknown) => error);

    expect(asked).toEqual({ streams: 1, closed: 1, verified: 1 });
    expect(end).toBeInstanceOf(Error);
    expect(refused[0]).toMatch(/^a: There are |^a: .*bytes/);
    follower.leave();
  });

  it('is not begun for a small zip', async () => {
    const small = makeModuleZip(path, version, { a: 'text' });
    const { fill, asked, a } = checkedFill('a');
    a.willSay({ contentLength: small.length }, small, 'end');
    const follower = fill.join();

    expect(await fill.outcome).toMatchObject({ sizeBytes: small.length });
    expect(asked).toEqual({ streams: 0, closed: 0, verified: 1 });
    follower.leave();
  });

  it('is let go when the fill is stopped in the middle', async () => {
    const { fill, asked, a } = checkedFill('a');
    a.willSay({ contentLength: zip.length }, ...parts(zip.subarray(0, 1_500_000)));
    const follower = fill.join();
    const end = fill.outcome.catch((error: unknown) => error);
    await expect.poll(() => fill.receivedBytes).toBe(1_500_000);

    fill.cancel(new Error('purged'));
    a.breakOff('aborted');

    expect(await end).toMatchObject({ code: 'cancelled' });
    expect(asked).toEqual({ streams: 1, closed: 1, verified: 0 });
    follower.leave();
  });
});

function damaged(): Buffer {
  const copy = Buffer.from(zip);
  copy[1_000_000] = (copy[1_000_000] ?? 0) ^ 1;
  return copy;
}
