/**
 * The records of the zip format as pure parsers over bytes: local header, central directory header, data
 * descriptor, end records. They read what Go's archive/zip reads, in the same way (APPNOTE.TXT 4.3).
 */
import { isUtf8 } from 'node:buffer';

import { quoteName, ZipError } from './zip-types.ts';

export const localSignature = 0x04034b50;
export const centralSignature = 0x02014b50;
export const descriptorSignature = 0x08074b50;
export const endSignature = 0x06054b50;
export const end64Signature = 0x06064b50;
export const locator64Signature = 0x07064b50;

export const localHeaderBytes = 30;
export const centralHeaderBytes = 46;
export const endBytes = 22;
export const end64Bytes = 56;
export const locator64Bytes = 20;
export const maxDescriptorBytes = 24;

export const flagEncrypted = 0x1;
export const flagDescriptor = 0x8;
export const methodStored = 0;
export const methodDeflated = 8;

const max32 = 0xffffffff;
const zip64ExtraId = 1;
const typesOfPlainFiles = new Set([0, 0x8000, 0x4000]);

/** One entry as the central directory describes it. Offsets are from the start of the file. */
export interface ZipEntry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  readonly headerOffset: number;
  /** Links, devices and the like, by Unix attributes. */
  readonly isIrregular: boolean;
}

/** Lengths of the variable parts of a central header whose fixed 46 bytes begin `bytes`. */
export function centralTailBytes(bytes: Buffer): number {
  return bytes.readUInt16LE(28) + bytes.readUInt16LE(30) + bytes.readUInt16LE(32);
}

/**
 * Parses a whole central header (fixed part and tail). Throws ZipError `bad_name` for a name that is not UTF-8,
 * `bad_directory` for zip64 values that are announced and missing.
 */
export function parseCentralHeader(bytes: Buffer): ZipEntry {
  const nameBytes = bytes.readUInt16LE(28);
  const extraBytes = bytes.readUInt16LE(30);
  const name = decodeName(bytes.subarray(centralHeaderBytes, centralHeaderBytes + nameBytes));
  const sizes = {
    sizeBytes: bytes.readUInt32LE(24),
    compressedBytes: bytes.readUInt32LE(20),
    headerOffset: bytes.readUInt32LE(42),
  };
  const extraStart = centralHeaderBytes + nameBytes;
  const missing = applyZip64(bytes.subarray(extraStart, extraStart + extraBytes), sizes);
  if (missing) throw new ZipError('bad_directory', `Entry ${quoteName(name)} lacks its 64-bit sizes.`);
  const host = bytes.readUInt16LE(4) >>> 8;
  const isUnix = host === 3 || host === 19;
  return {
    name,
    flags: bytes.readUInt16LE(8),
    method: bytes.readUInt16LE(10),
    crc32: bytes.readUInt32LE(16),
    ...sizes,
    isIrregular: isUnix && !typesOfPlainFiles.has((bytes.readUInt32LE(38) >>> 16) & 0xf000),
  };
}

/** A local header's facts. With a data descriptor the sizes and the CRC are usually zero. */
export interface LocalHeader {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  /** Whole length of the header. */
  readonly headerBytes: number;
}

/** Whole length of the local header whose fixed 30 bytes begin `bytes`. */
export function localHeaderLength(bytes: Buffer): number {
  return localHeaderBytes + bytes.readUInt16LE(26) + bytes.readUInt16LE(28);
}

/** Parses a whole local header. Throws ZipError `bad_name`. */
export function parseLocalHeader(bytes: Buffer): LocalHeader {
  const nameBytes = bytes.readUInt16LE(26);
  const headerBytes = localHeaderLength(bytes);
  const sizes = {
    sizeBytes: bytes.readUInt32LE(22),
    compressedBytes: bytes.readUInt32LE(18),
    headerOffset: 0,
  };
  applyZip64(bytes.subarray(localHeaderBytes + nameBytes, headerBytes), sizes);
  return {
    name: decodeName(bytes.subarray(localHeaderBytes, localHeaderBytes + nameBytes)),
    flags: bytes.readUInt16LE(6),
    method: bytes.readUInt16LE(8),
    crc32: bytes.readUInt32LE(14),
    compressedBytes: sizes.compressedBytes,
    sizeBytes: sizes.sizeBytes,
    headerBytes,
  };
}

