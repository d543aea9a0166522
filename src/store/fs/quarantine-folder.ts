/**
 * Reads the quarantine: flat files `{id}.json` (evidence) and `{id}.bytes`. Anything else in the folder is not seen.
 * What is in it is indexed in memory while the folder's own time says that nothing came or went, because every answer
 * about an artifact that is absent asks for its suspects. What this process changes is changed in the index as well;
 * after another one's change only the files that are new are read.
 */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { QuarantineEntry } from '../quarantine.ts';
import { isAbsence, isErrno, namesIn, OpenFile, statIfAny } from './files.ts';
import { keyText } from './layout.ts';
import { isQuarantineId, maxEntryBytes, parseEntry, type StoredEntry } from './quarantine-entry.ts';
import { factsOf, QuarantineIndex, type Slot } from './quarantine-index.ts';
import { Rerun } from './rerun.ts';

/** Folder times may be this coarse: a folder that changed less long ago may change again without showing it. */
const coarseMs = 2_000;
/** Entries kept in memory, about 1 KB each. */
const maxParsed = 2_000;
/** Files read at once: enough for the thread pool, few enough for the heap. */
const readsAtOnce = 16;

/** The state of the folder that the index shows. */
interface Mark {
  readonly inode: bigint;
  readonly modifiedAtNs: bigint;
}

