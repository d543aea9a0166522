/**
 * A small file that is read again when it changed: secrets, keys and `.netrc` are rotated under a running server. Each
 * `read` looks at the file's facts, so a change is seen at the next use.
 */
import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, ModferryError } from './errors.ts';

/** `missing`: there is no such file. `unreadable`: no right to read it, no regular file, or over the limit. */
export type FileFault = 'missing' | 'unreadable';

/** Message: a sentence that names the file and says what to do; never its content. */
export class FileError extends ModferryError<FileFault> {}

export interface ReadFileFacts {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
  /** Owner; 0 on Windows. */
  readonly uid: number;
}

export interface RereadFileOptions {
  /** Absolute. */
  readonly path: string;
  readonly maxBytes: number;
}

export class RereadFile {
  readonly path: string;
  readonly #maxBytes: number;
  #stamp = '';
  #facts: ReadFileFacts | undefined;

  constructor(options: RereadFileOptions) {
    this.path = options.path;
    this.#maxBytes = options.maxBytes;
  }

  /** The content as UTF-8, with the rights it has. Rejects with FileError. */
  async read(): Promise<ReadFileFacts> {
    try {
      // A pipe in its place must not be waited for.
      await using file = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      const stats = await file.stat({ bigint: true });
      if (!stats.isFile()) throw this.#unreadable('is no regular file');
      const stamp = stampOf(stats);
      if (this.#facts !== undefined && stamp === this.#stamp) return this.#facts;
      const text = await this.#content(file);
      this.#facts = { text, mode: Number(stats.mode) & 0o777, uid: Number(stats.uid) };
      this.#stamp = stamp;
      return this.#facts;
    } catch (error) {
      this.#facts = undefined;
      if (error instanceof FileError) throw error;
      const code = errnoOf(error) ?? 'no reason given';
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        throw new FileError('missing', `the file ${this.path} does not exist; write it, or name another one`);
      }
      throw this.#unreadable(`cannot be read (${code})`);
    }
  }

  async #content(file: FileHandle): Promise<string> {
    const target = Buffer.alloc(this.#maxBytes + 1);
    let length = 0;
    while (length < target.length) {
      const { bytesRead } = await file.read(target, length, target.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > this.#maxBytes) throw this.#unreadable(`is larger than ${this.#maxBytes} bytes`);
    const text = new TextDecoder().decode(target.subarray(0, length));
    target.fill(0);
    return text;
  }

  #unreadable(what: string): FileError {
    return new FileError(
      'unreadable',
      `the file ${this.path} ${what}; name a file of at most ${this.#maxBytes / 1024} KiB that modferry may read`,
    );
  }
}

/** Changes whenever the content may have: a file that is replaced within one tick of its time has another inode. */
function stampOf({ mtimeNs, ctimeNs, size, ino, dev }: BigIntStats): string {
  return `${mtimeNs} ${ctimeNs} ${size} ${ino} ${dev}`;
}