/** Says what in a local header contradicts the central directory, or undefined. */
export function localContradiction(local: LocalHeader, entry: ZipEntry): string | undefined {
  if (local.name !== entry.name) return `the name (${quoteName(local.name)})`;
  if (local.method !== entry.method) return 'the method';
  if (((local.flags ^ entry.flags) & (flagDescriptor | flagEncrypted)) !== 0) return 'the flags';
  const isLater = (local.flags & flagDescriptor) !== 0;
  const agrees = (own: number, listed: number): boolean => own === listed || (isLater && own === 0);
  if (!agrees(local.crc32, entry.crc32)) return 'the CRC';
  // With a descriptor, zip64 writers leave 0xffffffff in both fields.
  const isOpen = isLater && local.compressedBytes === max32 && local.sizeBytes === max32;
  if (isOpen) return undefined;
  if (!agrees(local.compressedBytes, entry.compressedBytes)) return 'the compressed size';
  return agrees(local.sizeBytes, entry.sizeBytes) ? undefined : 'the size';
}

/**
 * Length of the data descriptor at the start of `bytes` if it says just these values: with or without signature,
 * 32 or 64 bits wide (12, 16, 20 or 24); 0 when it does not. `bytes` may be shorter than the longest form.
 */
export function descriptorLength(
  bytes: Buffer,
  crc32: number,
  compressedBytes: number,
  sizeBytes: number,
): number {
  for (const start of [4, 0]) {
    if (start === 4 && (bytes.length < 4 || bytes.readUInt32LE(0) !== descriptorSignature)) continue;
    if (bytes.length >= start + 20 && bytes.readUInt32LE(start) === crc32) {
      const isWide = read64(bytes, start + 4) === compressedBytes && read64(bytes, start + 12) === sizeBytes;
      if (isWide) return start + 20;
    }
    if (bytes.length < start + 12 || bytes.readUInt32LE(start) !== crc32) continue;
    if (bytes.readUInt32LE(start + 4) === compressedBytes && bytes.readUInt32LE(start + 8) === sizeBytes) {
      return start + 12;
    }
  }
  return 0;
}

/** What the end record, with its zip64 form where there is one, says of the central directory. */
export interface EndRecord {
  readonly disk: number;
  readonly directoryDisk: number;
  readonly records: number;
  readonly directoryBytes: number;
  readonly directoryOffset: number;
}

/** Parses the fixed 22 bytes of an end record. */
export function parseEnd(bytes: Buffer): EndRecord {
  return {
    disk: bytes.readUInt16LE(4),
    directoryDisk: bytes.readUInt16LE(6),
    records: bytes.readUInt16LE(10),
    directoryBytes: bytes.readUInt32LE(12),
    directoryOffset: bytes.readUInt32LE(16),
  };
}

/** Parses the fixed 56 bytes of a zip64 end record. */
export function parseEnd64(bytes: Buffer): EndRecord {
  return {
    disk: bytes.readUInt32LE(16),
    directoryDisk: bytes.readUInt32LE(20),
    records: read64(bytes, 32),
    directoryBytes: read64(bytes, 40),
    directoryOffset: read64(bytes, 48),
  };
}

/** True when an end record points to a zip64 one, by the marks Go looks for. */
export function pointsTo64(end: EndRecord): boolean {
  return end.records === 0xffff || end.directoryBytes === 0xffff || end.directoryOffset === max32;
}

/** A 64-bit number; what a double cannot hold becomes Infinity, which no check accepts. */
export function read64(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

function decodeName(bytes: Buffer): string {
  if (!isUtf8(bytes)) {
    throw new ZipError(
      'bad_name',
      `Entry ${quoteName(bytes.toString('latin1'))} has a name that is not UTF-8.`,
    );
  }
  return bytes.toString('utf8');
}

interface WideFields {
  sizeBytes: number;
  compressedBytes: number;
  headerOffset: number;
}

/** Replaces fields that are all ones by those of the zip64 extra field; true when one that must be there is not. */
function applyZip64(extra: Buffer, fields: WideFields): boolean {
  const needs = {
    sizeBytes: fields.sizeBytes === max32,
    compressedBytes: fields.compressedBytes === max32,
    headerOffset: fields.headerOffset === max32,
  };
  let at = 0;
  while (at + 4 <= extra.length) {
    const id = extra.readUInt16LE(at);
    const length = extra.readUInt16LE(at + 2);
    at += 4;
    if (at + length > extra.length) break;
    if (id === zip64ExtraId) {
      let from = at;
      for (const field of ['sizeBytes', 'compressedBytes', 'headerOffset'] as const) {
        if (!needs[field]) continue;
        if (from + 8 > at + length) return true;
        fields[field] = read64(extra, from);
        needs[field] = false;
        from += 8;
      }
    }
    at += length;
  }
  // Go takes a size of 2³²-1 alone as the true size; so do we.
  return needs.compressedBytes || needs.headerOffset;
}
