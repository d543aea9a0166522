/**
 * Finds the record that belongs to an open artifact: in memory, then on disk, then by hashing the file. A record is
 * believed while size and modification time agree; when they do not, the hash decides between "touched" and rotten.
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/sleep.ts';
import type { ArtifactRecord } from '../store.ts';
import { storeError } from '../store-error.ts';
import {
  createFile,
  type FileFacts,
  isErrno,
  link,
  makeFolders,
  type OpenFile,
  readTextIfAny,
  replaceFile,
  statIfAny,
  unlinkIfAny,
} from './files.ts';
import { hashFile } from './hash-file.ts';
import { keyText, type Layout } from './layout.ts';
import { isH1, parseRecord, renderRecord } from './record-file.ts';
import { trustOf } from './trust.ts';

/** Hashing less than this is quicker than waiting for the record of a file that was published this moment. */
const worthWaitingBytes = 4 * 1024 * 1024;
const recentMs = 2_000;
const waitStepsMs = [10, 30, 60, 100];

export interface RecordsOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  /** Where temporary files go; undefined on a read-only folder: rebuilt records stay in memory. */
  readonly staging: string | undefined;
  readonly cacheEntries: number;
}

export class Records {
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #staging: string | undefined;
  readonly #cache: LRUCache<string, ArtifactRecord>;
  readonly #rebuilding = new Map<string, Promise<ArtifactRecord>>();
  /** Grows with each `forget`: what was read before one must not be remembered after it. */
  #epoch = 0;

  constructor(options: RecordsOptions) {
    this.#layout = options.layout;
    this.#clock = options.clock;
    this.#staging = options.staging;
    this.#cache = new LRUCache({ max: options.cacheEntries });
  }

