/**
 * Makes module zips for tests: ordinary ones as Go makes them, malformed ones by option, and big ones of an exact
 * size. The bytes depend on the arguments only. Generated with an own writer, since real ones refuse to lie.
 */
import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';
import { crc32, deflateRawSync } from 'node:zlib';

/** What one entry says instead of the truth. */
export interface EntryLie {
  /** Inflated size, in both headers and the descriptor. */
  readonly sizeBytes?: number;
  /** Packed size, in both headers and the descriptor. */
  readonly compressedBytes?: number;
  readonly crc32?: number;
  readonly method?: number;
  /** Bits set in the flags, e.g. 1 for encrypted. */
  readonly flags?: number;
  /** Unix mode in the attributes, e.g. 0o120777 for a symlink. */
  readonly mode?: number;
  /** Name in the local header only. */
  readonly localName?: string;
  /** Packed bytes put in place of the true ones. */
  readonly packed?: Buffer;
}

export interface ModuleZipOptions {
  /** Stores all entries instead of deflating them. Default false. */
  readonly stored?: boolean;
  /** Data descriptors: `signed` as Go writes them, `unsigned`, or `none`. Default `signed`, `none` when stored. */
  readonly descriptors?: 'signed' | 'unsigned' | 'none';
  /** Writes 64-bit sizes, offsets and end records although they are not needed. Default false. */
  readonly zip64?: boolean;
  /** Put before each name. Default `path@version/`. */
  readonly prefix?: string;
  /** Lies by file name (without prefix). */
  readonly lies?: Readonly<Record<string, EntryLie>>;
  /** Names (without prefix) written once more at the end, with the same content. */
  readonly duplicates?: readonly string[];
  /** More entries under these exact names: for names that leave the prefix. */
  readonly exactNames?: Readonly<Record<string, string | Buffer>>;
  /** Bytes before the first header. */
  readonly before?: Buffer;
  /** Bytes between the last entry and the directory. */
  readonly beforeDirectory?: Buffer;
  /** Bytes after the end. */
  readonly after?: Buffer;
  readonly comment?: string;
  /** Leaves that many bytes off the end. Default 0. */
  readonly cutBytes?: number;
  /** Deflate level. Default 6. */
  readonly level?: number;
}

interface RawEntry {
  readonly name: string;
  readonly localName: string;
  readonly method: number;
  readonly flags: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly offset: number;
  readonly zip64: boolean;
}

/**
 * A module zip of the given files (names without prefix; a name that ends in a slash is a directory). Deterministic.
 */
export function makeModuleZip(
  path: string,
  version: string,
  files: Readonly<Record<string, string | Buffer>>,
  options: ModuleZipOptions = {},
): Buffer {
  const prefix = options.prefix ?? `${path}@${version}/`;
  const list = Object.entries(files).map(([name, data]) => ({ key: name, name: prefix + name, data }));
  for (const name of options.duplicates ?? []) {
    list.push({ key: name, name: prefix + name, data: files[name] ?? '' });
  }
  for (const [name, data] of Object.entries(options.exactNames ?? {})) list.push({ key: name, name, data });

  const parts: Buffer[] = [options.before ?? Buffer.alloc(0)];
  // Offsets do not count what stands before: that is how such files come about.
  let offset = 0;
  const entries: RawEntry[] = [];
  const put = (part: Buffer): void => {
    parts.push(part);
    offset += part.length;
  };
  for (const { key, name, data } of list) {
    const lie = options.lies?.[key] ?? {};
    const content = Buffer.from(data);
    const isStored = options.stored === true || name.endsWith('/');
    const packed =
      lie.packed ?? (isStored ? content : deflateRawSync(content, { level: options.level ?? 6 }));
    const descriptors = name.endsWith('/') ? 'none' : (options.descriptors ?? (isStored ? 'none' : 'signed'));
    const entry: RawEntry = {
      name,
      localName: lie.localName === undefined ? name : prefix + lie.localName,
      method: lie.method ?? (isStored ? 0 : 8),
      flags: (lie.flags ?? 0) | (descriptors === 'none' ? 0 : 8) | 0x800,
      crc32: lie.crc32 ?? crc32(content),
      compressedBytes: lie.compressedBytes ?? packed.length,
      sizeBytes: lie.sizeBytes ?? content.length,
      mode: lie.mode ?? 0,
      offset,
      zip64: options.zip64 ?? false,
    };
    entries.push(entry);
    put(localHeader(entry));
    put(packed);
    if (descriptors !== 'none') put(descriptor(entry, descriptors === 'signed'));
  }
  put(options.beforeDirectory ?? Buffer.alloc(0));
  parts.push(...directory(entries, offset, options.zip64 ?? false, options.comment ?? ''));
  parts.push(options.after ?? Buffer.alloc(0));
  const whole = Buffer.concat(parts);
  return whole.subarray(0, whole.length - (options.cutBytes ?? 0));
}

