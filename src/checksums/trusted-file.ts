/**
 * The go.sum lines that operators trust, `meta/trusted.sum` in the data folder. The file is read and written as a
 * stream, and replaced whole under a lock, so that several processes may import at once and none ever reads half of it.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type GoSumLine, goSumLineText } from '../gomod/go-sum.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError } from '../lib/errors.ts';
import { removeLeftovers } from '../lib/leftovers.ts';
import { type HeldLock, LockFile } from '../lib/lock-file.ts';
import { toStoreError } from '../store/store-error.ts';
import { rawLine, readTrusted, type TrustedLine } from './trusted-lines.ts';

/** Lines of all imports together. */
export const maxTrustedLines = 1_000_000;
const maxToldConflicts = 1000;
const writeBytes = 256 * 1024;
/** Longer than it takes to write the longest file. */
const lockPatienceMs = 60_000;

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

export interface TrustedListing {
  /** In the order of the file. */
  readonly labels: readonly TrustedLabel[];
  /** Nobody can understand them: they hold for nothing, and stay where they are. */
  readonly damagedLines: number;
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

/** `path version` or `path version/go.mod`, as a line begins. */
export function trustedName(line: Pick<GoSumLine, 'path' | 'version' | 'ext'>): string {
  return goSumLineText({ ...line, h1: '' }).trimEnd();
}

/**
 * Trusts these lines from now on. A line that contradicts a trusted one is a conflict: then nothing is imported, or
 * with `replace` it takes the other's place. Every process on the folder notices within a second. Rejects with
 * ModferryError `bad_label`, `absent` (no such data folder), `too_many` (more than 1,000,000 in all), `locked`, or
 * StoreError.
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

/** Rejects with StoreError. */
export async function listTrusted(dataDir: string): Promise<TrustedListing> {
  const labels = new Map<string, TrustedLabel>();
  let damagedLines = 0;
  for await (const batch of readTrusted(trustedFileIn(dataDir))) {
    for (const { line, isFirst } of batch) {
      if (line === undefined) {
        if (isFirst) damagedLines += 1;
        continue;
      }
      const { label, atMs } = line;
      const known = labels.get(label);
      labels.set(label, {
        label,
        lines: (known?.lines ?? 0) + 1,
        firstAtMs: Math.min(known?.firstAtMs ?? atMs, atMs),
        lastAtMs: Math.max(known?.lastAtMs ?? atMs, atMs),
      });
    }
  }
  return { labels: [...labels.values()], damagedLines };
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
  try {
    await mkdir(dirname(file), { recursive: true });
    const lock = new LockFile(`${file}.lock`, clock, { patienceMs: lockPatienceMs });
    await lock.run((held) => rewriteUnder(held, file, clock, change));
  } catch (error) {
    if (error instanceof ModferryError || errnoOf(error) === undefined) throw error;
    throw toStoreError(error, `write ${file}`);
  }
}

async function rewriteUnder(lock: HeldLock, file: string, clock: Clock, change: Change): Promise<void> {
  await removeLeftovers(file, clock);
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
}

async function writeChanged(file: string, writer: LineWriter, change: Change): Promise<boolean> {
  for await (const batch of readTrusted(file)) {
    for (const { line, raw, isFirst } of batch) {
      if (line === undefined || change.keep(line)) await writer.add(raw, isFirst);
    }
  }
  if (!change.isWanted()) return false;
  for (const line of change.append()) await writer.add(rawLine(line));
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

  /** `raw` is as in the file, as latin1; `isFirst`: a line begins with it. */
  async add(raw: string, isFirst = true): Promise<void> {
    if (isFirst) this.#lines += 1;
    if (this.#lines > maxTrustedLines) {
      throw new ModferryError(
        'too_many',
        `no more than ${maxTrustedLines} go.sum lines can be trusted; remove some with modferry trust rm`,
      );
    }
    this.#text.push(raw);
    this.#length += raw.length;
    if (this.#length >= writeBytes) await this.flush();
  }

  async flush(): Promise<void> {
    await this.#handle.appendFile(this.#text.join(''), 'latin1');
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
