/**
 * Writes a module zip out of another zip: entries are taken over as they are packed, under new names and without being
 * inflated, and a few small files are added from memory. Times, attributes and order of the result depend on the
 * arguments only. Memory: two windows and the list of entries.
 */
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, deflateRaw } from 'node:zlib';
import {
  centralHeaderBytes,
  centralSignature,
  end64Bytes,
  end64Signature,
  endBytes,
  endSignature,
  localHeaderBytes,
  localHeaderLength,
  localSignature,
  locator64Bytes,
  locator64Signature,
  methodDeflated,
  type ZipEntry,
} from './zip-format.ts';
import { type RandomReader, ReadWindow } from './zip-reader.ts';
import { quoteName, ZipError } from './zip-types.ts';

const deflate = promisify(deflateRaw);

/** What stands under `name` in the new zip. */
export type RepackedFile =
  | { readonly name: string; readonly entry: ZipEntry }
  | { readonly name: string; readonly content: Buffer };

/** A reader of the source that reads in the background. */
export function fileReader(file: FileHandle, sizeBytes: number): RandomReader {
  return {
    sizeBytes,
    readAt: async (target, length, position) => (await file.read(target, 0, length, position)).bytesRead,
  };
}

/**
 * Writes the zip to `target`, which is empty, and resolves to its length in bytes. Rejects with ZipError `truncated` or
 * `not_a_zip` when the source is not what its directory says, with the signal's reason, or with the file's own error.
 */
export async function repackZip(
  source: RandomReader,
  target: FileHandle,
  files: Iterable<RepackedFile> | AsyncIterable<RepackedFile>,
  signal?: AbortSignal,
): Promise<number> {
  const window = new ReadWindow(source);
  const out = new BlockWriter(target);
  const records: WrittenEntry[] = [];
  for await (const file of files) {
    signal?.throwIfAborted();
    const own = 'content' in file ? await packed(file.content) : file.entry;
    const record: WrittenEntry = { ...sizesOf(own), name: Buffer.from(file.name), offset: out.length };
    records.push(record);
    await out.write(localHeader(record));
    if ('bytes' in own) await out.write(own.bytes);
    else await copy(window, own, out, signal);
  }
  const start = out.length;
  for (const record of records) await out.write(centralHeader(record));
  await out.write(endRecords(records.length, start, out.length - start));
  await out.flush();
  return out.length;
}

interface Sizes {
  readonly method: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
}

interface WrittenEntry extends Sizes {
  readonly name: Buffer;
  readonly offset: number;
}

function sizesOf({ method, crc32: sum, compressedBytes, sizeBytes }: Sizes): Sizes {
  return { method, crc32: sum, compressedBytes, sizeBytes };
}

async function packed(content: Buffer): Promise<Sizes & { readonly bytes: Buffer }> {
  const bytes = await deflate(content);
  return {
    bytes,
    method: methodDeflated,
    crc32: crc32(content),
    compressedBytes: bytes.length,
    sizeBytes: content.length,
  };
}

async function copy(
  window: ReadWindow,
  entry: ZipEntry,
  out: BlockWriter,
  signal: AbortSignal | undefined,
): Promise<void> {
  const fixed = await window.view(entry.headerOffset, localHeaderBytes);
  if (fixed.readUInt32LE(0) !== localSignature) {
    throw new ZipError('not_a_zip', `Entry ${quoteName(entry.name)} is not where the directory says.`);
  }
  let at = entry.headerOffset + localHeaderLength(fixed);
  let restBytes = entry.compressedBytes;
  while (restBytes > 0) {
    signal?.throwIfAborted();
    const piece = await window.view(at, Math.min(restBytes, window.capacityBytes));
    await out.write(piece);
    at += piece.length;
    restBytes -= piece.length;
  }
}

const blockBytes = 512 * 1024;

/** Gathers small writes into large ones. */
class BlockWriter {
  length = 0;
  readonly #target: FileHandle;
  readonly #block = Buffer.allocUnsafeSlow(blockBytes);
  #filled = 0;

  constructor(target: FileHandle) {
    this.#target = target;
  }

  /** `bytes` may be used again when it resolves. */
  async write(bytes: Buffer): Promise<void> {
    this.length += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const count = bytes.copy(this.#block, this.#filled, at);
      this.#filled += count;
      at += count;
      if (this.#filled === blockBytes) await this.flush();
    }
  }

  async flush(): Promise<void> {
    let at = 0;
    while (at < this.#filled) {
      at += (await this.#target.write(this.#block, at, this.#filled - at)).bytesWritten;
    }
    this.#filled = 0;
  }
}

const version20 = 20;
const version45 = 45;
const flagUtf8 = 0x800;
const max16 = 0xffff;

/** What local and central header have in common, from the version needed to the length of the name. */
function writeCommon(header: Buffer, at: number, { name, ...sizes }: WrittenEntry): void {
  header.writeUInt16LE(version20, at);
  // Go too sets the mark only where it says something.
  header.writeUInt16LE(name.some((byte) => byte >= 0x80) ? flagUtf8 : 0, at + 2);
  header.writeUInt16LE(sizes.method, at + 4);
  header.writeUInt32LE(sizes.crc32, at + 10);
  header.writeUInt32LE(sizes.compressedBytes, at + 14);
  header.writeUInt32LE(sizes.sizeBytes, at + 18);
  header.writeUInt16LE(name.length, at + 22);
}

function localHeader(entry: WrittenEntry): Buffer {
  const header = Buffer.alloc(localHeaderBytes + entry.name.length);
  header.writeUInt32LE(localSignature, 0);
  writeCommon(header, 4, entry);
  entry.name.copy(header, localHeaderBytes);
  return header;
}

function centralHeader(entry: WrittenEntry): Buffer {
  const header = Buffer.alloc(centralHeaderBytes + entry.name.length);
  header.writeUInt32LE(centralSignature, 0);
  header.writeUInt16LE(version20, 4);
  writeCommon(header, 6, entry);
  header.writeUInt32LE(entry.offset, 42);
  entry.name.copy(header, centralHeaderBytes);
  return header;
}

/** Sizes and offsets fit 32 bits by the limits on zips; the number of entries may not fit 16. */
function endRecords(count: number, start: number, directoryBytes: number): Buffer {
  const end = Buffer.alloc(endBytes);
  const isWide = count >= max16 || directoryBytes === max16;
  end.writeUInt32LE(endSignature, 0);
  end.writeUInt16LE(isWide ? max16 : count, 8);
  end.writeUInt16LE(isWide ? max16 : count, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(start, 16);
  if (!isWide) return end;
  const end64 = Buffer.alloc(end64Bytes);
  end64.writeUInt32LE(end64Signature, 0);
  end64.writeBigUInt64LE(BigInt(end64Bytes - 12), 4);
  end64.writeUInt16LE(version45, 12);
  end64.writeUInt16LE(version45, 14);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(directoryBytes), 40);
  end64.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(locator64Bytes);
  locator.writeUInt32LE(locator64Signature, 0);
  locator.writeBigUInt64LE(BigInt(start + directoryBytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end64, locator, end]);
}
