/**
 * Proves a module zip while its bytes go by, for when there is no disk to keep it on (ruling 15). Local headers are
 * believed only as far as the central directory at the end repeats them: every entry, offset, name, size and CRC.
 * It accepts no oddity, so what it accepts the random-access check accepts too, with equal facts.
 */
import { ByteFeed } from './byte-feed.ts';
import type { Inflated } from './inflate.ts';
import { inflateWhole, outputChunkBytes, releaseWhole, StreamInflater } from './inflate.ts';
import { hash1, ModuleTree } from './module-tree.ts';
import { hasOwnBytes } from './module-zip-check.ts';
import type { Found } from './stream-entry.ts';
import { checkAgainstHeader, checkHeader, EntrySink, overAllowance } from './stream-entry.ts';
import type { EndRecord, LocalHeader } from './zip-format.ts';
import {
  centralHeaderBytes,
  centralSignature,
  centralTailBytes,
  descriptorLength,
  end64Bytes,
  end64Signature,
  endBytes,
  endSignature,
  flagDescriptor,
  localContradiction,
  localHeaderBytes,
  localHeaderLength,
  localSignature,
  locator64Bytes,
  locator64Signature,
  maxDescriptorBytes,
  methodStored,
  parseCentralHeader,
  parseEnd,
  parseEnd64,
  parseLocalHeader,
  pointsTo64,
  read64,
} from './zip-format.ts';
import type { ZipFacts, ZipTarget } from './zip-types.ts';
import { quoteName, ZipError } from './zip-types.ts';

/** Entries whose deflate stream lies whole in one chunk are inflated at once up to this size. */
const wholeEntryBytes = 1024 * 1024;

/** An entry as it went by, measured; its header's zeros replaced by what was found. */
interface SeenEntry extends LocalHeader {
  readonly relative: string;
}

export class ZipStreamCheck {
  readonly #feed = new ByteFeed();
  readonly #tree: ModuleTree;
  readonly #seen = new Map<number, SeenEntry>();
  readonly #done: Promise<void>;
  #failure: Error | undefined;
  #receivedBytes = 0;
  #goMod: { content: Buffer; sha256: string } | undefined;

  constructor(target: ZipTarget) {
    this.#tree = new ModuleTree(target);
    this.#done = this.#run();
  }