function localHeader(entry: RawEntry): Buffer {
  const name = Buffer.from(entry.localName);
  const hasDescriptor = (entry.flags & 8) !== 0;
  const isWide = entry.zip64 && !hasDescriptor;
  const extra = isWide ? zip64Extra([entry.sizeBytes, entry.compressedBytes]) : Buffer.alloc(0);
  const fixed = Buffer.alloc(30);
  fixed.writeUInt32LE(0x04034b50, 0);
  fixed.writeUInt16LE(entry.zip64 ? 45 : 20, 4);
  fixed.writeUInt16LE(entry.flags, 6);
  fixed.writeUInt16LE(entry.method, 8);
  if (!hasDescriptor) {
    fixed.writeUInt32LE(entry.crc32, 14);
    fixed.writeUInt32LE(isWide ? 0xffffffff : entry.compressedBytes, 18);
    fixed.writeUInt32LE(isWide ? 0xffffffff : entry.sizeBytes, 22);
  }
  fixed.writeUInt16LE(name.length, 26);
  fixed.writeUInt16LE(extra.length, 28);
  return Buffer.concat([fixed, name, extra]);
}

function descriptor(entry: RawEntry, isSigned: boolean): Buffer {
  const size = entry.zip64 ? 20 : 12;
  const bytes = Buffer.alloc(4 + size);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(entry.crc32, 4);
  if (entry.zip64) {
    bytes.writeBigUInt64LE(BigInt(entry.compressedBytes), 8);
    bytes.writeBigUInt64LE(BigInt(entry.sizeBytes), 16);
  } else {
    bytes.writeUInt32LE(entry.compressedBytes, 8);
    bytes.writeUInt32LE(entry.sizeBytes, 12);
  }
  return isSigned ? bytes : bytes.subarray(4);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + values.length * 8);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(values.length * 8, 2);
  for (const [index, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + index * 8);
  return extra;
}

function centralHeader(entry: RawEntry): Buffer {
  const name = Buffer.from(entry.name);
  const extra = entry.zip64
    ? zip64Extra([entry.sizeBytes, entry.compressedBytes, entry.offset])
    : Buffer.alloc(0);
  const fixed = Buffer.alloc(46);
  fixed.writeUInt32LE(0x02014b50, 0);
  fixed.writeUInt16LE(entry.mode === 0 ? 20 : (3 << 8) | 20, 4);
  fixed.writeUInt16LE(entry.zip64 ? 45 : 20, 6);
  fixed.writeUInt16LE(entry.flags, 8);
  fixed.writeUInt16LE(entry.method, 10);
  fixed.writeUInt32LE(entry.crc32, 16);
  fixed.writeUInt32LE(entry.zip64 ? 0xffffffff : entry.compressedBytes, 20);
  fixed.writeUInt32LE(entry.zip64 ? 0xffffffff : entry.sizeBytes, 24);
  fixed.writeUInt16LE(name.length, 28);
  fixed.writeUInt16LE(extra.length, 30);
  fixed.writeUInt32LE((entry.mode << 16) >>> 0, 38);
  fixed.writeUInt32LE(entry.zip64 ? 0xffffffff : entry.offset, 42);
  return Buffer.concat([fixed, name, extra]);
}

