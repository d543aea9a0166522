/**
 * A small zip writer that gives the bytes at once and the same ones each time. By default it writes what Go's own
 * archive/zip writes: deflate, no times, and sizes in a data descriptor behind each file, not in its local header.
 */
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipEntry {
  readonly name: string;
  readonly content: Uint8Array;
}

export interface ZipOptions {
  /** False stores without compression. Default true. */
  readonly compress?: boolean;
  /** False puts CRC and sizes in the local headers. Default true, as Go does. */
  readonly dataDescriptors?: boolean;
}

/** Sizes up to 4 GiB and 65535 entries: there is no zip64 here. Names are written as given, unchecked. */
export function zipBytes(entries: readonly ZipEntry[], options: ZipOptions = {}): Buffer {
  const { compress = true, dataDescriptors = true } = options;
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const data = compress ? deflateRawSync(entry.content) : Buffer.from(entry.content);
    const sums = [crc32(entry.content), data.length, entry.content.length];
    // Bit 11: the name is UTF-8; bit 3: sums follow the data. Both as Go sets them.
    const flags = (isAscii(name) ? 0 : 0x800) | (dataDescriptors ? 0x8 : 0);
    const common = Buffer.concat([
      u16(20, flags, compress ? 8 : 0, 0, 0),
      u32(...(dataDescriptors ? [0, 0, 0] : sums)),
      u16(name.length, 0),
    ]);
    const local = [u32(0x04034b50), common, name, data];
    if (dataDescriptors) local.push(u32(0x08074b50, ...sums));
    directory.push(
      u32(0x02014b50),
      u16(20, 20, flags, compress ? 8 : 0, 0, 0),
      u32(...sums),
      u16(name.length, 0, 0, 0, 0),
      u32(0, offset),
      name,
    );
    parts.push(...local);
    offset += local.reduce((sum, part) => sum + part.length, 0);
  }
  const directoryBytes = Buffer.concat(directory);
  const end = [
    u32(0x06054b50),
    u16(0, 0, entries.length, entries.length),
    u32(directoryBytes.length, offset),
    u16(0),
  ];
  return Buffer.concat([...parts, directoryBytes, ...end]);
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeUInt16LE(value, index * 2));
  return bytes;
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}