  /**
   * Takes the next bytes of the zip, in pieces of any size; they may be reused when it resolves. Call it one at a
   * time. Rejects with ZipError as soon as the zip is known to be bad, and always again after that.
   */
  async push(chunk: Buffer): Promise<void> {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > this.#tree.limits.zipBytes) {
      this.#failure ??= new ZipError(
        'too_large',
        `The zip has more than ${this.#tree.limits.zipBytes} bytes.`,
      );
      this.close();
    }
    if (this.#failure === undefined) await this.#feed.push(chunk);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Says that all bytes were pushed. Rejects with ZipError unless the whole zip is proven. */
  async finish(): Promise<ZipFacts> {
    this.#feed.end();
    await this.#done;
    if (this.#failure !== undefined) throw this.#failure;
    return {
      h1: this.#tree.h1(),
      goMod: this.#goMod?.content,
      goModH1: this.#goMod && hash1([{ name: 'go.mod', sha256: this.#goMod.sha256 }]),
      entries: this.#seen.size,
      inflatedBytes: this.#tree.totalBytes,
      oddities: [],
    };
  }

  /** Gives up: frees what is held; a pending push resolves or rejects. Idempotent. */
  close(): void {
    this.#failure ??= new ZipError('verifier_closed', 'The check was given up before the zip was complete.');
    this.#feed.end();
    this.#feed.close();
  }

  async #run(): Promise<void> {
    try {
      // Let the constructor's caller push first.
      await this.#feed.wait();
      while ((await this.#signature()) === localSignature) await this.#readEntry();
      await this.#readDirectory();
      if (await this.#feed.wait())
        throw new ZipError('stray_bytes', 'There are bytes after the end of the zip.');
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
    this.#feed.close();
  }

  async #signature(): Promise<number> {
    const bytes = await this.#feed.peek(4);
    if (bytes.length < 4) throw this.#truncated();
    const signature = bytes.readUInt32LE(0);
    const isKnown =
      signature === localSignature ||
      signature === centralSignature ||
      signature === end64Signature ||
      signature === endSignature;
    if (isKnown) return signature;
    const position = this.#feed.positionBytes;
    if (position === 0)
      throw new ZipError('not_a_zip', 'The bytes do not begin with a zip header; this is no zip.');
    throw new ZipError(
      'stray_bytes',
      `At byte ${position} of the zip stands something that belongs to no entry.`,
    );
  }

  /** Exactly `count` bytes, still to be skipped. */
  async #whole(count: number): Promise<Buffer> {
    const bytes = await this.#feed.peek(count);
    if (bytes.length < count) throw this.#truncated();
    return bytes;
  }

  #truncated(): ZipError {
    return new ZipError(
      'truncated',
      `The zip ends at byte ${this.#feed.positionBytes}, before it is complete.`,
    );
  }

  async #readEntry(): Promise<void> {
    const offset = this.#feed.positionBytes;
    const header = await this.#whole(localHeaderLength(await this.#whole(localHeaderBytes)));
    const local = parseLocalHeader(header);
    this.#feed.skip(local.headerBytes);
    if (this.#seen.size >= this.#tree.limits.entries) {
      throw new ZipError('too_many_entries', `The zip has more than ${this.#tree.limits.entries} entries.`);
    }
    const relative = this.#tree.admit(local.name);
    checkHeader(local);
    if (local.sizeBytes > this.#tree.allowanceBytes(relative) && (local.flags & flagDescriptor) === 0) {
      this.#tree.addSize(relative, local.sizeBytes);
    }
    const isKept = relative === 'go.mod';
    const sink = new EntrySink(local.name, this.#tree.allowanceBytes(relative), isKept);
    const dataOffset = this.#feed.positionBytes;
    try {
      if (local.method === methodStored) await this.#readStored(local.compressedBytes, sink);
      else await this.#readDeflated(sink);
    } catch (error) {
      // What lies over the allowance is over a limit of its own or over that of the sum.
      if (error === overAllowance) this.#tree.addSize(relative, sink.sizeBytes);
      throw error === overAllowance ? this.#tree.sumTooLarge() : error;
    }
    const compressedBytes = this.#feed.positionBytes - dataOffset;
    const found = { crc32: sink.crc, compressedBytes, sizeBytes: sink.sizeBytes };
    if ((local.flags & flagDescriptor) !== 0) await this.#skipDescriptor(local.name, found);
    else checkAgainstHeader(local, found);
    if (relative !== '' && !relative.endsWith('/')) this.#tree.addSize(relative, sink.sizeBytes);
    else if (sink.sizeBytes > 0)
      throw new ZipError('bad_size', `Directory entry ${quoteName(local.name)} has content.`);
    const sha256 = sink.sha256();
    this.#tree.addHash(local.name, sha256);
    if (isKept) this.#goMod = { content: sink.content(), sha256 };
    this.#seen.set(offset, { ...local, ...found, relative });
  }

  async #readStored(sizeBytes: number, sink: EntrySink): Promise<void> {
    let rest = sizeBytes;
    while (rest > 0) {
      if (!(await this.#feed.wait())) throw this.#truncated();
      const part = this.#feed.available.subarray(0, rest);
      sink.take(part);
      this.#feed.skip(part.length);
      rest -= part.length;
    }
  }

  async #readDeflated(sink: EntrySink): Promise<void> {
    const whole = this.#tryWhole();
    if (whole) {
      sink.takeWhole(whole.data);
      releaseWhole(whole.data);
      this.#feed.skip(whole.consumedBytes);
      return;
    }
    const inflater = new StreamInflater((data) => sink.take(data));
    const startBytes = this.#feed.positionBytes;
    try {
      for (let ended = false; !ended; ) {
        if (!(await this.#feed.wait())) throw this.#truncated();
        const piece = this.#feed.available;
        ended = await inflater.write(piece);
        const taken = startBytes + inflater.consumedBytes - this.#feed.positionBytes;
        this.#feed.skip(Math.min(piece.length, taken));
      }
    } catch (error) {
      if (!(error instanceof ZipError) || error.code !== 'bad_data') throw error;
      throw new ZipError('bad_data', `Entry ${quoteName(sink.name)}: ${error.message}.`, { cause: error });
    } finally {
      inflater.close();
    }
  }

  /** Inflates a small entry in one call when the chunk at hand holds all of it, as it mostly does. */
  #tryWhole(): Inflated | undefined {
    if (this.#feed.available.length === 0) return undefined;
    try {
      return inflateWhole(this.#feed.available, outputChunkBytes - 1, wholeEntryBytes);
    } catch (error) {
      // Incomplete, too large, or damaged: the piecewise way finds out which.
      if (error instanceof ZipError) return undefined;
      throw error;
    }
  }

  async #skipDescriptor(name: string, found: Found): Promise<void> {
    const bytes = await this.#feed.peek(maxDescriptorBytes);
    const length = descriptorLength(bytes, found.crc32, found.compressedBytes, found.sizeBytes);
    if (length === 0) {
      if (bytes.length < maxDescriptorBytes) throw this.#truncated();
      throw new ZipError(
        'bad_crc',
        `Entry ${quoteName(name)} does not match its data descriptor; fetch the zip again.`,
      );
    }
    this.#feed.skip(length);
  }

  async #readDirectory(): Promise<void> {
    const startOffset = this.#feed.positionBytes;
    const proven = new Set<number>();
    while ((await this.#signature()) === centralSignature) {
      const length = centralHeaderBytes + centralTailBytes(await this.#whole(centralHeaderBytes));
      const entry = parseCentralHeader(await this.#whole(length));
      this.#feed.skip(length);
      const seen = this.#seen.get(entry.headerOffset);
      if (seen === undefined || proven.has(entry.headerOffset)) {
        throw new ZipError(
          'header_mismatch',
          `The directory lists entry ${quoteName(entry.name)} where there is none.`,
        );
      }
      proven.add(entry.headerOffset);
      const contradiction = localContradiction(
        { ...seen, flags: seen.flags & ~flagDescriptor },
        {
          ...entry,
          flags: entry.flags & ~flagDescriptor,
        },
      );
      const isFlagKept = ((seen.flags ^ entry.flags) & flagDescriptor) === 0;
      if (contradiction !== undefined || !isFlagKept) {
        throw new ZipError(
          'header_mismatch',
          `Entry ${quoteName(entry.name)}: the directory contradicts what came on ${contradiction ?? 'the flags'}.`,
        );
      }
      if (entry.isIrregular) {
        throw new ZipError(
          'symlink',
          `Entry ${quoteName(entry.name)} is a link or a device by its attributes.`,
        );
      }
      if (entry.name.endsWith('/') && hasOwnBytes(entry)) {
        throw new ZipError('stray_bytes', `Directory entry ${quoteName(entry.name)} has bytes of its own.`);
      }
      if (this.#feed.positionBytes - startOffset > this.#tree.limits.directoryBytes) {
        throw new ZipError(
          'too_large',
          `The zip's directory is larger than ${this.#tree.limits.directoryBytes} bytes.`,
        );
      }
    }
    if (proven.size !== this.#seen.size) {
      throw new ZipError('bad_directory', 'The zip holds entries that its directory does not list.');
    }
    await this.#readEnd(startOffset);
  }

  async #readEnd(startOffset: number): Promise<void> {
    const endOffset = this.#feed.positionBytes;
    let wide: EndRecord | undefined;
    if ((await this.#signature()) === end64Signature) {
      const record = await this.#whole(end64Bytes + locator64Bytes);
      wide = parseEnd64(record);
      const isPlain =
        read64(record, 4) === end64Bytes - 12 &&
        record.readUInt32LE(end64Bytes) === locator64Signature &&
        read64(record, end64Bytes + 8) === endOffset;
      if (!isPlain)
        throw new ZipError('not_streamable', 'The zip64 end record has parts that cannot be proven.');
      this.#feed.skip(record.length);
    }
    const bytes = await this.#whole(endBytes);
    if (bytes.readUInt32LE(0) !== endSignature) {
      throw new ZipError(
        'stray_bytes',
        `At byte ${this.#feed.positionBytes} the zip's end record is missing.`,
      );
    }
    const narrow = parseEnd(bytes);
    const end = wide !== undefined && pointsTo64(narrow) ? wide : narrow;
    const isTrue =
      end.disk === 0 &&
      end.directoryDisk === 0 &&
      end.records === this.#seen.size &&
      end.directoryOffset === startOffset &&
      end.directoryBytes === endOffset - startOffset &&
      (wide === undefined || end === wide);
    if (!isTrue) throw new ZipError('bad_directory', 'The end record contradicts the directory before it.');
    const comment = bytes.readUInt16LE(20);
    const tail = await this.#whole(endBytes + comment);
    // A second end record in the comment could be what another reader finds.
    if (tail.indexOf('PK\u0005\u0006', endBytes, 'latin1') >= 0) {
      throw new ZipError('not_streamable', "The zip's comment holds another end record.");
    }
    this.#feed.skip(tail.length);
  }
}
