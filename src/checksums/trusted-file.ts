/**
 * The go.sum lines that operators trust, `meta/trusted.sum` in the data folder: go.sum lines with the time of their
 * import and its label behind them. The file is read and written as a stream, and replaced whole under a lock, so
 * that several processes may import at once and none ever reads half of it.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type GoSumLine, goSumLineText, isH1Hash } from '../gomod/go-sum.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError } from '../lib/errors.ts';
import { type HeldLock, underLock } from './lock-file.ts';

/** Lines of all imports together. */
export const maxTrustedLines = 1_000_000;
const maxToldConflicts = 1000;
const maxLineLength = 16 * 1024;
const writeBytes = 256 * 1024;

/** As it stands in the file. */
export interface TrustedLine {
  /** `path version` or `path version/go.mod`. */
  readonly name: string;
  readonly h1: string;
  /** When it was imported, milliseconds since the epoch. */
  readonly atMs: number;
  readonly label: string;
}

export interface TrustConflict {
  /** `path version` or `path version/go.mod`. */
  readonly name: string;
  readonly offered: string;
  readonly trusted: string;
  /** Of the import that brought the trusted one. */
  readonly label: string;
}

export interface TrustImport {
  readonly added: number;
  /** Were trusted before, by whatever label; they keep it. */
  readonly known: number;
  /** Took the place of a line with another hash. */
  readonly replaced: number;
  /** The first 1,000. Nothing is imported when there are any, unless `replace` was asked for. */
  readonly conflicts: readonly TrustConflict[];
  readonly conflictCount: number;
}

export interface TrustedLabel {
  readonly label: string;
  readonly lines: number;
  /** Milliseconds since the epoch. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export function trustedFileIn(dataDir: string): string {
  return join(dataDir, 'meta', 'trusted.sum');
}

/** Why a text can be no label, or undefined. */
export function labelFault(label: string): string | undefined {
  if (label === '' || label.trim() !== label) return 'it is empty or has spaces around it';
  if (label.length > 100) return 'it is longer than 100 characters';
  return /[^\p{L}\p{N}\p{P}\p{S} ]/u.test(label) ? 'it has a character that cannot be printed' : undefined;
}

/** Batches of lines in the order of the file; none when there is no file. Lines that are not ours are left out. */
export async function* readTrusted(file: string): AsyncGenerator<readonly TrustedLine[]> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(file, {
      encoding: 'utf8',
      highWaterMark: writeBytes,
    }) as AsyncIterable<string>) {
      const texts = (rest + chunk).split('\n');
      rest = texts.pop() ?? '';
      if (rest.length > maxLineLength) rest = '';
      yield texts.flatMap(parseLine);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  // A line without its end was cut.
}

const lineShape = /^(\S+ \S+) (h1:\S+) (\d{1,15}) (.+)$/;

function parseLine(text: string): TrustedLine[] {
  const [, name, h1, at, label] = lineShape.exec(text) ?? [];
  if (name === undefined || h1 === undefined || label === undefined || !isH1Hash(h1)) return [];
  return [{ name, h1, atMs: Number(at), label }];
}

function lineText({ name, h1, atMs, label }: TrustedLine): string {
  return `${name} ${h1} ${atMs} ${label}\n`;
}

/** `path version` or `path version/go.mod`, as a line begins. */
export function trustedName(line: Pick<GoSumLine, 'path' | 'version' | 'ext'>): string {
  return goSumLineText({ ...line, h1: '' }).trimEnd();
}

/**
 * Trusts these lines from now on. A line that contradicts a trusted one is a conflict: then nothing is imported, or
 * with `replace` it takes the other's place. Every process on the folder notices within a second. Rejects with
 * ModferryError `bad_label`, `absent` (no such data folder), `too_many` (more than 1,000,000 in all), `locked`, or the
 * system's error.
 */
export async function importTrusted(
  dataDir: string,
  clock: Clock,
  lines: Iterable<Pick<GoSumLine, 'path' | 'version' | 'ext' | 'h1'>>,
  options: { readonly label: string; readonly replace?: boolean },
): Promise<TrustImport> {
  const { label, replace = false } = options;
  const fault = labelFault(label);
  if (fault !== undefined) throw new ModferryError('bad_label', `the label cannot be used: ${fault}`);
  const offered = new Map<string, string>();
  for (const line of lines) offered.set(trustedName(line), line.h1);
  const conflicts: TrustConflict[] = [];
  let conflictCount = 0;
  let known = 0;
  const offeredCount = offered.size;
  await rewrite(dataDir, clock, {
    keep(line) {
      const h1 = offered.get(line.name);
      if (h1 === undefined) return true;
      if (h1 === line.h1) {
        known += 1;
        offered.delete(line.name);
        return true;
      }
      conflictCount += 1;
      if (conflicts.length < maxToldConflicts) {
        conflicts.push({ name: line.name, offered: h1, trusted: line.h1, label: line.label });
      }
      return !replace;
    },
    *append() {
      const atMs = clock.now();
      for (const [name, h1] of offered) yield { name, h1, atMs, label };
    },
    isWanted: () => offered.size > 0 && (replace || conflictCount === 0),
  });
  const isImported = replace || conflictCount === 0;
  const replaced = isImported ? conflictCount : 0;
  const added = isImported ? offeredCount - known - replaced : 0;
  return { added, known, replaced, conflicts, conflictCount };
}

