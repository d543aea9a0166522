/**
 * Reads go.sum text without trusting it: good lines on one side, junk with its line numbers on the other. Nothing in
 * a file makes it throw, and what a file costs is bounded.
 * See https://go.dev/ref/mod#go-sum-files and modfetch.readGoSum.
 */
import { isModulePath } from './module-path.ts';
import type { ModulePath, Version } from './types.ts';
import { parseCanonicalVersion } from './version.ts';

/** Longest go.sum that is read, in bytes; the largest real ones have some 2 MiB. */
export const maxGoSumBytes = 64 * 1024 * 1024;
/** Twice the longest path and version with their hash fit. */
const maxLineBytes = 8 * 1024;
/** Faults that are told one by one; more are only counted. */
const maxToldFaults = 1000;
/** With more it is no go.sum, and reading on would only cost time. */
const maxFaults = 10_000;
const shownCharacters = 80;

/** One line: what a zip (`zip`) or a go.mod (`mod`) must hash to. */
export interface GoSumLine {
  readonly path: ModulePath;
  readonly version: Version;
  readonly ext: 'zip' | 'mod';
  /** `h1:` and 32 bytes in base64. */
  readonly h1: string;
  /** From 1; of the first one where a line is repeated. */
  readonly lineNumber: number;
}

export interface GoSumFault {
  /** From 1. */
  readonly lineNumber: number;
  /** The beginning of the line, printable. */
  readonly text: string;
  /** What is wrong, completing "line N: ". */
  readonly reason: string;
}

export interface GoSum {
  /** In the order of the file; a line that is repeated is there once. */
  readonly lines: readonly GoSumLine[];
  /** The first 1,000. */
  readonly faults: readonly GoSumFault[];
  /** All of them; after 10,000 the rest of the file is not read. */
  readonly faultCount: number;
  /** Lines that Go passes over: hashes of other algorithms, and the hash of an old bug. */
  readonly ignored: number;
}

/** `h1:` and 32 bytes in base64, as golang.org/x/mod/sumdb/dirhash writes it. */
export function isH1Hash(text: string): boolean {
  // The last of 43 characters carries four bits: the others would be a second spelling of one hash.
  return /^h1:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text);
}

/** As one go.sum line, without a line end. */
export function goSumLineText(line: Pick<GoSumLine, 'path' | 'version' | 'ext' | 'h1'>): string {
  return `${line.path} ${line.version}${line.ext === 'mod' ? '/go.mod' : ''} ${line.h1}`;
}

/** Reads a whole text. Never throws. */
export function parseGoSum(text: Uint8Array | string): GoSum {
  const reader = new GoSumReader();
  reader.write(typeof text === 'string' ? Buffer.from(text) : text);
  return reader.finish();
}

/** Reads a stream to its end, or to 64 MiB. Rejects with the stream's own error only. */
export async function readGoSum(source: AsyncIterable<Uint8Array>): Promise<GoSum> {
  const reader = new GoSumReader();
  for await (const chunk of source) {
    if (!reader.write(chunk)) break;
  }
  return reader.finish();
}

/** Takes go.sum text piece by piece. */
export class GoSumReader {
  readonly #lines: GoSumLine[] = [];
  readonly #faults: GoSumFault[] = [];
  readonly #byKey = new Map<string, GoSumLine>();
  readonly #limitBytes: number;
  #faultCount = 0;
  #ignored = 0;
  #lineNumber = 0;
  #readBytes = 0;
  /** The line that has not ended yet, cut where it is too long. */
  #open: Buffer[] = [];
  #openBytes = 0;
  /** Why no more is taken. */
  #end: string | undefined;

  /** `limitBytes`: what is read of the text at most. Default `maxGoSumBytes`. */
  constructor(limitBytes = maxGoSumBytes) {
    this.#limitBytes = limitBytes;
  }

  /** False when no more is taken: a limit is reached, which is a fault. The chunk may be reused afterwards. */
  write(chunk: Uint8Array): boolean {
    if (this.#end !== undefined) return false;
    const room = this.#limitBytes - this.#readBytes;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.byteLength, room));
    this.#readBytes += bytes.length;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(0x0a, start);
      if (end < 0) break;
      this.#append(bytes.subarray(start, end));
      this.#endLine();
      start = end + 1;
      if (this.#faultCount >= maxFaults) {
        this.#end = 'there are too many faults for a go.sum; what follows was not read';
        return false;
      }
    }
    this.#append(bytes.subarray(start));
    if (chunk.byteLength <= room) return true;
    this.#end = `the file is larger than ${this.#limitBytes} bytes; what follows was not read`;
    return false;
  }

