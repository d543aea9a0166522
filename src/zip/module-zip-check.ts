/**
 * The whole check of a module zip that can be read anywhere: what golang.org/x/mod/zip.CheckZip, dirhash.HashZip
 * and archive/zip refuse is refused, plus the extra rules; what they accept is accepted. Every byte is inflated and
 * measured, so a zip that lies about its sizes costs no more than the limits allow.
 */
import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { ExtraRules } from './extra-rules.ts';
import { inflateWhole, StreamInflater } from './inflate.ts';
import { emptySha256, hash1, ModuleTree } from './module-tree.ts';
import type { ZipEntry } from './zip-format.ts';
import {
  descriptorLength,
  descriptorSignature,
  flagDescriptor,
  flagEncrypted,
  localContradiction,
  localHeaderBytes,
  localHeaderLength,
  localSignature,
  maxDescriptorBytes,
  methodDeflated,
  methodStored,
  parseLocalHeader,
} from './zip-format.ts';
import type { RandomReader } from './zip-reader.ts';
import { ReadWindow, readDirectory } from './zip-reader.ts';
import type { ZipFacts, ZipTarget } from './zip-types.ts';
import { quoteName, ZipError } from './zip-types.ts';

/** Entries up to this inflated size are inflated in one synchronous call. */
const wholeEntryBytes = 1024 * 1024;
const pieceBytes = 256 * 1024;

/** What a check may be given besides the target. */
export interface ZipCheckOptions extends ZipTarget {
  /** Called between entries and pieces; what it throws stops the check. */
  readonly checkpoint?: (() => void) | undefined;
}

/**
 * Checks a module zip and hashes it. Rejects with ZipError (any code but those of the verifier), with the reader's
 * own error, or with what `checkpoint` throws.
 */
export async function checkModuleZip(reader: RandomReader, options: ZipCheckOptions): Promise<ZipFacts> {
  const check = new ModuleZipCheck(reader, options);
  return check.run();
}

/**
 * The sum of the inflated sizes a zip declares, without inflating anything. Rejects with ZipError when the central
 * directory cannot be read.
 */
export async function declaredInflatedBytes(reader: RandomReader, target: ZipTarget): Promise<number> {
  const { limits } = new ModuleTree(target);
  const window = new ReadWindow(reader);
  const { entries } = await readDirectory(window, reader.sizeBytes, limits, new ExtraRules('report'));
  return entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
}

/** An entry with what the rules made of its name. */
interface Planned {
  readonly entry: ZipEntry;
  readonly relative: string;
}

/** Content as it was measured. */
interface Measured {
  readonly sha256: string;
  readonly crc32: number;
  readonly sizeBytes: number;
  readonly consumedBytes: number;
  readonly content: Buffer | undefined;
}

const nothing: Measured = {
  sha256: emptySha256,
  crc32: 0,
  sizeBytes: 0,
  consumedBytes: 0,
  content: undefined,
};

class ModuleZipCheck {
  readonly #reader: RandomReader;
  readonly #window: ReadWindow;
  readonly #tree: ModuleTree;
  readonly #extra: ExtraRules;
  readonly #checkpoint: () => void;
  #inflatedBytes = 0;
  #goMod: { content: Buffer; sha256: string } | undefined;

  constructor(reader: RandomReader, options: ZipCheckOptions) {
    this.#reader = reader;
    this.#window = new ReadWindow(reader);
    this.#tree = new ModuleTree(options);
    this.#extra = new ExtraRules(options.extraRules);
    this.#checkpoint = options.checkpoint ?? ((): void => {});
  }

  async run(): Promise<ZipFacts> {
    const directory = await readDirectory(
      this.#window,
      this.#reader.sizeBytes,
      this.#tree.limits,
      this.#extra,
    );
    const planned = this.#plan(directory.entries);
    let nextFree = planned[0]?.entry.headerOffset ?? directory.startOffset;
    if (nextFree > 0 && planned.length > 0) {
      this.#extra.broken('stray_bytes', `There are ${nextFree} bytes before the first entry.`);
    }
    for (const [index, plan] of planned.entries()) {
      this.#checkpoint();
      const next = planned[index + 1]?.entry.headerOffset ?? directory.startOffset;
      if (plan.entry.headerOffset < nextFree) {
        this.#extra.broken('stray_bytes', `Entry ${quoteName(plan.entry.name)} overlaps the one before it.`);
      }
      nextFree = await this.#checkEntry(plan, next);
    }
    if (planned.length === 0 && directory.startOffset > 0) {
      this.#extra.broken('stray_bytes', 'The zip has no entries and yet bytes before its directory.');
    }
    return {
      h1: this.#tree.h1(),
      goMod: this.#goMod?.content,
      goModH1: this.#goMod && hash1([{ name: 'go.mod', sha256: this.#goMod.sha256 }]),
      entries: planned.length,
      inflatedBytes: this.#inflatedBytes,
      oddities: this.#extra.oddities,
    };
  }

