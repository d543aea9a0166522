/**
 * Finds and reads the central directory of a zip over a random-access source, the way Go's archive/zip does, so
 * that both see the same entries. What Go tolerates and we do not like goes to the extra rules.
 */
import type { ExtraRules } from './extra-rules.ts';
import type { EndRecord, ZipEntry } from './zip-format.ts';
import {
  centralHeaderBytes,
  centralSignature,
  centralTailBytes,
  end64Bytes,
  end64Signature,
  endBytes,
  endSignature,
  locator64Bytes,
  locator64Signature,
  parseCentralHeader,
  parseEnd,
  parseEnd64,
  pointsTo64,
  read64,
} from './zip-format.ts';
import type { ZipLimits } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

/** A source of known size that can be read anywhere. A synchronous answer saves a turn of the event loop. */
export interface RandomReader {
  readonly sizeBytes: number;
  /** Reads up to `length` bytes at `position` to the start of `target`; gives the count, 0 at the end. */
  readAt(target: Buffer, length: number, position: number): Promise<number> | number;
}

/** A reader over bytes in memory. */
export function bufferReader(bytes: Buffer): RandomReader {
  return {
    sizeBytes: bytes.length,
    readAt: (target, length, position) => bytes.copy(target, 0, position, position + length),
  };
}

const windowBytes = 512 * 1024;

/** A sliding window over a reader: small neighbouring reads become few large ones. */
export class ReadWindow {
  readonly #reader: RandomReader;
  readonly #buffer: Buffer;
  #start = 0;
  #length = 0;

