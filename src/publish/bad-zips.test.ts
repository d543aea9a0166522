/** Every bad zip of the kit and every bomb is refused, and nothing of it stays. */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type ModuleZipOptions, makeModuleZip } from '../../test/kit/make-zip.ts';
import { foreignZip } from '../../test/kit/zip-variants.ts';
import { zipVectors } from '../../test/kit/zip-vectors/zip-vectors.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import { libModule, mebibyte, module, modulePath, testRegistry, v } from './test-registry.ts';

const goMod = `module ${module}\n`;
const good = { 'go.mod': goMod, 'a.go': 'package a\n' };

function zip(options: ModuleZipOptions, files: Readonly<Record<string, string | Buffer>> = good): Buffer {
  return makeModuleZip(module, 'v1.0.0', files, options);
}

const zeroes = Buffer.alloc(64 * mebibyte);
const bomb = deflateRawSync(zeroes, { level: 9 });

const cases: readonly (readonly [string, Buffer, 'invalid' | 'too_large'])[] = [
  ['nothing at all', Buffer.alloc(0), 'invalid'],
  ['no zip', Buffer.from('PK\u0003\u0004 not a zip'), 'invalid'],
  ['a web page', Buffer.from('<html>log in</html>'), 'invalid'],
  ['cut off', zip({ cutBytes: 10 }), 'invalid'],
  ['of another module', foreignZip({ version: 'v1.0.0' }), 'invalid'],
  ['of another version', libModule({ version: 'v1.0.1' }).zip, 'invalid'],
  ['without the prefix', zip({ prefix: '' }), 'invalid'],
  ['with a name that climbs out', zip({ exactNames: { '../../evil': 'x' } }), 'invalid'],
  ['with a name that climbs out below the prefix', zip({}, { ...good, '../../evil': 'x' }), 'invalid'],
  ['with an absolute name', zip({ exactNames: { '/etc/passwd': 'x' } }), 'invalid'],
  ['with a backslash', zip({}, { ...good, 'a\\b': 'x' }), 'invalid'],
  ['with a device name of Windows', zip({}, { ...good, 'aux.go': 'x' }), 'invalid'],
  ['with a control character', zip({}, { ...good, 'a\u0007': 'x' }), 'invalid'],
  ['with a file twice', zip({ duplicates: ['a.go'] }), 'invalid'],
  ['with names that differ in case', zip({}, { ...good, 'A.go': 'x' }), 'invalid'],
  ['with a file that is a folder', zip({}, { ...good, 'a.go/b': 'x' }), 'invalid'],
  ['with GO.MOD', zip({}, { ...good, 'GO.MOD': 'x' }), 'invalid'],
  ['with a symbolic link', zip({ lies: { 'a.go': { mode: 0o120777 } } }), 'invalid'],
  ['with an encrypted file', zip({ lies: { 'a.go': { flags: 1 } } }), 'invalid'],
  ['packed by an unknown method', zip({ lies: { 'a.go': { method: 99 } } }), 'invalid'],
  ['with a wrong checksum', zip({ lies: { 'a.go': { crc32: 1 } } }), 'invalid'],
  ['with a wrong size', zip({ lies: { 'a.go': { sizeBytes: 3 } } }), 'invalid'],
  ['whose local name differs', zip({ lies: { 'a.go': { localName: 'b.go' } } }), 'invalid'],
  ['with bytes before', zip({ before: Buffer.from('#!/bin/sh\n') }), 'invalid'],
  ['with bytes behind', zip({ after: Buffer.from('x') }), 'invalid'],
  ['with bytes between', zip({ beforeDirectory: Buffer.from('xx') }), 'invalid'],
  ['that inflates to more than is allowed', zip({}, { ...good, 'zero.bin': zeroes }), 'too_large'],
  [
    'that inflates to more than it says',
    zip({ lies: { 'zero.bin': { packed: bomb, sizeBytes: 10 } } }, { ...good, 'zero.bin': 'x' }),
    'invalid',
  ],
  [
    'of many files that each are allowed',
    zip(
      {},
      {
        ...good,
        ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}`, zeroes.subarray(0, mebibyte)])),
      },
    ),
    'too_large',
  ],
  [
    'with more files than are allowed',
    zip({}, { ...good, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}`, 'x'])) }),
    'too_large',
  ],
  ['with a go.mod over its limit', zip({}, { 'go.mod': goMod + '/'.repeat(2 * mebibyte) }), 'too_large'],
];

const limits = { zipBytes: 4 * mebibyte, inflatedBytes: 32 * mebibyte, entries: 150, goModBytes: mebibyte };

describe('a zip is refused', () => {
  it.each(cases)('%s', async (_, body, code) => {
    const test = await testRegistry({ upload: { limits } });

    const refused = test.publish(body);

    await expect(refused).rejects.toMatchObject({ name: 'PublishError', code });
    expect(await test.store.holdsAnyOf(modulePath)).toBe(false);
  });

  it('wherever Go refuses it', async () => {
    const test = await testRegistry({ upload: { limits } });
    const bad = zipVectors().zips.filter((vector) => !vector.isAccepted);
    expect(bad.length).toBeGreaterThan(30);
    for (const { name, path, version, zip: body } of bad) {
      const refused = test.publish(body, version, { path: parseModulePath(path) });

      await expect(refused, name).rejects.toMatchObject({ name: 'PublishError' });
      expect(await test.store.holdsAnyOf(parseModulePath(path)), name).toBe(false);
    }
  });

  it('with a text that names the entry and has no control characters', async () => {
    const test = await testRegistry();

    const refused = test.publish(zip({}, { ...good, '\u001b[2J': 'x' }));

    await expect(refused).rejects.toThrow(/^the zip is refused: Entry "[^\p{C}]+$/u);
  });

  it('and a good one under the same name is taken afterwards', async () => {
    const test = await testRegistry();
    await expect(test.publish(zip({ cutBytes: 10 }))).rejects.toMatchObject({ code: 'invalid' });

    expect(await test.publish(zip({}))).toMatchObject({ outcome: 'published', version: v('v1.0.0') });
  });
});