  /** The record of an open artifact. Rejects with StoreError `rotten`, or the system's error. */
  async of(key: ArtifactKey, file: OpenFile, facts: FileFacts): Promise<ArtifactRecord> {
    const name = keyText(key);
    const cached = this.#cache.get(name);
    if (cached !== undefined && fits(cached, facts)) return cached;
    const epoch = this.#epoch;
    const stored = await this.#read(key);
    if (stored !== undefined && fits(stored, facts)) {
      if (epoch === this.#epoch) this.#cache.set(name, stored);
      return stored;
    }
    let running = this.#rebuilding.get(name);
    if (running === undefined) {
      running = this.#rebuild(key, file, facts, stored).finally(() => this.#rebuilding.delete(name));
      this.#rebuilding.set(name, running);
    }
    return running;
  }

  /** What the disk says, true or not: for walks and for healing. */
  stored(key: ArtifactKey): Promise<ArtifactRecord | undefined> {
    return this.#read(key);
  }

  /** Writes the record of a published artifact. */
  async write(key: ArtifactKey, record: ArtifactRecord): Promise<void> {
    await replaceFile(this.#layout.record(key), renderRecord(record), this.#temporary());
    this.#cache.set(keyText(key), record);
  }

  /** Another process may have changed the record: it is read again. */
  forget(key: ArtifactKey): void {
    this.#epoch += 1;
    this.#cache.delete(keyText(key));
  }

  async remove(key: ArtifactKey): Promise<void> {
    this.#cache.delete(keyText(key));
    await unlinkIfAny(this.#layout.record(key));
  }

  async #read(key: ArtifactKey): Promise<ArtifactRecord | undefined> {
    const text = await readTextIfAny(this.#layout.record(key));
    return text === undefined ? undefined : parseRecord(text);
  }

  async #rebuild(
    key: ArtifactKey,
    file: OpenFile,
    facts: FileFacts,
    stored: ArtifactRecord | undefined,
  ): Promise<ArtifactRecord> {
    if (stored === undefined) {
      const published = await this.#waitForPublisher(key, facts);
      if (published !== undefined) return published;
    }
    const epoch = this.#epoch;
    const sha256 = await hashFile(file);
    if (stored !== undefined && stored.sha256 !== sha256) {
      // The record may have been of the file that stood here before, and this file's has come meanwhile.
      const latest = await this.#read(key);
      if (latest !== undefined && fits(latest, facts)) return latest;
      throw storeError('rotten', `${keyText(key)} is not what was published: its SHA-256 changed`, {
        artifact: keyText(key),
        recordedSha256: stored.sha256,
        foundSha256: sha256,
      });
    }
    const h1 = stored?.h1 ?? (await this.#knownH1(key, sha256));
    const record: ArtifactRecord = {
      sizeBytes: facts.sizeBytes,
      sha256,
      ...(h1 === undefined ? {} : { h1 }),
      source: stored?.source ?? 'unknown',
      storedAtMs: stored?.storedAtMs ?? facts.modifiedAtMs,
      modifiedAtMs: facts.modifiedAtMs,
      ...(stored === undefined ? {} : trustOf(stored)),
    };
    const kept = await this.#keepRebuilt(key, record, stored === undefined);
    if (epoch === this.#epoch) this.#cache.set(keyText(key), kept);
    return kept;
  }

  /** Another process links first and writes the record next: of a big fresh file it is worth waiting for. */
  async #waitForPublisher(key: ArtifactKey, facts: FileFacts): Promise<ArtifactRecord | undefined> {
    if (facts.sizeBytes < worthWaitingBytes || this.#clock.now() - facts.changedAtMs > recentMs)
      return undefined;
    for (const delayMs of waitStepsMs) {
      await sleep(this.#clock, delayMs);
      const record = await this.#read(key);
      if (record !== undefined && fits(record, facts)) return record;
    }
    return undefined;
  }

  /** Writes a rebuilt record, never over one that knows more; a folder that cannot be written is no fault here. */
  async #keepRebuilt(key: ArtifactKey, record: ArtifactRecord, wasMissing: boolean): Promise<ArtifactRecord> {
    if (this.#staging === undefined) return record;
    const target = this.#layout.record(key);
    try {
      if (wasMissing && (await this.#createRecord(target, record))) {
        await this.#removeIfOrphan(key);
        return record;
      }
      const others = await this.#read(key);
      if (wasMissing && others?.sha256 === record.sha256) return others;
      await replaceFile(target, renderRecord(record), this.#temporary());
      await this.#removeIfOrphan(key);
    } catch {
      // Full or read-only: hashed again next time.
    }
    return record;
  }

  /** False when there is one already. */
  async #createRecord(target: string, record: ArtifactRecord): Promise<boolean> {
    const temporary = this.#temporary();
    await createFile(temporary, renderRecord(record));
    try {
      try {
        await link(temporary, target);
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error;
        await makeFolders(join(target, '..'));
        await link(temporary, target);
      }
      return true;
    } catch {
      // EEXIST, or a file system without links: the caller looks and replaces.
      return false;
    } finally {
      await unlinkIfAny(temporary);
    }
  }

  /** A purge may have run between our reading and our writing; a record without file would outlive it. */
  async #removeIfOrphan(key: ArtifactKey): Promise<void> {
    if ((await statIfAny(this.#layout.artifact(key))) === undefined) await this.remove(key);
  }

  async #knownH1(key: ArtifactKey, sha256: string): Promise<string | undefined> {
    if (key.ext === 'info') return undefined;
    if (key.ext === 'mod') return h1OfGoMod(sha256);
    const text = (await readTextIfAny(this.#layout.zipHash(key)))?.trim();
    return text !== undefined && isH1(text) ? text : undefined;
  }

  #temporary(): string {
    // The folder is writable whenever this is reached: read-only ones are turned away before.
    return join(this.#staging ?? this.#layout.run, `record-${randomBytes(8).toString('hex')}`);
  }
}

function fits(record: ArtifactRecord, facts: FileFacts): boolean {
  return record.sizeBytes === facts.sizeBytes && record.modifiedAtMs === facts.modifiedAtMs;
}

/** dirhash.Hash1 of a tree that is one file named go.mod. */
function h1OfGoMod(sha256: string): string {
  return `h1:${createHash('sha256').update(`${sha256}  go.mod\n`).digest('base64')}`;
}