/**
 * Trusts the lines of one label, or of the modules that match a pattern (as in GOPRIVATE), no longer. Resolves to their
 * number. Rejects as `importTrusted`.
 */
export async function removeTrusted(
  dataDir: string,
  clock: Clock,
  which: { readonly label: string } | { readonly pattern: string },
): Promise<number> {
  const matches = matcherOf(which);
  let removed = 0;
  await rewrite(dataDir, clock, {
    keep(line) {
      if (!matches(line)) return true;
      removed += 1;
      return false;
    },
    append: () => [],
    isWanted: () => removed > 0,
  });
  return removed;
}

/** By label, in the order of the file. Rejects with the system's error. */
export async function listTrusted(dataDir: string): Promise<readonly TrustedLabel[]> {
  const labels = new Map<string, TrustedLabel>();
  for await (const batch of readTrusted(trustedFileIn(dataDir))) {
    for (const { label, atMs } of batch) {
      const known = labels.get(label);
      labels.set(label, {
        label,
        lines: (known?.lines ?? 0) + 1,
        firstAtMs: Math.min(known?.firstAtMs ?? atMs, atMs),
        lastAtMs: Math.max(known?.lastAtMs ?? atMs, atMs),
      });
    }
  }
  return [...labels.values()];
}

function matcherOf(
  which: { readonly label: string } | { readonly pattern: string },
): (line: TrustedLine) => boolean {
  if ('label' in which) return ({ label }) => label === which.label;
  const matches = compilePatterns(which.pattern);
  return ({ name }) => matches(name.slice(0, name.indexOf(' ')));
}

interface Change {
  /** Asked of each line that is there, before `append`. */
  keep(line: TrustedLine): boolean;
  append(): Iterable<TrustedLine>;
  /** False: the file stays as it is. Asked after every `keep`. */
  isWanted(): boolean;
}

async function rewrite(dataDir: string, clock: Clock, change: Change): Promise<void> {
  await stat(dataDir).catch(() => {
    throw new ModferryError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  const file = trustedFileIn(dataDir);
  await mkdir(dirname(file), { recursive: true });
  await underLock(`${file}.lock`, clock, async (lock) => {
    const temporary = `${file}.${randomBytes(6).toString('hex')}`;
    try {
      const handle = await open(temporary, 'wx', 0o644);
      try {
        const isWanted = await writeChanged(file, new LineWriter(handle, lock), change);
        if (!isWanted) return;
        await handle.sync();
      } finally {
        await handle.close();
      }
      await lock.check();
      await rename(temporary, file);
      await syncFolder(dirname(file));
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

async function writeChanged(file: string, writer: LineWriter, change: Change): Promise<boolean> {
  for await (const batch of readTrusted(file)) {
    for (const line of batch) if (change.keep(line)) await writer.add(line);
  }
  if (!change.isWanted()) return false;
  for (const line of change.append()) await writer.add(line);
  await writer.flush();
  return true;
}

class LineWriter {
  readonly #handle: FileHandle;
  readonly #lock: HeldLock;
  #text: string[] = [];
  #length = 0;
  #lines = 0;

  constructor(handle: FileHandle, lock: HeldLock) {
    this.#handle = handle;
    this.#lock = lock;
  }

  async add(line: TrustedLine): Promise<void> {
    this.#lines += 1;
    if (this.#lines > maxTrustedLines) {
      throw new ModferryError(
        'too_many',
        `no more than ${maxTrustedLines} go.sum lines can be trusted; remove some with modferry trust rm`,
      );
    }
    const text = lineText(line);
    this.#text.push(text);
    this.#length += text.length;
    if (this.#length >= writeBytes) await this.flush();
  }

  async flush(): Promise<void> {
    await this.#handle.appendFile(this.#text.join(''));
    this.#text = [];
    this.#length = 0;
    await this.#lock.touch();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
