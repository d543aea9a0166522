/**
 * The purge journal: one JSON line a purge, appended by whoever purges and read by every process on the folder.
 * It carries purges to other processes within a poll, and it fences fills: what was staged before a purge of its
 * key is not published after it. Lines are ordered by their offset.
 *
 * A line with `ext` tells of a withdrawal: one stored file was taken out. It reaches the listeners and raises no
 * fence, because what is being filled is another file than the one withdrawn, and often the one that heals it. With
 * `trust` besides, the file stayed, and what is recorded of it changed. A line with `outdated` tells that what sources
 * said of a module is out of date; it names no path as the others do, so that older processes take it for no purge.
 */
import fs from 'node:fs';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ArtifactKey, ModulePath } from '../../gomod/types.ts';
import { isCanonical } from '../../gomod/version.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { PurgeEvent } from '../store.ts';
import { fileMode, isAbsence, isErrno, OpenFile, rename, statIfAny, unlinkIfAny } from './files.ts';
import { parseObject } from './json-object.ts';
import { artifactExts } from './layout.ts';
import { Rerun } from './rerun.ts';

const pollMs = 250;
/** Purges are rare and their lines short: this is thousands. */
const maxBytes = 1024 * 1024;
const readBlockBytes = 64 * 1024;
const staleLockMs = 10_000;

/** A fill that a purge can overtake. */
export interface Fence {
  readonly key: ArtifactKey;
  purged: boolean;
}

