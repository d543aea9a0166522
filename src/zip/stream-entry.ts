/**
 * One entry of a zip that streams by: what its header must be, the sink that measures its content, and the
 * comparison of both.
 */

import type { Hash } from 'node:crypto';
import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { emptySha256 } from './module-tree.ts';
import type { LocalHeader } from './zip-format.ts';
import { flagDescriptor, flagEncrypted, methodDeflated, methodStored } from './zip-format.ts';
import { quoteName, ZipError } from './zip-types.ts';

/** Refuses an entry whose header alone shows that it cannot be proven. Throws ZipError. */
export function checkHeader(local: LocalHeader): void {
  const name = quoteName(local.name);
  if ((local.flags & flagEncrypted) !== 0)
    throw new ZipError('encrypted', `Entry ${name} is marked as encrypted.`);
  if (local.method !== methodStored && local.method !== methodDeflated) {
    throw new ZipError(
      'unsupported_method',
      `Entry ${name} is packed by method ${local.method}; Go reads 0 and 8.`,
    );
  }
  if (local.method === methodStored && (local.flags & flagDescriptor) !== 0) {
    throw new ZipError(
      'not_streamable',
      `Entry ${name} is stored with its size behind it: only the whole file tells.`,
    );
  }
}

/** Sizes and CRC of an entry as they were measured. */
export type Found = Pick<LocalHeader, 'crc32' | 'compressedBytes' | 'sizeBytes'>;

/** Compares what was measured with what the local header announced. Throws ZipError. */
export function checkAgainstHeader(local: LocalHeader, found: Found): void {
  const name = quoteName(local.name);
  if (found.sizeBytes !== local.sizeBytes) {
    throw new ZipError(
      'bad_size',
      `Entry ${name} does not inflate to the ${local.sizeBytes} bytes it declares.`,
    );
  }
  if (found.compressedBytes !== local.compressedBytes) {
    throw new ZipError(
      'stray_bytes',
      `Entry ${name} has not the ${local.compressedBytes} packed bytes it declares.`,
    );
  }
  if (found.crc32 !== local.crc32) {
    throw new ZipError('bad_crc', `Entry ${name} does not match its CRC; fetch the zip again.`);
  }
}

/** Thrown by a sink that got more than it may take. */
export const overAllowance = new Error('over allowance');

/** Measures the content of one entry. */
export class EntrySink {
  readonly name: string;
  readonly #maxBytes: number;
  readonly #kept: Buffer[] | undefined;
  #hash: Hash | undefined;
  #sha256 = emptySha256;
  sizeBytes = 0;
  crc = 0;

  constructor(name: string, maxBytes: number, isKept: boolean) {
    this.name = name;
    this.#maxBytes = maxBytes;
    this.#kept = isKept ? [] : undefined;
  }

  /** Measures the next bytes. Throws `overAllowance`. */
  take(data: Buffer): void {
    this.#measure(data);
    this.#hash ??= createHash('sha256');
    this.#hash.update(data);
  }

  /** Measures an entry that is here whole, which costs less. Throws `overAllowance`. */
  takeWhole(data: Buffer): void {
    this.#measure(data);
    this.#sha256 = hash('sha256', data, 'hex');
  }

  /** Lower-case hex SHA-256 of all that was taken. To be asked once, at the end. */
  sha256(): string {
    return this.#hash?.digest('hex') ?? this.#sha256;
  }

  /** The content, if it was to be kept. */
  content(): Buffer {
    return Buffer.concat(this.#kept ?? []);
  }

  #measure(data: Buffer): void {
    this.sizeBytes += data.length;
    if (this.sizeBytes > this.#maxBytes) throw overAllowance;
    this.crc = crc32(data, this.crc);
    this.#kept?.push(Buffer.from(data));
  }
}