function directory(entries: readonly RawEntry[], offset: number, zip64: boolean, comment: string): Buffer[] {
  const headers = Buffer.concat(entries.map(centralHeader));
  const parts = [headers];
  if (zip64) {
    const wide = Buffer.alloc(76);
    wide.writeUInt32LE(0x06064b50, 0);
    wide.writeBigUInt64LE(44n, 4);
    wide.writeUInt16LE(45, 12);
    wide.writeUInt16LE(45, 14);
    wide.writeBigUInt64LE(BigInt(entries.length), 24);
    wide.writeBigUInt64LE(BigInt(entries.length), 32);
    wide.writeBigUInt64LE(BigInt(headers.length), 40);
    wide.writeBigUInt64LE(BigInt(offset), 48);
    wide.writeUInt32LE(0x07064b50, 56);
    wide.writeBigUInt64LE(BigInt(offset + headers.length), 64);
    wide.writeUInt32LE(1, 72);
    parts.push(wide);
  }
  const text = Buffer.from(comment);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : entries.length, 8);
  end.writeUInt16LE(zip64 ? 0xffff : entries.length, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : headers.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  end.writeUInt16LE(text.length, 20);
  parts.push(end, text);
  return parts;
}

const bigFileBytes = 32 * 1024 * 1024;
const chunkBytes = 1024 * 1024;

/**
 * The chunks of an incompressible module zip of exactly `sizeBytes` (at least 4 KiB): a go.mod and stored files of
 * up to 32 MiB of pseudo-random bytes made from `seed`. Holds one chunk of 1 MiB at a time.
 */
export function* bigModuleZipChunks(
  path: string,
  version: string,
  sizeBytes: number,
  seed: number,
): Generator<Buffer, void> {
  const prefix = `${path}@${version}/`;
  const goMod = Buffer.from(`module ${path}\n`);
  const nameOf = (index: number): string => `${prefix}data-${String(index).padStart(6, '0')}.bin`;
  const overheadOf = (nameBytes: number): number => 30 + 46 + 2 * nameBytes;
  const fileOverhead = overheadOf(Buffer.byteLength(nameOf(0)));
  let restBytes = sizeBytes - 22 - overheadOf(Buffer.byteLength(prefix) + 6) - goMod.length;
  if (restBytes <= fileOverhead) throw new Error(`a big module zip needs more than ${sizeBytes} bytes`);
  const count = Math.ceil(restBytes / (bigFileBytes + fileOverhead));
  restBytes -= count * fileOverhead;

  const entries: RawEntry[] = [];
  let offset = 0;
  const start = (name: string, length: number, crc: number): Buffer => {
    const facts = {
      method: 0,
      flags: 0x800,
      crc32: crc,
      compressedBytes: length,
      sizeBytes: length,
      mode: 0,
    };
    const entry: RawEntry = { name, localName: name, ...facts, offset, zip64: false };
    entries.push(entry);
    const header = localHeader(entry);
    offset += header.length + length;
    return header;
  };
  yield Buffer.concat([start(`${prefix}go.mod`, goMod.length, crc32(goMod)), goMod]);
  for (let index = 0; index < count; index++) {
    const length = Math.floor((restBytes * (index + 1)) / count) - Math.floor((restBytes * index) / count);
    let crc = 0;
    for (const chunk of noise(seed, index, length)) crc = crc32(chunk, crc);
    yield start(nameOf(index), length, crc);
    yield* noise(seed, index, length);
  }
  yield Buffer.concat(directory(entries, offset, false, ''));
}

function* noise(seed: number, index: number, sizeBytes: number): Generator<Buffer, void> {
  const key = Buffer.alloc(16);
  key.writeInt32LE(Math.trunc(seed) | 0, 0);
  key.writeInt32LE(index, 4);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(chunkBytes);
  for (let rest = sizeBytes; rest > 0; rest -= chunkBytes) {
    yield cipher.update(zeros.subarray(0, Math.min(rest, chunkBytes)));
  }
}

/** `bigModuleZipChunks` in one Buffer, e.g. of 20 MB. */
export function bigModuleZip(path: string, version: string, sizeBytes: number, seed: number): Buffer {
  return Buffer.concat([...bigModuleZipChunks(path, version, sizeBytes, seed)]);
}

/** `bigModuleZipChunks` written to a new file, e.g. of 500 MB, in little memory. */
export async function writeBigModuleZip(
  file: string,
  path: string,
  version: string,
  sizeBytes: number,
  seed: number,
): Promise<void> {
  await using handle = await open(file, 'wx');
  for (const chunk of bigModuleZipChunks(path, version, sizeBytes, seed)) await handle.write(chunk);
}