  /** Ends the last line and gives what was read. */
  finish(): GoSum {
    if (this.#end !== undefined) {
      // The line that was cut by the limit is no line.
      this.#open = [];
      this.#openBytes = 0;
      this.#lineNumber += 1;
      this.#fault('', this.#end);
    } else if (this.#openBytes > 0) this.#endLine();
    return {
      lines: this.#lines,
      faults: this.#faults,
      faultCount: this.#faultCount,
      ignored: this.#ignored,
    };
  }

  #append(part: Buffer): void {
    const keep = Math.min(part.length, maxLineBytes + 1 - Math.min(this.#openBytes, maxLineBytes + 1));
    // Copied: the caller may use its buffer again.
    if (keep > 0) this.#open.push(Buffer.from(part.subarray(0, keep)));
    this.#openBytes += part.length;
  }

  #endLine(): void {
    this.#lineNumber += 1;
    if (this.#openBytes === 0) return;
    const [first] = this.#open;
    const bytes = this.#open.length === 1 && first !== undefined ? first : Buffer.concat(this.#open);
    const isTooLong = this.#openBytes > maxLineBytes;
    this.#open = [];
    this.#openBytes = 0;
    const text = bytes.toString('utf8');
    if (isTooLong) this.#fault(text, `it is longer than ${maxLineBytes} bytes`);
    // Some editors begin a file with a byte order mark.
    else this.#line(this.#lineNumber === 1 ? text.replace(/^\uFEFF/, '') : text);
  }

  #line(text: string): void {
    const fields = text.split(goSpace).filter((field) => field !== '');
    if (fields.length === 0) return;
    const read = readFields(fields, text);
    if (read === undefined) this.#ignored += 1;
    else if (typeof read === 'object') this.#keep({ ...read, lineNumber: this.#lineNumber }, text);
    else this.#fault(text, read);
  }

  #keep(line: GoSumLine, text: string): void {
    const key = `${line.path} ${line.version} ${line.ext}`;
    const known = this.#byKey.get(key);
    if (known === undefined) {
      this.#byKey.set(key, line);
      this.#lines.push(line);
    } else if (known.h1 !== line.h1) this.#fault(text, `it contradicts line ${known.lineNumber}`);
  }

  #fault(text: string, reason: string): void {
    this.#faultCount += 1;
    if (this.#faults.length >= maxToldFaults) return;
    this.#faults.push({ lineNumber: this.#lineNumber, text: printable(text), reason });
  }
}

/** The white space of Go's strings.Fields. */
const goSpace = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

/** Go once wrote this for a go.mod that was not there, and passes over it since. */
const emptyGoModHash = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=';

const goModSuffix = '/go.mod';

type ReadLine = Omit<GoSumLine, 'lineNumber'>;

/** The line, what is wrong with it, or undefined for one that Go passes over. */
function readFields(fields: readonly string[], text: string): ReadLine | string | undefined {
  const [pathText = '', versionText = '', hash = ''] = fields;
  if (text.includes('\0')) return 'it has a NUL byte, so this is no text file or a damaged one';
  if (/^(?:<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)/.test(pathText)) {
    return 'a merge left a conflict marker; resolve it first';
  }
  if (fields.length !== 3) {
    return `it has ${fields.length === 1 ? '1 field' : `${fields.length} fields`} instead of MODULE VERSION HASH`;
  }
  if (!isModulePath(pathText)) return 'its first field is no module path';
  const ext = versionText.endsWith(goModSuffix) ? 'mod' : 'zip';
  const bare = ext === 'mod' ? versionText.slice(0, -goModSuffix.length) : versionText;
  const version = parseCanonicalVersion(pathText, bare);
  if (version === undefined) return 'its second field is no canonical version of that module';
  if (hash === emptyGoModHash) return undefined;
  if (isH1Hash(hash)) return { path: pathText, version, ext, h1: hash };
  if (/^[a-z][a-z0-9]*:./.test(hash) && !hash.startsWith('h1:')) return undefined;
  return 'its hash is not h1: and 32 bytes in base64';
}

const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/gu;

/** At most 80 characters, without anything that moves a cursor or hides text. */
function printable(text: string): string {
  const short = text.slice(0, shownCharacters * 2).trim();
  const shown = short.replaceAll(unprintable, (found) =>
    found === '\t' ? ' ' : `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return shown.length > shownCharacters ? `${shown.slice(0, shownCharacters - 1)}…` : shown;
}