  /** Applies every rule that needs no content, and orders the entries as they lie in the file. */
  #plan(entries: readonly ZipEntry[]): Planned[] {
    const planned = entries.map((entry) => {
      const relative = this.#tree.admit(entry.name);
      if (isFile(relative)) {
        this.#tree.addSize(relative, entry.sizeBytes);
        if (entry.method !== methodStored && entry.method !== methodDeflated) {
          const text = `Entry ${quoteName(entry.name)} is packed by method ${entry.method}; Go reads 0 and 8.`;
          throw new ZipError('unsupported_method', text);
        }
      } else if (entry.sizeBytes !== 0) {
        throw new ZipError('bad_size', `Directory entry ${quoteName(entry.name)} has content.`);
      }
      if (entry.isIrregular) {
        this.#extra.broken(
          'symlink',
          `Entry ${quoteName(entry.name)} is a link or a device by its attributes.`,
        );
      }
      if ((entry.flags & flagEncrypted) !== 0) {
        this.#extra.broken('encrypted', `Entry ${quoteName(entry.name)} is marked as encrypted.`);
      }
      return { entry, relative };
    });
    return planned.sort((a, b) => a.entry.headerOffset - b.entry.headerOffset);
  }

  /** Checks and hashes one entry; `next` is where the next thing in the file begins. Gives where this one ends. */
  async #checkEntry({ entry, relative }: Planned, next: number): Promise<number> {
    const dataOffset = await this.#checkLocalHeader(entry);
    const measured = isFile(relative) ? await this.#measure(entry, relative, dataOffset) : nothing;
    this.#tree.addHash(entry.name, measured.sha256);
    this.#inflatedBytes += measured.sizeBytes;
    if (relative === 'go.mod' && measured.content) {
      this.#goMod = { content: measured.content, sha256: measured.sha256 };
    }
    const dataEnd = dataOffset + entry.compressedBytes;
    if (!isFile(relative)) {
      if (hasOwnBytes(entry) || next - dataEnd > maxDescriptorBytes) {
        this.#extra.broken('stray_bytes', `Directory entry ${quoteName(entry.name)} has bytes of its own.`);
      }
      return Math.max(dataEnd, Math.min(next, dataEnd + maxDescriptorBytes));
    }
    if (measured.consumedBytes < entry.compressedBytes) {
      this.#extra.broken(
        'stray_bytes',
        `Entry ${quoteName(entry.name)} has bytes behind its deflate stream.`,
      );
    }
    const end = await this.#checkCrc(entry, measured.crc32, dataEnd);
    if (next > end) {
      this.#extra.broken(
        'stray_bytes',
        `After entry ${quoteName(entry.name)} come ${next - end} bytes of no entry.`,
      );
    }
    return end;
  }

  async #checkLocalHeader(entry: ZipEntry): Promise<number> {
    const fixed = await this.#window.view(entry.headerOffset, localHeaderBytes);
    if (fixed.readUInt32LE(0) !== localSignature) {
      throw new ZipError(
        'not_a_zip',
        `Entry ${quoteName(entry.name)} has no header where the directory says.`,
      );
    }
    const length = localHeaderLength(fixed);
    const local = parseLocalHeader(await this.#window.view(entry.headerOffset, length));
    const contradiction = localContradiction(local, entry);
    if (contradiction !== undefined) {
      this.#extra.broken(
        'header_mismatch',
        `Entry ${quoteName(entry.name)}: its own header contradicts the central directory on ${contradiction}.`,
      );
    }
    return entry.headerOffset + length;
  }

  /** The CRC by Go's rules, then the data descriptor by ours. Gives the end of the entry. */
  async #checkCrc(entry: ZipEntry, crc: number, dataEnd: number): Promise<number> {
    const isBad = crc !== entry.crc32;
    if ((entry.flags & flagDescriptor) === 0) {
      if (!isBad) return dataEnd;
      if (entry.crc32 !== 0) throw badCrc(entry);
      this.#extra.broken('bad_crc', `Entry ${quoteName(entry.name)} has no CRC.`);
      return dataEnd;
    }
    const bytes = await this.#window.view(dataEnd, maxDescriptorBytes, true);
    if (bytes.length < 12)
      throw new ZipError('truncated', `Entry ${quoteName(entry.name)} lacks its data descriptor.`);
    const at = bytes.readUInt32LE(0) === descriptorSignature ? 4 : 0;
    if (isBad || bytes.readUInt32LE(at) !== entry.crc32) throw badCrc(entry);
    const length = descriptorLength(bytes, entry.crc32, entry.compressedBytes, entry.sizeBytes);
    if (length === 0) {
      this.#extra.broken(
        'header_mismatch',
        `Entry ${quoteName(entry.name)}: its data descriptor contradicts the central directory on the sizes.`,
      );
    }
    return dataEnd + length;
  }

  async #measure(entry: ZipEntry, relative: string, dataOffset: number): Promise<Measured> {
    const rest = this.#reader.sizeBytes - dataOffset;
    if (entry.compressedBytes > rest) {
      throw new ZipError(
        'truncated',
        `The data of entry ${quoteName(entry.name)} goes beyond the end of the zip.`,
      );
    }
    if (entry.method === methodStored && entry.compressedBytes !== entry.sizeBytes) throw badSize(entry);
    if (entry.sizeBytes > wholeEntryBytes || entry.compressedBytes > this.#window.capacityBytes) {
      return this.#measureInPieces(entry, relative === 'go.mod', dataOffset);
    }
    const view = this.#window.view(dataOffset, entry.compressedBytes);
    const raw = view instanceof Promise ? await view : view;
    if (entry.method === methodStored) {
      const content = relative === 'go.mod' ? Buffer.from(raw) : undefined;
      return measuredWhole(raw, raw.length, content);
    }
    try {
      const { data, consumedBytes } = inflateWhole(raw, entry.sizeBytes, entry.sizeBytes);
      if (data.length !== entry.sizeBytes) throw badSize(entry);
      return measuredWhole(data, consumedBytes, relative === 'go.mod' ? data : undefined);
    } catch (error) {
      throw named(entry, error);
    }
  }

  async #measureInPieces(entry: ZipEntry, isKept: boolean, dataOffset: number): Promise<Measured> {
    const sha = createHash('sha256');
    const kept: Buffer[] = [];
    let crc = 0;
    let sizeBytes = 0;
    const take = (data: Buffer): void => {
      sizeBytes += data.length;
      if (sizeBytes > entry.sizeBytes) throw badSize(entry);
      sha.update(data);
      crc = crc32(data, crc);
      if (isKept) kept.push(Buffer.from(data));
    };
    const inflater = entry.method === methodDeflated ? new StreamInflater(take) : undefined;
    let consumedBytes = 0;
    try {
      for (let at = 0, ended = false; at < entry.compressedBytes && !ended; ) {
        this.#checkpoint();
        const length = Math.min(pieceBytes, entry.compressedBytes - at, this.#window.capacityBytes);
        const piece = await this.#window.view(dataOffset + at, length);
        if (inflater) ended = await inflater.write(piece);
        else take(piece);
        at += length;
        consumedBytes = at;
      }
      await inflater?.finish();
      consumedBytes = inflater?.consumedBytes ?? consumedBytes;
    } catch (error) {
      throw named(entry, error);
    } finally {
      inflater?.close();
    }
    if (sizeBytes !== entry.sizeBytes) throw badSize(entry);
    return {
      sha256: sha.digest('hex'),
      crc32: crc,
      sizeBytes,
      consumedBytes,
      content: isKept ? Buffer.concat(kept) : undefined,
    };
  }
}

