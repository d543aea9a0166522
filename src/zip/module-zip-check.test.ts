/** The random-access check against Go's verdicts, and every malformed kind with its code. */
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';
import type { ModuleZipOptions } from '../../test/kit/make-zip.ts';
import { bigModuleZip, makeModuleZip } from '../../test/kit/make-zip.ts';
import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { checkModuleZip } from './module-zip-check.ts';
import type { RandomReader } from './zip-reader.ts';
import { bufferReader } from './zip-reader.ts';
import type { ZipErrorCode, ZipFacts, ZipLimits } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

const path = 'example.com/m';
const version = 'v1.0.0';
const goMod = 'module example.com/m\n';
const vectors = zipVectors();

async function check(zip: Buffer, limits?: Partial<ZipLimits>): Promise<ZipFacts> {
  return checkModuleZip(bufferReader(zip), { path, version, limits });
}

/** The code a zip is refused with, or `accepted`. */
async function verdict(zip: Buffer, limits?: Partial<ZipLimits>): Promise<ZipErrorCode | 'accepted'> {
  try {
    await check(zip, limits);
    return 'accepted';
  } catch (error) {
    if (error instanceof ZipError) return error.code;
    throw error;
  }
}

describe('checkModuleZip against Go', () => {
  it.each(vectors.zips.filter((vector) => vector.isAccepted))(
    'accepts and hashes as Go: $name',
    async (vector) => {
      const facts = await checkModuleZip(bufferReader(vector.zip), { ...vector, extraRules: 'report' });

      expect(facts.h1).toBe(vector.h1);
    },
  );

  it.each(vectors.zips.filter((vector) => !vector.isAccepted))('refuses as Go: $name', async (vector) => {
    const checking = checkModuleZip(bufferReader(vector.zip), { ...vector, extraRules: 'report' });

    await expect(checking).rejects.toBeInstanceOf(ZipError);
  });

  it('refuses by extra rules just these of the zips that Go accepts', async () => {
    const refused: Record<string, string> = {};
    for (const vector of vectors.zips.filter((candidate) => candidate.isAccepted)) {
      await checkModuleZip(bufferReader(vector.zip), vector).catch((error: unknown) => {
        if (error instanceof ZipError) refused[vector.name] = error.code;
      });
    }

    expect(refused).toEqual({
      'a byte after the end': 'stray_bytes',
      'bytes after the deflate stream': 'stray_bytes',
      'bytes before': 'stray_bytes',
      'bytes before the directory': 'stray_bytes',
      device: 'symlink',
      'directory size wrong': 'bad_directory',
      'encrypted flag': 'encrypted',
      'local name differs': 'header_mismatch',
      symlink: 'symlink',
      'zero crc': 'bad_crc',
    });
  });

  it('reports an oddity instead of refusing when asked to', async () => {
    const zip = makeModuleZip(path, version, { a: 'x' }, { lies: { a: { mode: 0o120777 } } });

    const facts = await checkModuleZip(bufferReader(zip), { path, version, extraRules: 'report' });

    expect(facts.oddities).toEqual([{ code: 'symlink', message: expect.stringContaining('m@v1.0.0/a') }]);
  });
});