export class Journal {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: PurgeEvent) => void>();
  readonly #trustListeners = new Set<(key: ArtifactKey) => void>();
  readonly #outdatedListeners = new Set<(path: ModulePath) => void>();
  readonly #fences = new Set<Fence>();
  readonly #reading = new Rerun(() => this.#readTail());
  #file: OpenFile | undefined;
  #inode = 0;
  #offset = 0;
  #partial = '';
  #timer: Timer | undefined;
  #closed = false;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Starts at the present end of the journal. Rejects with the system's error. */
  async open(): Promise<void> {
    await this.#follow(true);
    this.#schedulePoll();
  }

  on(listener: (event: PurgeEvent) => void): () => void {
    // A listener of its own for each call, so that two equal functions unsubscribe apart.
    const own = (event: PurgeEvent): void => listener(event);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** As `on`, for records that changed while their files stayed. */
  onTrust(listener: (key: ArtifactKey) => void): () => void {
    const own = (key: ArtifactKey): void => listener(key);
    this.#trustListeners.add(own);
    return () => this.#trustListeners.delete(own);
  }

  /** As `on`, for modules whose lists and answers are out of date. */
  onOutdated(listener: (path: ModulePath) => void): () => void {
    const own = (path: ModulePath): void => listener(path);
    this.#outdatedListeners.add(own);
    return () => this.#outdatedListeners.delete(own);
  }

  /** Registers a fill: purges appended from now on mark it. `lower` ends it. */
  async raise(key: ArtifactKey): Promise<Fence> {
    // What was appended before now does not concern this fill, so it is read before the fence stands.
    await this.#reading.request();
    const fence: Fence = { key, purged: false };
    this.#fences.add(fence);
    return fence;
  }

  lower(fence: Fence): void {
    this.#fences.delete(fence);
  }

  /** True when a purge of the fill's key is in the journal by now. */
  async overtook(fence: Fence): Promise<boolean> {
    if (!fence.purged) await this.#reading.request();
    return fence.purged;
  }

  /** Appends a purge and applies it in this process before it resolves. Rejects with the system's error. */
  async append(event: PurgeEvent): Promise<void> {
    await this.#append(event);
  }

  /** Tells every process that the record of a stored artifact changed, or this one alone where no line can be added. */
  async tellTrust({ path, version, ext }: ArtifactKey): Promise<void> {
    try {
      await this.#append({ path, version, ext, trust: true });
    } catch {
      // The record is written all the same, and to say it was not would have it written again.
      tellAll(this.#trustListeners, { path, version, ext });
    }
  }

  /** As `tellTrust`, for lists and answers. */
  async tellOutdated(path: ModulePath): Promise<void> {
    try {
      await this.#append({ outdated: path });
    } catch {
      tellAll(this.#outdatedListeners, path);
    }
  }

  async #append(
    fields: (PurgeEvent & { readonly trust?: true }) | { readonly outdated: ModulePath },
  ): Promise<void> {
    await this.#rotateIfLong();
    const line = Buffer.from(`${JSON.stringify(fields)}\n`);
    for (;;) {
      const inode = await appendTo(this.#path, line);
      // Rotated between opening and writing: readers may have left that file already.
      const now = await statIfAny(this.#path);
      if (now?.inode === inode) break;
    }
    await this.#reading.request();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#listeners.clear();
    this.#trustListeners.clear();
    this.#outdatedListeners.clear();
    await this.#reading.request().catch(() => {});
    await this.#file?.close();
  }

  #schedulePoll(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#reading
        .request()
        // An unreadable journal is tried again in a moment; a publish that needs it reports it.
        .catch(() => {})
        .finally(() => this.#schedulePoll());
    }, pollMs);
  }

  async #readTail(): Promise<void> {
    const facts = await statIfAny(this.#path);
    if (facts === undefined) return;
    if (this.#file === undefined) await this.#follow(false);
    else if (facts.inode !== this.#inode) {
      await this.#drain();
      await this.#file.close();
      await this.#follow(false);
    }
    if (facts.inode !== this.#inode || facts.sizeBytes > this.#offset) await this.#drain();
  }

  async #follow(fromEnd: boolean): Promise<void> {
    this.#partial = '';
    this.#offset = 0;
    this.#file = undefined;
    let file: OpenFile;
    try {
      file = await OpenFile.open(this.#path, 'r');
    } catch (error) {
      if (isAbsence(error)) return;
      throw error;
    }
    const facts = await file.stat();
    this.#file = file;
    this.#inode = facts.inode;
    if (fromEnd) this.#offset = facts.sizeBytes;
  }

  async #drain(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const block = Buffer.allocUnsafe(readBlockBytes);
    for (;;) {
      const count = await file.readAt(block, block.byteLength, this.#offset);
      if (count === 0) return;
      this.#offset += count;
      // Lines are ASCII but for versions' and paths' own characters, which are ASCII too: blocks cut no character.
      const lines = (this.#partial + block.toString('latin1', 0, count)).split('\n');
      this.#partial = lines.pop() ?? '';
      for (const line of lines) this.#apply(line);
    }
  }

  #apply(line: string): void {
    const told = parseLine(line);
    if (told === undefined) return;
    if ('trusted' in told) {
      tellAll(this.#trustListeners, told.trusted);
      return;
    }
    if ('outdated' in told) {
      tellAll(this.#outdatedListeners, told.outdated);
      return;
    }
    const { event } = told;
    for (const fence of event.ext === undefined ? this.#fences : []) {
      if (fence.key.path !== event.path) continue;
      if (event.version === undefined || event.version === fence.key.version) fence.purged = true;
    }
    tellAll(this.#listeners, event);
  }

  /** Renames a long journal away; only one process does, and readers finish the old file before they change over. */
  async #rotateIfLong(): Promise<void> {
    if (!(await this.#isLong())) return;
    const lock = `${this.#path}.rotating`;
    try {
      await (await OpenFile.open(lock, 'wx')).close();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      const held = await statIfAny(lock);
      if (held !== undefined && this.#clock.now() - held.modifiedAtMs > staleLockMs) await unlinkIfAny(lock);
      return;
    }
    try {
      if (await this.#isLong()) await rename(this.#path, `${this.#path}.1`);
    } finally {
      await unlinkIfAny(lock);
    }
  }

  async #isLong(): Promise<boolean> {
    return ((await statIfAny(this.#path))?.sizeBytes ?? 0) > maxBytes;
  }
}

/** One write in append mode: lines of several processes do not mix. Resolves to the inode it went to. */
async function appendTo(path: string, line: Buffer): Promise<number> {
  const handle = await fs.promises.open(path, 'a', fileMode);
  try {
    await handle.write(line);
    return (await handle.stat()).ino;
  } finally {
    await handle.close();
  }
}

/** One listener must not keep the news from the others. */
function tellAll<News>(listeners: Iterable<(news: News) => void>, news: News): void {
  for (const listener of listeners) {
    try {
      listener(news);
    } catch {
      // Its own fault.
    }
  }
}

type Told = { event: PurgeEvent } | { trusted: ArtifactKey } | { outdated: ModulePath };

function parseLine(line: string): Told | undefined {
  const value = parseObject(line);
  const text = value?.['path'] ?? value?.['outdated'];
  if (value === undefined || typeof text !== 'string') return undefined;
  let path: ModulePath;
  try {
    path = parseModulePath(text);
  } catch {
    return undefined;
  }
  if (value['path'] === undefined) return { outdated: path };
  const version = value['version'];
  if (version === undefined) return { event: { path } };
  if (typeof version !== 'string' || !isCanonical(version)) return undefined;
  // A kind that is not known here is taken for the whole version: more is forgotten than need be, never less.
  const ext = artifactExts.find((known) => known === value['ext']);
  if (value['trust'] !== true)
    return { event: ext === undefined ? { path, version } : { path, version, ext } };
  return ext === undefined ? undefined : { trusted: { path, version, ext } };
}
