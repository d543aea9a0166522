/**
 * A file of lines to which several processes append, each batch by one write in append mode, so that lines do not mix.
 * When it has grown long it becomes `NAME.1.EXT`, that one `NAME.2.EXT`, and so on; the oldest goes. Readers take what
 * they can read: a torn line spoils no line after it.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import type { Clock } from './clock.ts';
import { errnoOf } from './errors.ts';
import { LockFile } from './lock-file.ts';

export interface JsonLinesOptions {
  readonly clock: Clock;
  /** A file that is this long is moved away before more is appended. */
  readonly maxBytes: number;
  /** Files kept besides the current one, at least 1. */
  readonly keep: number;
  /** Of new files. Default 0o666, less what the umask takes. */
  readonly mode?: number | undefined;
}

/** Turn-overs in one `read`; more are for the next one. */
const maxTries = 10;
/** Files that a reader looks at again after it has read them: the current one and the one before. */
const reachBack = 2;
/** What is longer is no line of ours. */
const maxLineBytes = 256 * 1024;

/** `audit.jsonl` and 2 are `audit.2.jsonl`; 0 is the current one. */
export function numberedFile(file: string, number: number): string {
  if (number === 0) return file;
  const ext = extname(file);
  return `${file.slice(0, file.length - ext.length)}.${number}${ext}`;
}

/** Appends. Its folder must be there. */
export class JsonLinesFile {
  readonly #file: string;
  readonly #options: JsonLinesOptions;
  readonly #lock: LockFile;

  constructor(file: string, options: JsonLinesOptions) {
    this.#file = file;
    this.#options = options;
    this.#lock = new LockFile(`${file}.lock`, options.clock);
  }

  /**
   * Appends whole lines. `isDurable`: resolves once they are on the disk. Rejects with the system's error, or
   * ModferryError `lock_lost`; a part may have been written then, so the same lines may be appended again.
   */
  async append(lines: string, { isDurable = false }: { readonly isDurable?: boolean } = {}): Promise<void> {
    await this.#turnOver();
    const handle = await open(this.#file, 'a+', this.#options.mode);
    try {
      const { size } = await handle.stat();
      // Whoever wrote last may have been cut off in the middle of a line.
      const bytes = Buffer.from((await endsLine(handle, size)) ? lines : `\n${lines}`);
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) throw new Error('only a part could be written');
      if (isDurable) await handle.datasync();
      if (isDurable && size === 0) await syncFolder(dirname(this.#file));
    } finally {
      await handle.close();
    }
  }

  /** Moves a long file away. Only one process does; the others go on appending to whichever is there. */
  async #turnOver(): Promise<void> {
    if (!(await this.#isLong())) return;
    await this.#lock.runIfFree(async (held) => {
      // Somebody else may have done it before the lock was ours.
      if (!(await this.#isLong())) return;
      for (let number = this.#options.keep; number > 0; number -= 1) {
        await held.check();
        await renameIfThere(numberedFile(this.#file, number - 1), numberedFile(this.#file, number));
      }
    });
  }

  async #isLong(): Promise<boolean> {
    const facts = await stat(this.#file).catch(() => undefined);
    return facts !== undefined && facts.size >= this.#options.maxBytes;
  }
}

/** A new file is lost with its name. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

async function endsLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 0 || buffer.toString('latin1') === '\n';
}

/**
 * Follows such a file: each `read` gives the whole lines that were appended since the one before, over a turn-over too.
 * Lines are passed one by one, so that any number of them takes no memory.
 */
export class JsonLinesReader {
  readonly #file: string;
  readonly #keep: number;
  /** How far the files that were read last were read, by their inode: they are found under other names later. */
  readonly #offsets = new Map<number, number>();

  /** `keep` as in JsonLinesOptions: how many older files the first `read` gives, oldest first. */
  constructor(file: string, keep: number) {
    this.#file = file;
    this.#keep = keep;
  }

  /** Changes whenever something was appended. Empty where there is no file. */
  async mark(): Promise<string> {
    const facts = await stat(this.#file).catch(() => undefined);
    return facts === undefined ? '' : `${facts.ino} ${facts.size}`;
  }

  /**
   * Rejects with the system's error unless files are merely absent. A turn-over while it reads may give lines twice,
   * never none.
   */
  async read(onLine: (line: string) => void): Promise<void> {
    // A turn-over after the files were listed: what is not read yet has other names now.
    for (let tries = 0; tries < maxTries && !(await this.#readListed(onLine)); tries += 1);
  }

  /** False: a file was no longer where it was; those before it were read. */
  async #readListed(onLine: (line: string) => void): Promise<boolean> {
    for (const { path, ino } of await this.#unread()) {
      const handle = await openIfThere(path);
      if (handle === undefined) return false;
      try {
        const facts = await handle.stat();
        if (facts.ino !== ino) return false;
        const known = this.#offsets.get(ino) ?? 0;
        const start = facts.size >= known ? known : 0;
        this.#remember(ino, start + (await readLines(handle, start, onLine)));
      } finally {
        await handle.close();
      }
    }
    return true;
  }

  #remember(ino: number, offset: number): void {
    this.#offsets.delete(ino);
    this.#offsets.set(ino, offset);
    for (const oldest of this.#offsets.keys()) {
      if (this.#offsets.size <= reachBack) break;
      this.#offsets.delete(oldest);
    }
  }

  /** Oldest first. The last files that were read are among them: who opened one before it was moved still appends to it. */
  async #unread(): Promise<{ readonly path: string; readonly ino: number }[]> {
    const found: { path: string; ino: number }[] = [];
    let known = 0;
    for (let number = 0; number <= this.#keep && known < reachBack; number += 1) {
      const path = numberedFile(this.#file, number);
      const facts = await stat(path).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      });
      if (facts === undefined || !facts.isFile()) continue;
      found.unshift({ path, ino: facts.ino });
      if (this.#offsets.has(facts.ino)) known += 1;
      // What lies before a file that was read first, at the beginning or after a gap, has been read.
      else if (known > 0) {
        found.shift();
        break;
      }
    }
    return found;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Resolves to the bytes up to the end of the last whole line. */
async function readLines(handle: FileHandle, start: number, onLine: (line: string) => void): Promise<number> {
  const stream = createReadStream('', { fd: handle.fd, start, autoClose: false, highWaterMark: 256 * 1024 });
  let taken = 0;
  let rest: Buffer = Buffer.alloc(0);
  let isTooLong = false;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, at);
      if (end < 0) break;
      if (!isTooLong && end > at) onLine(bytes.toString('utf8', at, end));
      isTooLong = false;
      taken += end + 1 - at;
      at = end + 1;
    }
    rest = bytes.subarray(at);
    if (rest.length > maxLineBytes) {
      isTooLong = true;
      taken += rest.length;
      rest = Buffer.alloc(0);
    }
  }
  return taken;
}