describe('checkModuleZip', () => {
  it('gives go.mod, its hash, the counts and the h1', async () => {
    const facts = await check(
      makeModuleZip(path, version, { 'a.go': 'package a\n', 'go.mod': goMod, 'd/': '' }),
    );

    expect(facts.goMod?.toString()).toBe(goMod);
    const inner = createHash('sha256').update(goMod).digest('hex');
    expect(facts.goModH1).toBe(`h1:${createHash('sha256').update(`${inner}  go.mod\n`).digest('base64')}`);
    expect(facts).toMatchObject({ entries: 3, inflatedBytes: goMod.length + 10, oddities: [] });
  });

  const shapes: [string, ModuleZipOptions][] = [
    ['deflated with signed descriptors', {}],
    ['deflated with unsigned descriptors', { descriptors: 'unsigned' }],
    ['deflated without descriptors', { descriptors: 'none' }],
    ['stored', { stored: true }],
    ['stored with descriptors', { stored: true, descriptors: 'signed' }],
    ['zip64', { zip64: true }],
    ['zip64 without descriptors', { zip64: true, descriptors: 'none' }],
    ['with a comment', { comment: 'made by hand' }],
  ];
  it.each(shapes)('gives the same h1 for the same files %s', async (_, options) => {
    const files = {
      'go.mod': goMod,
      'big.bin': Buffer.alloc(3_000_000, 'abc'),
      empty: '',
      'd/e.go': 'package d\n',
    };

    const facts = await check(makeModuleZip(path, version, files, options));

    expect(facts.h1).toBe((await check(makeModuleZip(path, version, files))).h1);
    expect(facts.inflatedBytes).toBe(3_000_000 + goMod.length + 10);
  });

  it('accepts a zip of several megabytes of noise', async () => {
    expect(await verdict(bigModuleZip(path, version, 5_000_000, 1))).toBe('accepted');
  });

  const long = Buffer.alloc(3_000_000, 'text ');
  const malformed: [string, ZipErrorCode, Record<string, string | Buffer>, ModuleZipOptions][] = [
    ['a size that is too small', 'bad_size', { a: 'content' }, { lies: { a: { sizeBytes: 3 } } }],
    ['a size that is too great', 'bad_size', { a: 'content' }, { lies: { a: { sizeBytes: 30 } } }],
    ['a great size that is too small', 'bad_size', { a: long }, { lies: { a: { sizeBytes: 2_000_000 } } }],
    ['a great size that is too great', 'bad_size', { a: long }, { lies: { a: { sizeBytes: 4_000_000 } } }],
    [
      'a packed size that is too small',
      'bad_data',
      { a: 'content' },
      { lies: { a: { compressedBytes: 3 } } },
    ],
    [
      'a packed size beyond the end',
      'truncated',
      { a: 'content' },
      { lies: { a: { compressedBytes: 999_999 } } },
    ],
    ['a bad CRC', 'bad_crc', { a: 'content' }, { lies: { a: { crc32: 5 } } }],
    ['a bad CRC of a large entry', 'bad_crc', { a: long }, { lies: { a: { crc32: 5 } } }],
    ['damaged data', 'bad_data', { a: 'content' }, { lies: { a: { packed: Buffer.alloc(9, 0xff) } } }],
    [
      'damaged data of a large entry',
      'bad_data',
      { a: long },
      { lies: { a: { packed: Buffer.alloc(9, 0xff) } } },
    ],
    ['a duplicate', 'duplicate_name', { a: 'x' }, { duplicates: ['a'] }],
    ['no prefix', 'bad_prefix', { a: 'x' }, { prefix: '' }],
    ['a name that leaves the prefix', 'bad_prefix', {}, { exactNames: { '../x': 'x' } }],
    ['an absolute name', 'bad_prefix', {}, { exactNames: { '/etc/passwd': 'x' } }],
    ['a parent path below the prefix', 'bad_name', { 'a/../../x': 'x' }, {}],
    ['a control character', 'bad_name', { 'a\u0007': 'x' }, {}],
    ['a symlink', 'symlink', { a: '/etc' }, { lies: { a: { mode: 0o120777 } } }],
    ['a pipe', 'symlink', { a: '' }, { lies: { a: { mode: 0o010644 } } }],
    ['encryption', 'encrypted', { a: 'x' }, { lies: { a: { flags: 1 } } }],
    ['an unknown method', 'unsupported_method', { a: 'x' }, { lies: { a: { method: 14 } } }],
    ['another name in the local header', 'header_mismatch', { a: 'x' }, { lies: { a: { localName: 'b' } } }],
    ['bytes before the first header', 'stray_bytes', { a: 'x' }, { before: Buffer.from('#!/bin/sh\n') }],
    ['bytes before the directory', 'stray_bytes', { a: 'x' }, { beforeDirectory: Buffer.from('hidden') }],
    ['bytes after the end', 'stray_bytes', { a: 'x' }, { after: Buffer.from('x') }],
    ['names that differ in case', 'case_collision', { A: 'x', a: 'x' }, {}],
    ['a file that is a directory too', 'file_and_directory', { a: 'x', 'a/b': 'x' }, {}],
    ['a go.mod further down', 'go_mod_misplaced', { 'a/go.mod': goMod }, {}],
    ['a cut end', 'not_a_zip', { a: 'x' }, { cutBytes: 1 }],
  ];
  it.each(malformed)('refuses %s as %s', async (_, code, files, options) => {
    expect(await verdict(makeModuleZip(path, version, files, options))).toBe(code);
  });

  const tooLarge: [string, Partial<ZipLimits>, ZipErrorCode][] = [
    ['the zip', { zipBytes: 100 }, 'too_large'],
    ['the sum of the files', { inflatedBytes: 99 }, 'too_large'],
    ['go.mod', { goModBytes: 5 }, 'too_large'],
    ['LICENSE', { licenseBytes: 5 }, 'too_large'],
    ['the directory', { directoryBytes: 50 }, 'too_large'],
    ['the count of entries', { entries: 2 }, 'too_many_entries'],
  ];
  it.each(tooLarge)('holds the limit on %s', async (_, limits, code) => {
    const zip = makeModuleZip(path, version, { 'go.mod': goMod, LICENSE: 'license', a: 'x'.repeat(100) });

    expect(await verdict(zip)).toBe('accepted');
    expect(await verdict(zip, limits)).toBe(code);
  });

  it.each([100, 2_000_000])('stops a bomb that declares %i bytes soon after them', async (declaredBytes) => {
    const packed = deflateRawSync(Buffer.alloc(10_000_000));
    const zip = makeModuleZip(
      path,
      version,
      { a: '' },
      { lies: { a: { packed, sizeBytes: declaredBytes } } },
    );

    expect(await verdict(zip)).toBe('bad_size');
  });

  it('refuses a zip that is cut at any byte', async () => {
    const zip = makeModuleZip(path, version, { 'go.mod': goMod, 'a.go': 'package a\n' });
    const accepted: number[] = [];
    for (let length = 0; length < zip.length; length++) {
      if ((await verdict(zip.subarray(0, length))) === 'accepted') accepted.push(length);
    }

    expect(accepted).toEqual([]);
  });

  it('notices any changed byte of the content', async () => {
    const zip = makeModuleZip(path, version, { a: 'some content that matters' }, { stored: true });
    const start = zip.indexOf('some content');
    for (let at = start; at < start + 25; at++) {
      const changed = Buffer.from(zip);
      changed[at] = (changed[at] ?? 0) ^ 0x20;
      expect(await verdict(changed)).toBe('bad_crc');
    }
  });

  it('reads through a source that gives a few bytes at a time', async () => {
    const zip = makeModuleZip(path, version, { 'go.mod': goMod, a: Buffer.alloc(5000, 'xyz') });
    const slow: RandomReader = {
      sizeBytes: zip.length,
      readAt: async (target, length, position) =>
        zip.copy(target, 0, position, position + Math.min(length, 7)),
    };

    expect(await checkModuleZip(slow, { path, version })).toEqual(await check(zip));
  });

  it('passes on the error of a source that fails', async () => {
    const failing: RandomReader = {
      sizeBytes: 1000,
      readAt: () => {
        throw new Error('EIO');
      },
    };

    await expect(checkModuleZip(failing, { path, version })).rejects.toThrow('EIO');
  });

  it('stops when its checkpoint throws', async () => {
    let calls = 0;
    const checkpoint = (): void => {
      if (++calls === 2) throw new Error('enough');
    };
    const zip = makeModuleZip(path, version, { a: 'x', b: 'x', c: 'x' });

    await expect(checkModuleZip(bufferReader(zip), { path, version, checkpoint })).rejects.toThrow('enough');
    expect(calls).toBe(2);
  });

  it('names the entry without control characters', async () => {
    const zip = makeModuleZip(path, version, { 'a\u0007\n': 'x' });

    await expect(check(zip)).rejects.toThrow(String.raw`"example.com/m@v1.0.0/a\u{7}\u{a}"`);
  });
});