/** True for a directory entry with more data than the deflated form of nothing, which Java's jar tool writes. */
export function hasOwnBytes(entry: ZipEntry): boolean {
  return entry.compressedBytes > (entry.method === methodDeflated ? 8 : 0);
}

function isFile(relative: string): boolean {
  return relative !== '' && !relative.endsWith('/');
}

function measuredWhole(data: Buffer, consumedBytes: number, content: Buffer | undefined): Measured {
  return {
    sha256: hash('sha256', data, 'hex'),
    crc32: crc32(data),
    sizeBytes: data.length,
    consumedBytes,
    content,
  };
}

function badCrc(entry: ZipEntry): ZipError {
  return new ZipError(
    'bad_crc',
    `Entry ${quoteName(entry.name)} does not match its CRC; fetch the zip again.`,
  );
}

function badSize(entry: ZipEntry): ZipError {
  const text = `Entry ${quoteName(entry.name)} does not inflate to the ${entry.sizeBytes} bytes it declares.`;
  return new ZipError('bad_size', text);
}

/** Puts the entry's name in front of what inflating it said. */
function named(entry: ZipEntry, error: unknown): unknown {
  if (!(error instanceof ZipError) || error.code === 'truncated') return error;
  if (error.code === 'bad_size') return badSize(entry);
  if (error.code !== 'bad_data') return error;
  return new ZipError('bad_data', `Entry ${quoteName(entry.name)}: ${error.message}.`, { cause: error });
}
