/** Zips that nobody may publish, all made out to be the same module: one of each class, and bombs. */
import { constants, deflateRawSync } from 'node:zlib';
import { fakeModule } from '../kit/fake-module.ts';
import { type ModuleZipOptions, makeModuleZip } from '../kit/make-zip.ts';
import { foreignZip } from '../kit/zip-variants.ts';

const MIB = 1024 * 1024;

export const badModule = { path: 'git.corp.test/bad', version: 'v1.0.0' } as const;

const goMod = `module ${badModule.path}\n`;
const good = { 'go.mod': goMod, 'a.go': 'package a\n' };

/** A zip of it that is good but for the options and files. */
export function badZip(
  options: ModuleZipOptions,
  files: Readonly<Record<string, string | Buffer>> = good,
): Buffer {
  return makeModuleZip(badModule.path, badModule.version, files, options);
}

/** By what is wrong with them. */
export const badZips: Readonly<Record<string, Buffer>> = {
  'nothing at all': Buffer.alloc(0),
  'a web page': Buffer.from('<html>log in</html>'),
  'cut off': badZip({ cutBytes: 10 }),
  'another module': foreignZip({ version: 'v1.0.0' }),
  'another version': fakeModule({ ...badModule, version: 'v1.0.1' }).zip,
  'another path in go.mod': badZip({}, { ...good, 'go.mod': 'module git.corp.test/else\n' }),
  'no go.mod': badZip({}, { 'a.go': 'package a\n' }),
  'no prefix': badZip({ prefix: '' }),
  'a name that climbs out': badZip({ exactNames: { '../../evil': 'x' } }),
  'a name that climbs out below the prefix': badZip({}, { ...good, '../../evil': 'x' }),
  'an absolute name': badZip({ exactNames: { '/etc/passwd': 'x' } }),
  'a backslash': badZip({}, { ...good, 'a\\b': 'x' }),
  'a device name of Windows': badZip({}, { ...good, 'aux.go': 'x' }),
  'an escape sequence': badZip({}, { ...good, '\u001b[2J': 'x' }),
  'a file twice': badZip({ duplicates: ['a.go'] }),
  'names that differ in case': badZip({}, { ...good, 'A.go': 'x' }),
  'a file that is a folder': badZip({}, { ...good, 'a.go/b': 'x' }),
  'GO.MOD': badZip({}, { ...good, 'GO.MOD': 'x' }),
  'a symbolic link': badZip({ lies: { 'a.go': { mode: 0o120777 } } }),
  'an encrypted file': badZip({ lies: { 'a.go': { flags: 1 } } }),
  'an unknown method': badZip({ lies: { 'a.go': { method: 99 } } }),
  'a wrong checksum': badZip({ lies: { 'a.go': { crc32: 1 } } }),
  'a wrong size': badZip({ lies: { 'a.go': { sizeBytes: 3 } } }),
  'a wrong size, 64 bits': badZip({ zip64: true, lies: { 'a.go': { sizeBytes: 3 } } }),
  'another local name': badZip({ lies: { 'a.go': { localName: 'b.go' } } }),
  'bytes before': badZip({ before: Buffer.from('#!/bin/sh\n') }),
  'bytes between': badZip({ beforeDirectory: Buffer.from('xx') }),
  'bytes behind': badZip({ after: Buffer.from('x') }),
  'two ends': badZip({ after: badZip({}).subarray(-22) }),
  'too large a go.mod': badZip({}, { 'go.mod': goMod + '/'.repeat(17 * MIB) }),
};

/** Small zips that inflate to far more than 32 MiB. */
export function zipBombs(): Readonly<Record<string, Buffer>> {
  const inflatedBytes = 2048 * MIB;
  const packed = bomb(inflatedBytes);
  const zeros = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`${at}.bin`, Buffer.alloc(MIB)]));
  const single = { ...good, 'zero.bin': 'x' };
  return {
    'says how large it is': badZip({ lies: { 'zero.bin': { packed, sizeBytes: inflatedBytes } } }, single),
    'says it is small': badZip({ lies: { 'zero.bin': { packed, sizeBytes: 10 } } }, single),
    'says it is as large as is allowed': badZip(
      { lies: { 'zero.bin': { packed, sizeBytes: 31 * MIB } } },
      single,
    ),
    'has many files that each are allowed': badZip({}, { ...good, ...zeros }),
  };
}

/** Raw deflate data of zeros, as long as wanted, from one piece that is repeated. */
function bomb(inflatedBytes: number): Buffer {
  const piece = deflateRawSync(Buffer.alloc(MIB), { level: 9, finishFlush: constants.Z_FULL_FLUSH });
  const pieces = Array.from({ length: inflatedBytes / MIB }, () => piece);
  return Buffer.concat([...pieces, deflateRawSync(Buffer.alloc(0))]);
}
