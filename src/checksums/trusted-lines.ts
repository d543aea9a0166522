/**
 * The lines of `meta/trusted.sum`: go.sum lines with the time of their import and its label behind them. Read as a
 * stream, byte by byte as they stand there, so that what is damaged can be kept for whoever wants to mend it.
 */
import { createReadStream } from 'node:fs';
import { isH1Hash } from '../gomod/go-sum.ts';
import { errnoOf } from '../lib/errors.ts';
import { attempt } from '../store/store-error.ts';

/** As it stands in the file. */
export interface TrustedLine {
  /** `path version` or `path version/go.mod`. */
  readonly name: string;
  readonly h1: string;
  /** When it was imported, milliseconds since the epoch. */
  readonly atMs: number;
  readonly label: string;
}

/** A line of ours, or a piece of the file that is none. */
export interface TrustedPiece {
  /** Bytes as latin1, the line feed included. */
  readonly raw: string;
  /** Undefined: it is damaged. */
  readonly line: TrustedLine | undefined;
  /** False: a further piece of a damaged line that has been told of. */
  readonly isFirst: boolean;
}

/** Read and parsed in one go: a millisecond or two, because requests wait meanwhile. */
const chunkBytes = 16 * 1024;
const maxLineBytes = 16 * 1024;
/** Goes before a line whose end was cut: whatever is left of it must never pass for a whole one. */
const cutMark = '#cut: ';

/**
 * Batches in the order of the file, of at most some hundred lines; none when there is no file. Rejects with StoreError.
 */
export async function* readTrusted(file: string): AsyncGenerator<readonly TrustedPiece[]> {
  const pieces = new Pieces();
  try {
    const chunks = createReadStream(file, { encoding: 'latin1', highWaterMark: chunkBytes });
    for await (const chunk of chunks as AsyncIterable<string>) yield pieces.take(chunk);
    yield pieces.end();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    await attempt(`read ${file}`, () => Promise.reject(error));
  }
}

/** What a line is in the file, as latin1. */
export function rawLine({ name, h1, atMs, label }: TrustedLine): string {
  return Buffer.from(`${name} ${h1} ${atMs} ${label}\n`).toString('latin1');
}

class Pieces {
  #rest = '';
  /** Within a line that is too long to be one. */
  #isInLong = false;

  take(chunk: string): TrustedPiece[] {
    const pieces: TrustedPiece[] = [];
    const texts = (this.#rest + chunk).split('\n');
    this.#rest = texts.pop() ?? '';
    for (const text of texts) this.#add(pieces, text);
    if (this.#isInLong || this.#rest.length > maxLineBytes) {
      pieces.push({ raw: this.#rest, line: undefined, isFirst: !this.#isInLong });
      this.#rest = '';
      this.#isInLong = true;
    }
    return pieces;
  }

  end(): TrustedPiece[] {
    if (this.#rest !== '') {
      return [{ raw: `${cutMark}${this.#rest}\n`, line: undefined, isFirst: true }];
    }
    return this.#isInLong ? [{ raw: '\n', line: undefined, isFirst: false }] : [];
  }

  #add(pieces: TrustedPiece[], text: string): void {
    if (this.#isInLong) {
      this.#isInLong = false;
      pieces.push({ raw: `${text}\n`, line: undefined, isFirst: false });
    } else if (text !== '') {
      pieces.push({ raw: `${text}\n`, line: parseLine(text), isFirst: true });
    }
  }
}

const lineShape = /^(\S+ \S+) (h1:\S+) (\d{1,15}) (.+)$/;

function parseLine(raw: string): TrustedLine | undefined {
  const [, name, h1, at, label] = lineShape.exec(raw) ?? [];
  if (name === undefined || h1 === undefined || label === undefined || !isH1Hash(h1)) return undefined;
  return { name, h1, atMs: Number(at), label: Buffer.from(label, 'latin1').toString() };
}
