/**
 * Raw inflate in two forms: small entries in one synchronous call, large ones in bounded pieces. Both know how many
 * compressed bytes the deflate stream really took, which a zip's own sizes may misstate.
 */

import type { InflateRaw } from 'node:zlib';
import { createInflateRaw, inflateRawSync } from 'node:zlib';

import { errnoOf, messageOf } from '../lib/errors.ts';
import { ZipError } from './zip-types.ts';

/** An inflated entry and the count of compressed bytes that made it. */
export interface Inflated {
  readonly data: Buffer;
  readonly consumedBytes: number;
}

/**
 * Inflates a whole deflate stream. Throws ZipError `bad_size` when it gives more than `maxBytes`, `bad_data` when
 * it is damaged or incomplete. `expectedBytes` sizes the output buffer.
 */
export function inflateWhole(raw: Buffer, expectedBytes: number, maxBytes: number): Inflated {
  try {
    const answer: unknown = inflateRawSync(raw, {
      // One byte more than expected: a full buffer would cost a second one.
      chunkSize: Math.max(64, expectedBytes + 1),
      maxOutputLength: Math.max(1, maxBytes),
      info: true,
    });
    if (!isWithInfo(answer)) throw new Error('zlib gave no info');
    return { data: answer.buffer, consumedBytes: answer.engine.bytesWritten };
  } catch (error) {
    throw inflateError(error);
  }
}

/** What zlib gives with `info`; its types do not say so. */
interface WithInfo {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function isWithInfo(answer: unknown): answer is WithInfo {
  return typeof answer === 'object' && answer !== null && 'buffer' in answer && 'engine' in answer;
}

function inflateError(error: unknown): ZipError {
  if (error instanceof ZipError) return error;
  if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') {
    return new ZipError('bad_size', 'it inflates to more bytes than declared', { cause: error });
  }
  return new ZipError('bad_data', `its deflate stream is damaged (${messageOf(error)})`, { cause: error });
}

/**
 * Gives an output chunk's memory back at once: left to the collector, such chunks pile up to some 60 MB. One that
 * fills its whole ArrayBuffer is not used again by zlib; others are left alone.
 */
function release(data: Buffer): void {
  if (data.byteLength === outputChunkBytes && data.buffer instanceof ArrayBuffer) {
    if (data.buffer.byteLength === outputChunkBytes) data.buffer.transfer(0);
  }
}

/** What zlib gives at a time. */
export const outputChunkBytes = 64 * 1024;

/**
 * The same for what `inflateWhole` gave when it expected one byte less than `outputChunkBytes`: it then lies in one
 * chunk, or in a larger ArrayBuffer of its own.
 */
export function releaseWhole(data: Buffer): void {
  const { buffer, byteOffset, byteLength } = data;
  if (byteOffset !== 0 || !(buffer instanceof ArrayBuffer)) return;
  if (buffer.byteLength === outputChunkBytes || buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Inflates piece by piece; memory is one input piece and a few output pieces. */
export class StreamInflater {
  readonly #engine: InflateRaw;
  readonly #ended: Promise<void>;
  #fedBytes = 0;
  #failure: Error | undefined;
  #onFailure: ((error: Error) => void) | undefined;

  /** `onData` gets the output in order, valid during the call only; what it throws fails the `write` or `finish` under way. */
  constructor(onData: (data: Buffer) => void) {
    this.#engine = createInflateRaw({ chunkSize: outputChunkBytes });
    this.#engine.on('data', (data: Buffer) => {
      try {
        onData(data);
        release(data);
      } catch (error) {
        this.#fail(error);
        this.#engine.destroy();
      }
    });
    this.#engine.on('error', (error) => this.#fail(inflateError(error)));
    this.#ended = new Promise((resolve) => this.#engine.once('end', resolve));
  }

  /** Compressed bytes taken so far; exact once the stream has ended. */
  get consumedBytes(): number {
    return this.#engine.bytesWritten;
  }

  /**
   * Feeds a piece, which may be reused when this resolves. Resolves to true when the deflate stream ended before
   * the piece did; a stream that ends exactly with the piece shows only at the next one or at `finish`.
   */
  async write(piece: Buffer): Promise<boolean> {
    this.#fedBytes += piece.length;
    await this.#guard((done) => {
      this.#engine.write(piece, (error) => {
        if (error) this.#fail(inflateError(error));
        done();
      });
    });
    if (this.#engine.bytesWritten >= this.#fedBytes) return false;
    await this.#guard((done) => void this.#ended.then(done));
    return true;
  }

  /** Says that no more comes. Rejects with ZipError `bad_data` when the stream is not complete. */
  async finish(): Promise<void> {
    await this.#guard((done) => {
      void this.#ended.then(done);
      this.#engine.end();
    });
  }

  /** Frees the native memory at once. Idempotent. */
  close(): void {
    this.#engine.destroy();
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#onFailure?.(this.#failure);
  }

  async #guard(start: (done: () => void) => void): Promise<void> {
    if (this.#failure === undefined) {
      await new Promise<void>((resolve, reject) => {
        this.#onFailure = reject;
        start(resolve);
      });
      this.#onFailure = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