export class QuarantineFolder {
  readonly path: string;
  readonly #clock: Clock;
  readonly #parsed = new LRUCache<string, { stamp: string; entry: StoredEntry }>({ max: maxParsed });
  readonly #reading = new Rerun(() => this.#read(false));
  #index = new QuarantineIndex();
  /** Bytes without evidence, as the last reading saw them. */
  #orphans: string[] = [];
  #mark: Mark | undefined;
  /** This process changes the folder, and nobody else does: the index shows it as it was before. */
  #isChanging = false;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  evidenceFile(id: string): string {
    return join(this.path, `${id}.json`);
  }

  bytesFile(id: string): string {
    return join(this.path, `${id}.bytes`);
  }

  /** Newest first. Rejects with the system's error. */
  async list(): Promise<readonly QuarantineEntry[]> {
    return await this.#entries((index) => index.all());
  }

  /** Suspects of one artifact, newest first. Rejects with the system's error. */
  async of(key: ArtifactKey): Promise<readonly QuarantineEntry[]> {
    const artifact = keyText(key);
    return await this.#entries((index) => index.of(artifact));
  }

  /** What is on the disk now. Rejects with the system's error. */
  async get(id: string): Promise<QuarantineEntry | undefined> {
    const entry = await this.stored(id);
    if (entry === undefined) return undefined;
    const bytes = await statIfAny(this.bytesFile(id));
    return withBytes(entry, bytes?.isFile === true ? bytes.sizeBytes : undefined);
  }

  /** What the evidence's file says. Rejects with the system's error. */
  async stored(id: string): Promise<StoredEntry | undefined> {
    if (!isQuarantineId(id)) return undefined;
    return (await readEvidence(this.evidenceFile(id), id))?.entry;
  }

  /** The index as the folder is now, to be used before anything else is awaited. Rejects with the system's error. */
  async current(): Promise<QuarantineIndex> {
    if (!(await this.#isCurrent())) await this.#reading.request();
    return this.#index;
  }

  /** Some bytes that had no evidence beside them: to be looked at again before they are removed. */
  takeOrphans(atMost: number): string[] {
    return this.#orphans.splice(0, atMost);
  }

  /**
   * Runs `work`, which changes the folder and calls `touch` with each entry that it changes; to be called while no
   * other process changes the folder. Resolves to its result and to the index of the folder as it is then, undefined
   * when it is not known. `isAlone` is asked afterwards: false when others may have changed it meanwhile after all.
   */
  async change<Result>(
    work: (touch: (id: string) => void) => Promise<Result>,
    isAlone: () => Promise<boolean>,
  ): Promise<{ result: Result; index: QuarantineIndex | undefined }> {
    const touched = new Set<string>();
    const before = (await this.#isCurrent()) ? this.#mark : undefined;
    let after: Mark | undefined;
    this.#isChanging = before !== undefined;
    try {
      const result = await work((id) => touched.add(id));
      if (before === undefined) return { result, index: undefined };
      const slots = await Promise.all([...touched].map(async (id) => ({ id, slot: await this.#slot(id) })));
      const stamped = await this.#stampFolder();
      // What a reading under way saw may be older than what was done here.
      if (this.#mark !== before || !this.#reading.isIdle || !(await isAlone())) {
        return { result, index: undefined };
      }
      for (const { id, slot } of slots) {
        if (slot === undefined) this.#index.delete(id);
        else this.#index.put(slot);
      }
      after = stamped;
      return { result, index: stamped === undefined ? undefined : this.#index };
    } finally {
      this.#isChanging = false;
      this.#mark = after;
    }
  }

  /** Reads what is not known yet; as `change`, to be called while no other process changes the folder. */
  async learn(): Promise<void> {
    if (!(await this.#isCurrent())) await this.#read(true);
  }

  async #entries(choose: (index: QuarantineIndex) => readonly string[]): Promise<QuarantineEntry[]> {
    const index = await this.current();
    const slots = choose(index).flatMap((id) => index.get(id) ?? []);
    const entries: (QuarantineEntry | undefined)[] = [];
    await inTurns(slots, async (slot, place) => {
      const entry = this.#parsedOf(slot) ?? (await this.#reread(slot.id));
      if (entry !== undefined) entries[place] = withBytes(entry, slot.bytesSize);
    });
    return entries.filter((entry) => entry !== undefined);
  }

  #parsedOf({ id, stamp }: Slot): StoredEntry | undefined {
    const parsed = this.#parsed.get(id);
    return parsed?.stamp === stamp ? parsed.entry : undefined;
  }

  async #reread(id: string): Promise<StoredEntry | undefined> {
    const read = await readEvidence(this.evidenceFile(id), id);
    if (read?.entry === undefined) return undefined;
    this.#parsed.set(id, { stamp: read.stamp, entry: read.entry });
    return read.entry;
  }

  async #isCurrent(): Promise<boolean> {
    if (this.#isChanging) return true;
    const now = await markOf(this.path);
    if (now === undefined) {
      this.#index = new QuarantineIndex();
      this.#orphans = [];
      this.#mark = undefined;
      return true;
    }
    return this.#mark?.inode === now.inode && this.#mark.modifiedAtNs === now.modifiedAtNs;
  }

  /** `isAlone`: nobody else changes the folder meanwhile, so that what is read holds however young it is. */
  async #read(isAlone: boolean): Promise<void> {
    const before = await markOf(this.path);
    if (before === undefined) return;
    const isOld = this.#clock.now() - Number(before.modifiedAtNs / 1_000_000n) > coarseMs;
    const names = await namesIn(this.path);
    const withBytesFile = new Set(idsAmong(names, '.bytes'));
    const index = new QuarantineIndex();
    const explained = new Set(idsAmong(names, '.json'));
    await inTurns([...explained], async (id) => {
      const slot = await this.#slot(id, withBytesFile.has(id));
      if (slot !== undefined) index.put(slot);
    });
    const after = isAlone ? await this.#stampFolder() : before;
    this.#index = index;
    this.#orphans = [...withBytesFile].filter((id) => !explained.has(id));
    this.#mark = isOld || isAlone ? after : undefined;
  }

  /** Reads no evidence that is known. Undefined when there is none. */
  async #slot(id: string, mayHaveBytes = true): Promise<Slot | undefined> {
    const stamp = await stampOf(this.evidenceFile(id));
    if (stamp === undefined) return undefined;
    const known = this.#index.get(id);
    const bytes = mayHaveBytes ? await statIfAny(this.bytesFile(id)) : undefined;
    const bytesSize = bytes?.isFile === true ? bytes.sizeBytes : undefined;
    if (known?.stamp === stamp) return { ...known, bytesSize };
    const read = await readEvidence(this.evidenceFile(id), id);
    if (read === undefined) return { id, stamp, facts: undefined, bytesSize };
    const { entry } = read;
    if (entry !== undefined) this.#parsed.set(id, { stamp: read.stamp, entry });
    const facts = entry === undefined ? undefined : factsOf(entry, keyText(entry.key));
    return { id, stamp: read.stamp, facts, bytesSize };
  }

  /**
   * Gives the folder a time that no change of another process within the same tick of the file system's clock has, so
   * that this one is known again at once. Undefined where the file system or its rights do not let us.
   */
  async #stampFolder(): Promise<Mark | undefined> {
    const now = await markOf(this.path);
    if (now === undefined) return undefined;
    // A double still tells microseconds of our time.
    const wantedUs = (now.modifiedAtNs / 1_000_000n) * 1_000n + BigInt(randomInt(1, 1_000));
    const wantedS = Number(wantedUs) / 1e6;
    try {
      await fs.promises.utimes(this.path, wantedS, wantedS);
    } catch {
      return undefined;
    }
    const stamped = await markOf(this.path);
    const offByNs = (stamped?.modifiedAtNs ?? 0n) - wantedUs * 1_000n;
    return offByNs < 1_000n && offByNs > -1_000n ? stamped : undefined;
  }
}

/** A power cut may leave a part of what was moved here: those are not the bytes that the evidence tells of. */
function withBytes(entry: StoredEntry, bytesSize: number | undefined): QuarantineEntry {
  return { ...entry, hasBytes: bytesSize === entry.sizeBytes };
}

function idsAmong(names: readonly string[], suffix: string): string[] {
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .filter(isQuarantineId);
}

async function inTurns<Item>(
  items: readonly Item[],
  work: (item: Item, place: number) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < items.length; start += readsAtOnce) {
    const turn = items.slice(start, start + readsAtOnce);
    await Promise.all(turn.map((item, place) => work(item, start + place)));
  }
}

async function markOf(path: string): Promise<Mark | undefined> {
  const stats = await statExactly(path);
  return stats === undefined ? undefined : { inode: stats.ino, modifiedAtNs: stats.mtimeNs };
}

/** Evidence is replaced by another file, never written in place. */
async function stampOf(path: string): Promise<string | undefined> {
  const stats = await statExactly(path);
  return stats === undefined ? undefined : `${stats.ino} ${stats.mtimeNs} ${stats.size}`;
}

function statExactly(path: string): Promise<fs.BigIntStats | undefined> {
  return new Promise((resolve, reject) => {
    fs.stat(path, { bigint: true }, (error, stats) => {
      if (error === null) resolve(stats);
      else if (isAbsence(error)) resolve(undefined);
      else reject(error);
    });
  });
}

/** Undefined when there is no such file; without `entry` when it is no evidence with this id. */
async function readEvidence(
  path: string,
  id: string,
): Promise<{ stamp: string; entry: StoredEntry | undefined } | undefined> {
  const stamp = await stampOf(path);
  if (stamp === undefined) return undefined;
  let file: OpenFile | undefined;
  try {
    file = await OpenFile.open(path, 'r');
    const { isFile, sizeBytes } = await file.stat();
    if (!isFile || sizeBytes > maxEntryBytes) return { stamp, entry: undefined };
    const text = Buffer.alloc(sizeBytes);
    const entry = parseEntry(text.toString('utf8', 0, await file.readAt(text, sizeBytes, 0)), id);
    return { stamp, entry };
  } catch (error) {
    if (isAbsence(error)) return undefined;
    // One that the disk does not give back must not hide the others.
    if (isErrno(error, 'EISDIR', 'EIO')) return { stamp, entry: undefined };
    throw error;
  } finally {
    await file?.close();
  }
}
