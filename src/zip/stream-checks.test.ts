/** Checks while bytes arrive, with a real thread: equal facts, the file when it lags, and giving up in every other case. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it } from 'vitest';

import { bigModuleZip, makeModuleZip } from '../../test/kit/make-zip.ts';
import { type ZipVector, zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { checkModuleZip } from './module-zip-check.ts';
import type { StreamChecksOptions } from './stream-checks.ts';
import { StreamChecks } from './stream-checks.ts';
import type { StagedPart, ZipStream } from './stream-feed.ts';
import { ZipVerifier } from './verify-pool.ts';
import { bufferReader } from './zip-reader.ts';
import type { ZipFacts, ZipTarget } from './zip-types.ts';

const target: ZipTarget = { path: 'example.com/m', version: 'v1.0.0' };
const { path, version } = target;
const mebibyte = 1024 * 1024;
/** A thread may start slowly on a busy machine. */
const patience = { timeout: 15_000 };
const folder = mkdtempSync(join(tmpdir(), 'modferry-stream-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open: StreamChecks[] = [];
function checks(options?: StreamChecksOptions): StreamChecks {
  const made = new StreamChecks(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

/** A thread body that takes orders and never answers; one told to end dies. */
const deafBody = body('');
const dyingBody = body("if (order.kind === 'end') process.exit(3);");
/** Takes every block, proves nothing, and answers a `close` only. */
const takingBody = body(`
  if (order.kind === 'bytes') parentPort.postMessage({ kind: 'taken', id: order.id, block: order.block }, [order.block]);
  if (order.kind === 'close') parentPort.postMessage({ kind: 'done', id: order.id });`);

function body(onOrder: string): URL {
  const text = `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', (order) => { ${onOrder} });`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

/** Pushes in pieces of the given sizes, over and over. Each piece is spoilt after its push. */
function pushAll(stream: ZipStream, zip: Buffer, sizes: readonly number[] = [65_536]): void {
  for (let at = 0, index = 0; at < zip.length; index++) {
    const piece = Buffer.from(zip.subarray(at, at + (sizes[index % sizes.length] ?? 1)));
    stream.push(piece);
    at += piece.length;
    piece.fill(0xaa);
  }
}

function saved(name: string, zip: Buffer): () => StagedPart {
  const file = join(folder, name);
  writeFileSync(file, zip);
  return () => ({ file, readableBytes: zip.length });
}

const whole = (zip: Buffer, to: ZipTarget = target): Promise<ZipFacts> =>
  checkModuleZip(bufferReader(zip), to);

describe('StreamChecks', () => {
  it('gives the facts of random access or gives up, over all vectors at any cut', async () => {
    const one = checks();
    const vectors: { vector: ZipVector; facts: ZipFacts | undefined }[] = [];
    for (const vector of zipVectors().zips) {
      vectors.push({ vector, facts: await whole(vector.zip, vector).catch(() => undefined) });
    }
    const given: string[] = [];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 }),
        async (sizes) => {
          for (const { vector, facts } of vectors) {
            const stream = one.open(vector);
            pushAll(stream, vector.zip, sizes);
            const streamed = await stream.finish();
            if (streamed === undefined) continue;

            expect(streamed, vector.name).toEqual(facts);
            given.push(vector.name);
          }
          expect(one.heldBytes).toBe(0);
        },
      ),
      { numRuns: 4 },
    );
    const plain = vectors.filter(({ facts }) => facts !== undefined && facts.oddities.length === 0);
    expect(new Set(given).size).toBeGreaterThan(plain.length / 2);
  });

  it('gives the facts of zips cut anywhere, over many blocks, several at once', async () => {
    const one = checks({ streamBytes: 64 * mebibyte, totalBytes: 256 * mebibyte });
    const text = Buffer.from(Array.from({ length: 400_000 }, (_, line) => `${line * 7919} text\n`).join(''));
    const zips = [
      makeModuleZip(path, version, { 'go.mod': 'module example.com/m\n', a: text, b: 'x', c: text }),
      bigModuleZip(path, version, 5_000_000, 1),
      bigModuleZip(path, version, 3_333_333, 2),
    ];
    const expected = await Promise.all(zips.map((zip) => whole(zip)));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 3, maxLength: 8 }),
        async (sizes) => {
          const facts = zips.map((zip) => {
            const stream = one.open(target);
            pushAll(stream, zip, [...sizes, 70_000]);
            return stream.finish();
          });

          expect(await Promise.all(facts)).toEqual(expected);
        },
      ),
      { numRuns: 6 },
    );
    expect(one.heldBytes).toBe(0);
    expect(one.openStreams).toBe(0);
  });

  it('reads from the file what the thread could not take, as far as it is written, and posts again after', async () => {
    const zip = bigModuleZip(path, version, 9_000_000, 3);
    const { file } = saved('grows.zip', zip)();
    const one = checks({ streamBytes: mebibyte });
    let readableBytes = 0;
    const asked: number[] = [];
    const stream = one.open(target, () => {
      asked.push(readableBytes);
      return { file, readableBytes };
    });

    pushAll(stream, zip.subarray(0, 4_000_000));
    readableBytes = 2_500_000;
    pushAll(stream, zip.subarray(4_000_000, 8_000_000));
    readableBytes = zip.length;
    pushAll(stream, zip.subarray(8_000_000));

    expect(await stream.finish()).toEqual(await whole(zip));
    expect(asked).toContain(2_500_000);
    expect(one.heldBytes).toBe(0);
  });

  it('gives up when it lags and the bytes lie nowhere', async () => {
    const zip = bigModuleZip(path, version, 5_000_000, 4);
    const one = checks({ streamBytes: 2 * mebibyte });
    const stream = one.open(target);
    pushAll(stream, zip);

    expect(await stream.finish()).toBeUndefined();
  });

  it('gives up when the file is shorter than what was pushed', async () => {
    const zip = bigModuleZip(path, version, 5_000_000, 5);
    const staged = saved('short.zip', zip.subarray(0, 4_000_000))();
    const one = checks({ streamBytes: mebibyte });
    const short = one.open(target, () => staged);
    const lying = one.open(target, () => ({ ...staged, readableBytes: zip.length }));
    pushAll(short, zip);
    pushAll(lying, zip);

    expect(await short.finish()).toBeUndefined();
    expect(await lying.finish()).toBeUndefined();
  });

  it.each([
    ['trailing bytes', { after: Buffer.from('after') }],
    ['a prefix', { before: Buffer.from('#!') }],
    ['a wrong CRC', { lies: { a: { crc32: 1 } } }],
    ['a link', { lies: { a: { mode: 0o120777 } } }],
    ['its end cut off', { cutBytes: 10 }],
  ])('gives up on a zip with %s', async (_name, options) => {
    const one = checks();
    const stream = one.open(target);
    pushAll(stream, makeModuleZip(path, version, { a: 'text', b: 'x'.repeat(100) }, options));

    expect(await stream.finish()).toBeUndefined();
  });

  it('leaves a go.mod over 1 MiB to random access, which holds one at a time', async () => {
    const text = Array.from({ length: 120_000 }, (_, line) => `// line ${line}\n`).join('');
    const stream = checks().open(target);
    pushAll(stream, makeModuleZip(path, version, { 'go.mod': text }));

    expect(await stream.finish()).toBeUndefined();
  });

  it('carries the limits to the thread', async () => {
    const zip = makeModuleZip(path, version, { a: 'text' });
    const one = checks();
    const small = one.open({ ...target, limits: { zipBytes: zip.length - 1 } });
    const large = one.open({ ...target, limits: { zipBytes: zip.length } });
    pushAll(small, zip);
    pushAll(large, zip);

    expect(await small.finish()).toBeUndefined();
    expect((await large.finish())?.entries).toBe(1);
  });

  it('holds no more than its bounds, whatever is pushed, and takes it all back', async () => {
    const zip = bigModuleZip(path, version, 6_000_000, 6);
    const one = checks({
      workerUrl: deafBody,
      streamBytes: 2 * mebibyte,
      totalBytes: 5 * mebibyte,
      maxStreams: 4,
    });
    const streams = Array.from({ length: 4 }, () => one.open(target));
    const [first] = streams;
    if (first !== undefined) pushAll(first, zip);
    const heldByOne = one.heldBytes;
    for (const stream of streams) pushAll(stream, zip);
    const heldByAll = one.heldBytes;
    const beyond = one.open(target);
    pushAll(beyond, zip);

    expect(heldByOne).toBe(2 * mebibyte);
    expect(heldByAll).toBe(5 * mebibyte);
    expect(one.openStreams).toBe(4);
    expect(await beyond.finish()).toBeUndefined();
    await one.close();
    expect(one.heldBytes).toBe(0);
    expect(await Promise.all(streams.map((stream) => stream.finish()))).toEqual(streams.map(() => undefined));
  });

  it('gives the place and the memory of a closed stream back', async () => {
    const one = checks({ maxStreams: 1, workerUrl: takingBody });
    const closed = one.open(target);
    closed.push(Buffer.alloc(100));
    closed.close();
    closed.close();
    closed.push(Buffer.alloc(100));

    expect(one.heldBytes).toBe(0);
    await expect.poll(() => one.openStreams, patience).toBe(0);
    expect(await closed.finish()).toBeUndefined();
  });

  it('frees a stream closed in the middle of its check', async () => {
    const zip = bigModuleZip(path, version, 8_000_000, 7);
    const one = checks({ streamBytes: 8 * mebibyte });
    const stream = one.open(target);
    pushAll(stream, zip.subarray(0, 7_500_000));
    stream.close();

    await expect.poll(() => [one.openStreams, one.heldBytes], patience).toEqual([0, 0]);
    const next = one.open(target);
    pushAll(next, zip);
    expect(await next.finish()).toEqual(await whole(zip));
  });

  it('rejects with the reason of the signal and frees the stream', async () => {
    const one = checks({ workerUrl: takingBody });
    const controller = new AbortController();
    const stream = one.open(target);
    stream.push(Buffer.alloc(100));
    const finished = stream.finish(controller.signal);

    controller.abort(new Error('client is gone'));

    await expect(finished).rejects.toThrow('client is gone');
    await expect.poll(() => [one.openStreams, one.heldBytes], patience).toEqual([0, 0]);
    const late = one.open(target);
    await expect(late.finish(AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });

  it('gives up with a thread that dies, and goes on with another one', async () => {
    const dying = checks({ workerUrl: dyingBody });
    const [one, two] = [dying.open(target), dying.open(target)];
    one.push(Buffer.alloc(100));
    two.push(Buffer.alloc(100));

    expect(await one.finish()).toBeUndefined();
    expect(await two.finish()).toBeUndefined();
    expect(dying.heldBytes).toBe(0);
    const next = dying.open(target);
    next.push(Buffer.alloc(100));
    expect(dying.openStreams).toBe(1);
    expect(await next.finish()).toBeUndefined();
  });
});

describe('ZipVerifier.openStream', () => {
  it('leaves random access free: it answers while a stream is half pushed, and the other way round', async () => {
    const verifier = new ZipVerifier();
    try {
      const zip = bigModuleZip(path, version, 4_000_000, 8);
      const staged = saved('beside.zip', zip);
      const { file } = staged();
      const stream = verifier.openStream(target, staged);
      pushAll(stream, zip.subarray(0, 2_000_000));

      expect(await verifier.verify({ file, ...target })).toEqual(await whole(zip));
      pushAll(stream, zip.subarray(2_000_000));
      expect(await stream.finish()).toEqual(await whole(zip));
    } finally {
      await verifier.close();
    }
    expect(await verifier.openStream(target).finish()).toBeUndefined();
  });
});
