import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeModuleZip } from '../../test/kit/make-zip.ts';
import { randomBytesOf } from '../../test/kit/odd-bytes.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { ExtraRules } from './extra-rules.ts';
import { checkModuleZip } from './module-zip-check.ts';
import { bufferReader, ReadWindow, readDirectory } from './zip-reader.ts';
import { type RepackedFile, repackZip } from './zip-repack.ts';
import { defaultZipLimits } from './zip-types.ts';

const target = { path: 'example.com/m', version: 'v1.0.0' };

async function entriesOf(bytes: Buffer) {
  const reader = bufferReader(bytes);
  return (
    await readDirectory(new ReadWindow(reader), bytes.length, defaultZipLimits, new ExtraRules('refuse'))
  ).entries;
}

async function repacked(
  source: Buffer,
  files: readonly RepackedFile[],
  signal?: AbortSignal,
): Promise<Buffer> {
  const dir = await tempDir('repack');
  onTestFinished(dir.remove);
  const file = join(dir.path, 'out.zip');
  await using handle = await open(file, 'wx');
  const length = await repackZip(bufferReader(source), handle, files, signal);
  const bytes = await readFile(file);
  expect(bytes).toHaveLength(length);
  return bytes;
}

async function renamed(source: Buffer, from: string): Promise<RepackedFile[]> {
  const root = `${target.path}@${target.version}/`;
  const entries = await entriesOf(source);
  return entries.map((entry) => ({ name: root + entry.name.slice(from.length), entry }));
}

const files = {
  'go.mod': 'module example.com/m\n',
  'ü/日本.txt': 'text\n',
  empty: '',
  'noise.bin': randomBytesOf(1_500_000),
  'zeros.bin': Buffer.alloc(1_500_000),
};

describe('repackZip', () => {
  it.each([{}, { stored: true }, { descriptors: 'unsigned' as const }, { zip64: true }])(
    'gives the zip that Go would make, from one with %j, by every rule and with its hash',
    async (options) => {
      const source = makeModuleZip('x', 'y', files, { ...options, prefix: 'old/' });
      const bytes = await repacked(source, await renamed(source, 'old/'));
      const expected = await checkModuleZip(
        bufferReader(makeModuleZip(target.path, target.version, files)),
        target,
      );
      const facts = await checkModuleZip(bufferReader(bytes), target);
      expect({ ...facts, entries: 0 }).toEqual({ ...expected, entries: 0 });
    },
  );

  it('adds files from memory', async () => {
    const source = makeModuleZip('x', 'y', { 'a.go': 'package a\n' }, { prefix: '' });
    const name = `${target.path}@${target.version}/LICENSE`;
    const list = [...(await renamed(source, '')), { name, content: Buffer.from('free\n'.repeat(1000)) }];
    const expected = makeModuleZip(target.path, target.version, {
      'a.go': 'package a\n',
      LICENSE: 'free\n'.repeat(1000),
    });
    const facts = await checkModuleZip(bufferReader(await repacked(source, list)), target);
    expect(facts.h1).toBe((await checkModuleZip(bufferReader(expected), target)).h1);
  });

  it('gives the same bytes each time, and an empty zip of nothing', async () => {
    const source = makeModuleZip('x', 'y', files, { prefix: 'old/' });
    const list = await renamed(source, 'old/');
    expect(await repacked(source, list)).toEqual(await repacked(source, list));
    expect(await entriesOf(await repacked(source, []))).toEqual([]);
  });

  it('writes more entries than 16 bits count', async () => {
    const source = makeModuleZip('x', 'y', { a: 'x' }, { prefix: '' });
    const [entry] = await entriesOf(source);
    if (entry === undefined) throw new Error('no entry');
    const list = Array.from({ length: 70_000 }, (_, index) => ({ name: `m@v/${index}`, entry }));
    const written = await entriesOf(await repacked(source, list));
    expect(written).toHaveLength(70_000);
    expect(written[69_999]).toMatchObject({ name: 'm@v/69999', crc32: crc32('x'), sizeBytes: 1 });
  });

  it('rejects when the source is cut, when an entry is elsewhere, and when it is aborted', async () => {
    const source = makeModuleZip('x', 'y', files, { prefix: 'old/' });
    const list = await renamed(source, 'old/');
    await expect(repacked(source.subarray(0, 800_000), list)).rejects.toMatchObject({ code: 'truncated' });
    const moved = list.map((one) =>
      'entry' in one ? { ...one, entry: { ...one.entry, headerOffset: 5 } } : one,
    );
    await expect(repacked(source, moved)).rejects.toMatchObject({ code: 'not_a_zip' });
    await expect(repacked(source, list, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
  });
});
