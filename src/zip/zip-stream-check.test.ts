/** The stream check says what the random-access check says, however the stream is cut. */
import { deflateRawSync } from 'node:zlib';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bigModuleZip, makeModuleZip } from '../../test/kit/make-zip.ts';
import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { checkModuleZip } from './module-zip-check.ts';
import { bufferReader } from './zip-reader.ts';
import { ZipStreamCheck } from './zip-stream-check.ts';
import type { ZipErrorCode, ZipFacts, ZipTarget } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

const target: ZipTarget = { path: 'example.com/m', version: 'v1.0.0' };
const { path, version } = target;

/** Pushes the zip in pieces of the given sizes, over and over. Each piece is spoilt once its push resolved. */
async function stream(zip: Buffer, sizes: readonly number[], to: ZipTarget = target): Promise<ZipFacts> {
  const check = new ZipStreamCheck(to);
  let at = 0;
  for (let index = 0; at < zip.length; index++) {
    const piece = Buffer.from(zip.subarray(at, at + (sizes[index % sizes.length] ?? 1)));
    await check.push(piece);
    at += piece.length;
    piece.fill(0xaa);
  }
  return check.finish();
}

async function outcome(checking: Promise<ZipFacts>): Promise<ZipFacts | ZipError> {
  try {
    return await checking;
  } catch (error) {
    if (error instanceof ZipError) return error;
    throw error;
  }
}

async function code(checking: Promise<ZipFacts>): Promise<ZipErrorCode | 'accepted'> {
  const found = await outcome(checking);
  return found instanceof ZipError ? found.code : 'accepted';
}

