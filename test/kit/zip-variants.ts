/**
 * Other zips for a module that exists: what mirrors deliver that pack anew, mix modules up, or were tampered with.
 * All are made from the zip's bytes, so that they work for any module of the kit.
 */
import { inflateRawSync } from 'node:zlib';
import { type FakeModule, fakeModule } from './fake-module.ts';
import { type ZipEntry, zipBytes } from './zip-bytes.ts';

type Zipped = Pick<FakeModule, 'path' | 'version' | 'zip'>;

/** The same tree stored without compression: other bytes, the same `h1:`. */
export function repackedZip({ zip }: Pick<FakeModule, 'zip'>): Buffer {
  const entries = zipEntries(zip);
  const stored = zipBytes(entries, { compress: false });
  return stored.equals(zip) ? zipBytes(entries) : stored;
}

/** The zip of another module: sound in itself, but every name in it begins with that other module's path. */
export function foreignZip({ version }: Pick<FakeModule, 'version'>): Buffer {
  return fakeModule({ path: 'foreign.test/other', version }).zip;
}

/**
 * The same names under the module's own prefix, with a line more in one file: a sound zip with another `h1:`. Takes
 * the first file that is not go.mod, or `file` (its name inside the module).
 */
export function zipWithOneFileChanged({ path, version, zip }: Zipped, file?: string): Buffer {
  const prefix = `${path}@${version}/`;
  const entries = zipEntries(zip);
  const target = entries.find(({ name }) =>
    file === undefined ? name !== `${prefix}go.mod` : name === prefix + file,
  );
  if (!target) throw new RangeError(`the zip of ${path}@${version} has no file ${file ?? 'but go.mod'}`);
  const content = Buffer.concat([target.content, Buffer.from('\n// Changed on the way.\n')]);
  return zipBytes(entries.map((entry) => (entry === target ? { ...entry, content } : entry)));
}

/** The entries of a sound zip, inflated, in the order of its directory. No zip64; nothing is checked. */
export function zipEntries(zip: Buffer): ZipEntry[] {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  const count = zip.readUInt16LE(end + 10);
  let at = zip.readUInt32LE(end + 16);
  return Array.from({ length: count }, () => {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    const name = zip.toString('utf8', at + 46, at + 46 + (nameBytes ?? 0));
    const content = contentOf(zip, at);
    at += 46 + (nameBytes ?? 0) + (extraBytes ?? 0) + (commentBytes ?? 0);
    return { name, content };
  });
}

function contentOf(zip: Buffer, entryAt: number): Buffer {
  const headerAt = zip.readUInt32LE(entryAt + 42);
  const start = headerAt + 30 + zip.readUInt16LE(headerAt + 26) + zip.readUInt16LE(headerAt + 28);
  const packed = zip.subarray(start, start + zip.readUInt32LE(entryAt + 20));
  return zip.readUInt16LE(entryAt + 10) === 0 ? packed : inflateRawSync(packed);
}