  constructor(reader: RandomReader) {
    this.#reader = reader;
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(windowBytes, reader.sizeBytes)));
  }

  /** The longest view that can be asked for. */
  get capacityBytes(): number {
    return this.#buffer.length;
  }

  /**
   * `length` bytes at `position`, or fewer when `length` is more than the file has and `partial` is set. Valid
   * until the next call. A promise only when the source must be asked. Throws or rejects with ZipError `truncated`.
   */
  view(position: number, length: number, partial = false): Buffer | Promise<Buffer> {
    const rest = this.#reader.sizeBytes - position;
    const wanted = partial ? Math.min(length, rest) : length;
    if (!(position >= 0 && wanted >= 0 && wanted <= rest && wanted <= this.capacityBytes))
      throw truncated(position);
    const from = position - this.#start;
    if (from >= 0 && from + wanted <= this.#length) return this.#buffer.subarray(from, from + wanted);
    return this.#load(position, wanted);
  }

  async #load(position: number, wanted: number): Promise<Buffer> {
    this.#start = position;
    this.#length = 0;
    const goal = Math.min(this.#buffer.length, this.#reader.sizeBytes - position);
    while (this.#length < goal) {
      const target = this.#buffer.subarray(this.#length);
      const answer = this.#reader.readAt(target, goal - this.#length, position + this.#length);
      const count = typeof answer === 'number' ? answer : await answer;
      if (count <= 0) break;
      this.#length += count;
    }
    if (this.#length < wanted) throw truncated(position);
    return this.#buffer.subarray(0, wanted);
  }
}

function truncated(position: number): ZipError {
  return new ZipError(
    'truncated',
    `The zip ends before a record at byte ${position} is complete; fetch it again.`,
  );
}

/** The entries of a zip, in directory order. */
export interface ZipDirectory {
  readonly entries: readonly ZipEntry[];
  /** Where the central directory begins: the end of the last entry's data. */
  readonly startOffset: number;
}

/**
 * Reads the central directory. Memory is bounded by `limits.entries` and `limits.directoryBytes`. Throws ZipError
 * `too_large`, `not_a_zip`, `bad_directory`, `truncated`, `too_many_entries`, `bad_name`.
 */
export async function readDirectory(
  window: ReadWindow,
  sizeBytes: number,
  limits: ZipLimits,
  extra: ExtraRules,
): Promise<ZipDirectory> {
  if (sizeBytes > limits.zipBytes) {
    throw new ZipError('too_large', `The zip has ${sizeBytes} bytes; the limit is ${limits.zipBytes}.`);
  }
  const found = await findEnd(window, sizeBytes, extra);
  const { end, endOffset } = found;
  const claimedBase = endOffset - end.directoryBytes - end.directoryOffset;
  const startByEnd = endOffset - end.directoryBytes;
  if (!(startByEnd >= 0 && startByEnd < sizeBytes && Number.isSafeInteger(claimedBase))) {
    throw new ZipError('not_a_zip', 'The end record points outside the file; this is not a whole zip.');
  }
  let base = claimedBase;
  // As Go: wrong sizes in the end record are common enough that a directory at the plain offset wins.
  if (base > 0 && (await hasCentralHeader(window, end.directoryOffset))) base = 0;
  const startOffset = base + end.directoryOffset;
  if (base > 0) extra.broken('stray_bytes', `There are ${base} bytes before the first header of the zip.`);
  else if (claimedBase !== 0)
    extra.broken('bad_directory', "The end record's size or offset of the directory is wrong.");
  if (end.disk !== 0 || end.directoryDisk !== 0)
    extra.broken('bad_directory', 'The zip is one part of several.');

  const entries: ZipEntry[] = [];
  let at = startOffset;
  while (at + centralHeaderBytes <= sizeBytes) {
    const fixed = await window.view(at, centralHeaderBytes);
    if (fixed.readUInt32LE(0) !== centralSignature) break;
    const length = centralHeaderBytes + centralTailBytes(fixed);
    if (at + length > sizeBytes) break;
    const parsed = parseCentralHeader(await window.view(at, length));
    entries.push(base === 0 ? parsed : { ...parsed, headerOffset: parsed.headerOffset + base });
    at += length;
    if (entries.length > limits.entries) {
      throw new ZipError('too_many_entries', `The zip has more than ${limits.entries} entries.`);
    }
    if (at - startOffset > limits.directoryBytes) {
      throw new ZipError('too_large', `The zip's directory is larger than ${limits.directoryBytes} bytes.`);
    }
  }
  if (entries.length % 65_536 !== end.records % 65_536) {
    throw new ZipError(
      'bad_directory',
      `The zip says it has ${end.records} entries and its directory lists ${entries.length}.`,
    );
  }
  if (entries.length !== end.records)
    extra.broken('bad_directory', 'The count of entries in the end record is wrong.');
  if (at !== endOffset)
    extra.broken('bad_directory', 'The central directory does not end where the end record begins.');
  return { entries, startOffset };
}

async function hasCentralHeader(window: ReadWindow, offset: number): Promise<boolean> {
  try {
    const fixed = await window.view(offset, centralHeaderBytes);
    if (fixed.readUInt32LE(0) !== centralSignature) return false;
    await window.view(offset, centralHeaderBytes + centralTailBytes(fixed));
    return true;
  } catch (error) {
    if (error instanceof ZipError) return false;
    throw error;
  }
}

interface FoundEnd {
  readonly end: EndRecord;
  /** Where the (zip64) end record begins, and so the directory should end. */
  readonly endOffset: number;
}

async function findEnd(window: ReadWindow, sizeBytes: number, extra: ExtraRules): Promise<FoundEnd> {
  for (const span of [1024, 65 * 1024]) {
    const length = Math.min(span, sizeBytes);
    const start = sizeBytes - length;
    const tail = await window.view(start, length);
    const at = lastEnd(tail);
    if (at !== undefined) {
      const end = parseEnd(tail.subarray(at, at + endBytes));
      const commentEnd = at + endBytes + tail.readUInt16LE(at + 20);
      if (commentEnd !== tail.length) {
        extra.broken('stray_bytes', `There are ${tail.length - commentEnd} bytes after the end of the zip.`);
      }
      return pointsTo64(end) ? await findEnd64(window, end, start + at) : { end, endOffset: start + at };
    }
    if (length === sizeBytes) break;
  }
  throw new ZipError('not_a_zip', 'The file has no zip end record: it is no zip, or it was cut.');
}

/** Where the last end record stands; one whose comment is cut ends the search, as in Go. */
function lastEnd(tail: Buffer): number | undefined {
  for (let at = tail.length - endBytes; at >= 0; at--) {
    if (tail[at] !== 0x50 || tail.readUInt32LE(at) !== endSignature) continue;
    return at + endBytes + tail.readUInt16LE(at + 20) > tail.length ? undefined : at;
  }
  return undefined;
}

async function findEnd64(window: ReadWindow, end: EndRecord, endOffset: number): Promise<FoundEnd> {
  if (endOffset < locator64Bytes) return { end, endOffset };
  const locator = await window.view(endOffset - locator64Bytes, locator64Bytes);
  const isLocator =
    locator.readUInt32LE(0) === locator64Signature &&
    locator.readUInt32LE(4) === 0 &&
    locator.readUInt32LE(16) === 1;
  if (!isLocator) return { end, endOffset };
  const offset = read64(locator, 8);
  const record = await window.view(offset, end64Bytes);
  if (record.readUInt32LE(0) !== end64Signature) {
    throw new ZipError('not_a_zip', 'The zip64 end record is not where its locator says.');
  }
  return { end: parseEnd64(record), endOffset: offset };
}