describe('ZipStreamCheck', () => {
  // Not provable: stored data whose size comes behind it, and a comment with another end record.
  const notStreamable = new Set(['stored entries with descriptors', 'signature in comment']);

  it.each(zipVectors().zips)('agrees with the random-access check at any cut: $name', async (vector) => {
    const whole = await outcome(checkModuleZip(bufferReader(vector.zip), vector));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }),
        async (sizes) => {
          const streamed = await outcome(stream(vector.zip, sizes, vector));

          if (streamed instanceof ZipError && streamed.code === 'not_streamable') {
            expect(notStreamable.has(vector.name) || vector.name.startsWith('random tree')).toBe(true);
          } else if (whole instanceof ZipError) expect(streamed).toBeInstanceOf(ZipError);
          else expect(streamed).toEqual(whole);
        },
      ),
      { numRuns: 8, examples: [[[1]], [[1_000_000]]] },
    );
  });

  it('agrees on large entries', async () => {
    const files = { 'go.mod': 'module example.com/m\n', a: Buffer.alloc(3_000_000, 'text '), b: 'x' };
    for (const zip of [makeModuleZip(path, version, files), bigModuleZip(path, version, 2_500_000, 3)]) {
      const whole = await checkModuleZip(bufferReader(zip), target);

      expect(await stream(zip, [65_536])).toEqual(whole);
      expect(await stream(zip, [1000, 77_777])).toEqual(whole);
    }
  });

  it.each([
    { descriptors: 'unsigned' },
    { descriptors: 'none' },
    { zip64: true },
    { zip64: true, stored: true },
  ] as const)('proves a zip made with %j', async (options) => {
    const zip = makeModuleZip(
      path,
      version,
      { 'go.mod': 'module example.com/m\n', a: 'some text', empty: '' },
      options,
    );

    expect(await stream(zip, [5])).toEqual(await checkModuleZip(bufferReader(zip), target));
  });

  it('keeps a go.mod that is inflated in pieces, whole', async () => {
    const text = Array.from({ length: 120_000 }, (_, line) => `// line ${line}\n`).join('');
    const zip = makeModuleZip(path, version, { 'go.mod': text });

    const whole = await checkModuleZip(bufferReader(zip), target);
    const streamed = await stream(zip, [10_000]);

    expect(whole.goMod?.toString() === text).toBe(true);
    expect(streamed.goMod?.toString() === text).toBe(true);
    expect(streamed.h1).toBe(whole.h1);
  });

  it('refuses a zip that ends at any byte too early', async () => {
    const zip = makeModuleZip(path, version, { 'go.mod': 'module example.com/m\n', a: 'x' });
    const accepted: number[] = [];
    for (let length = 0; length < zip.length; length++) {
      if ((await code(stream(zip.subarray(0, length), [50]))) === 'accepted') accepted.push(length);
    }

    expect(accepted).toEqual([]);
  });

  it('refuses a wrong entry before the rest has come', async () => {
    const zip = makeModuleZip(path, version, { 'x:y': 'x', rest: 'x'.repeat(1000) });
    const check = new ZipStreamCheck(target);

    await expect(check.push(zip.subarray(0, 200))).rejects.toMatchObject({ code: 'bad_name' });
    await expect(check.push(zip.subarray(200))).rejects.toMatchObject({ code: 'bad_name' });
  });

  it('refuses a directory that lists other things than came', async () => {
    const zip = makeModuleZip(path, version, { a: 'x', b: 'y' });
    const central = zip.lastIndexOf('PK\u0001\u0002');
    for (const at of [16, 20, 24, 42]) {
      const changed = Buffer.from(zip);
      changed[central + at] = (changed[central + at] ?? 0) ^ 1;
      expect(await code(stream(changed, [64]))).toBe('header_mismatch');
    }
  });

  it('refuses an entry that the directory leaves out', async () => {
    const one = makeModuleZip(path, version, { a: 'x' });
    const two = makeModuleZip(path, version, { a: 'x', b: 'x' });
    const directoryOf = (zip: Buffer): number => zip.indexOf('PK\u0001\u0002');
    const directory = Buffer.from(one.subarray(directoryOf(one)));
    directory.writeUInt32LE(directoryOf(two), directory.length - 6);

    const hidden = Buffer.concat([two.subarray(0, directoryOf(two)), directory]);

    expect(await code(stream(hidden, [64]))).toBe('bad_directory');
  });

  it('stops a bomb at the limit on inflated bytes', async () => {
    const packed = deflateRawSync(Buffer.alloc(10_000_000));
    const zip = makeModuleZip(path, version, { a: '' }, { lies: { a: { packed, sizeBytes: 100 } } });
    const limited = { ...target, limits: { inflatedBytes: 2_000_000 } };

    expect(await code(stream(zip, [1000], limited))).toBe('too_large');
    expect(await code(stream(zip, [1000]))).toBe('bad_crc');
  });

  it('holds the limits on go.mod, the count of entries and the zip', async () => {
    const zip = makeModuleZip(path, version, { 'go.mod': 'module example.com/m\n', a: 'x', b: 'x' });

    expect(await code(stream(zip, [64], { ...target, limits: { goModBytes: 5 } }))).toBe('too_large');
    expect(await code(stream(zip, [64], { ...target, limits: { entries: 2 } }))).toBe('too_many_entries');
    expect(await code(stream(zip, [64], { ...target, limits: { zipBytes: zip.length - 1 } }))).toBe(
      'too_large',
    );
    expect(await code(stream(zip, [64], { ...target, limits: { zipBytes: zip.length } }))).toBe('accepted');
  });

  it('names a stored entry with its size behind it as not streamable', async () => {
    const zip = makeModuleZip(path, version, { a: 'x' }, { stored: true, descriptors: 'signed' });

    expect(await code(stream(zip, [64]))).toBe('not_streamable');
  });

  it('releases a push and refuses when it is closed', async () => {
    const check = new ZipStreamCheck(target);
    const zip = makeModuleZip(path, version, { a: 'x' });
    await check.push(zip.subarray(0, 40));

    check.close();

    await expect(check.push(zip.subarray(40))).rejects.toMatchObject({ code: 'verifier_closed' });
    await expect(check.finish()).rejects.toMatchObject({ code: 'verifier_closed' });
  });
});
