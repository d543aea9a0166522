/**
 * Publication: from a staged file to a durable, visible artifact under Go's own name. The final name is made by a
 * hard link, which never overwrites, so that of two writers exactly one wins; the loser compares (ruling 13).
 */
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { isEqualContent } from '../equal-content.ts';
import type { ArtifactRecord, PublishFacts, PublishResult } from '../store.ts';
import { StoreError, storeError, toStoreError } from '../store-error.ts';
import type { AwaitingProof } from './awaiting-proof.ts';
import {
  createFile,
  isErrno,
  link,
  OpenFile,
  readTextIfAny,
  rename,
  statIfAny,
  unlinkIfAny,
} from './files.ts';
import type { FolderSync } from './folder-sync.ts';
import type { Journal } from './journal.ts';
import { keyText, type Layout } from './layout.ts';
import type { Lists } from './lists.ts';
import type { Records } from './records.ts';
import type { StagedFile } from './staged-file.ts';
import { strongerTrust, trustOf } from './trust.ts';

/** A purge may remove the emptied folder between making and using it. */
const maxFolderTries = 4;
/** Equal .info files are compared by their fields; one longer than this is not read for it. */
const maxInfoBytes = 1024 * 1024;

export interface PublisherOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly folders: FolderSync;
  readonly journal: Journal;
  readonly lists: Lists;
  readonly records: Records;
  readonly awaiting: AwaitingProof;
  readonly hardLinks: boolean;
  /** The artifact stands under its name, by this publication or an earlier one. */
  onPublished(key: ArtifactKey): void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  /** Without hard links: publications of one name in this process, one after another. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Rejects with the signal's reason or StoreError `purged`, `disk_full`, `read_only`, `io`, `rotten`. */
  async publish(key: ArtifactKey, staged: StagedFile, facts: PublishFacts): Promise<PublishResult> {
    const { journal, lists } = this.#options;
    facts.signal?.throwIfAborted();
    try {
      if (await journal.overtook(staged.fence)) throw purgedError(key);
      await lists.expect(key.path);
      try {
        const result = await this.#publish(key, staged, facts);
        this.#options.onPublished(key);
        return result;
      } finally {
        lists.changed(key.path);
      }
    } catch (error) {
      if (facts.signal?.aborted === true && error === facts.signal.reason) throw error;
      throw toStoreError(error, `publish ${keyText(key)}`);
    }
  }

  async #publish(key: ArtifactKey, staged: StagedFile, facts: PublishFacts): Promise<PublishResult> {
    const { layout, folders, journal, records, awaiting, clock } = this.#options;
    const folder = layout.versionsFolder(key.path);
    const [stats] = await Promise.all([
      staged.open.sync().then(() => staged.open.stat()),
      folders.ensure(folder),
      // Before the artifact can be seen: a kill in between must not leave one that nobody proves any more.
      facts.unproven === 'unreachable' ? awaiting.mark(key) : undefined,
    ]);
    facts.signal?.throwIfAborted();
    const record: ArtifactRecord = {
      sizeBytes: stats.sizeBytes,
      sha256: facts.sha256,
      ...(facts.h1 === undefined ? {} : { h1: facts.h1 }),
      source: facts.source,
      storedAtMs: clock.now(),
      modifiedAtMs: stats.modifiedAtMs,
      ...trustOf(facts),
    };
    const hashFileMade = await this.#makeZipHash(key, folder, facts.h1);
    const linked = await this.#link(key, staged.file, folder).catch(async (error: unknown) => {
      if (hashFileMade) await unlinkIfAny(layout.zipHash(key)).catch(() => false);
      throw error;
    });
    if (!linked) return await this.#settleLost(key, staged, record, hashFileMade);
    if (!hashFileMade) await this.#correctZipHash(key, facts.h1);
    await Promise.all([
      folders.sync(folder),
      // A record that could not be written is rebuilt, and one of an earlier file must not judge this one; the
      // artifact itself is published.
      records.write(key, record).catch(() => records.remove(key).catch(() => {})),
    ]).catch((error: unknown) => {
      // Purged in this moment: the check below says so. Anything else means the name is not known to be durable.
      if (!isErrno(error, 'ENOENT')) throw error;
    });
    // A purge that did not see our link is seen here, as it appends its line before it removes files.
    if (await journal.overtook(staged.fence)) {
      await this.#takeBack(key, stats.inode);
      throw purgedError(key);
    }
    return { outcome: 'published', record };
  }

  /** True when our file stands under the final name, false when there was one. */
  async #link(key: ArtifactKey, staged: string, folder: string): Promise<boolean> {
    const { folders, layout, hardLinks } = this.#options;
    const final = layout.artifact(key);
    for (let tries = 1; ; tries++) {
      try {
        await (hardLinks ? link(staged, final) : this.#renameIfFree(staged, final));
        return true;
      } catch (error) {
        if (isErrno(error, 'EEXIST')) return false;
        if (!isErrno(error, 'ENOENT') || tries === maxFolderTries) throw error;
        folders.forget(folder);
        await folders.ensure(folder);
      }
    }
  }

  /** Where there are no hard links: look, then rename, one publication of a name at a time. Blind to other processes. */
  async #renameIfFree(staged: string, final: string): Promise<void> {
    const before = this.#turns.get(final) ?? Promise.resolve();
    const turn = before
      .catch(() => {})
      .then(async () => {
        if ((await statIfAny(final)) !== undefined) {
          throw Object.assign(new Error(`${final} exists`), { code: 'EEXIST' });
        }
        await rename(staged, final);
      });
    this.#turns.set(final, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(final) === turn) this.#turns.delete(final);
    }
  }

  /** Writes `.ziphash` before its zip can be seen. False when there is one already, or none is due. */
  async #makeZipHash(key: ArtifactKey, folder: string, h1: string | undefined): Promise<boolean> {
    if (key.ext !== 'zip' || h1 === undefined) return false;
    const { layout, folders } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        await createFile(layout.zipHash(key), h1, true);
        return true;
      } catch (error) {
        if (isErrno(error, 'EEXIST')) return false;
        if (!isErrno(error, 'ENOENT') || tries === maxFolderTries) throw error;
        folders.forget(folder);
        await folders.ensure(folder);
      }
    }
  }

  /** The one we found may be of a writer that died or lost: the zip that won decides. */
  async #correctZipHash(key: ArtifactKey, h1: string | undefined): Promise<void> {
    if (key.ext !== 'zip' || h1 === undefined) return;
    const file = this.#options.layout.zipHash(key);
    if ((await readTextIfAny(file)) === h1) return;
    await unlinkIfAny(file);
    await createFile(file, h1, true).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST', 'ENOENT')) throw error;
    });
  }

  async #settleLost(
    key: ArtifactKey,
    staged: StagedFile,
    offered: ArtifactRecord,
    hashFileMade: boolean,
  ): Promise<PublishResult> {
    const { layout, records, folders } = this.#options;
    const final = layout.artifact(key);
    const file = await OpenFile.open(final, 'r');
    try {
      const stored = await records.of(key, file, await file.stat());
      const equal = isEqualContent(
        key.ext,
        { ...stored, ...(await infoText(key, file)) },
        { ...offered, ...(await infoText(key, staged.open)) },
      );
      // The winner may be of another process that has not synced its folder yet, and we are about to call it durable.
      if (equal) {
        await folders.sync(layout.versionsFolder(key.path));
        return { outcome: 'present', record: await this.#prove(key, stored, offered) };
      }
      if (hashFileMade) await unlinkIfAny(layout.zipHash(key));
      return { outcome: 'conflict', record: stored, offered: offered.sha256 };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'rotten') throw error;
      return await this.#heal(key, staged, offered, error);
    } finally {
      await file.close();
    }
  }

  /** Our copy is not what was published. Content equal to what was recorded takes its place; nothing else may. */
  async #heal(
    key: ArtifactKey,
    staged: StagedFile,
    offered: ArtifactRecord,
    rotten: StoreError,
  ): Promise<PublishResult> {
    const { layout, records, folders, awaiting } = this.#options;
    const recorded = await records.stored(key);
    if (recorded === undefined || !isEqualContent(key.ext, recorded, offered)) throw rotten;
    const { proof: _proof, unproven: _unproven, ...facts } = offered;
    const record = { ...facts, ...strongerTrust(recorded, offered) };
    // The record first: by either of the two the old file is rotten, and the new one never is.
    await records.write(key, record);
    await rename(staged.file, layout.artifact(key));
    await folders.sync(layout.versionsFolder(key.path));
    if (record.unproven !== 'unreachable') await awaiting.unmark(key);
    return { outcome: 'published', record };
  }

  /** What proves one of two equal contents proves the other; the first one's provenance stays. */
  async #prove(key: ArtifactKey, stored: ArtifactRecord, offered: ArtifactRecord): Promise<ArtifactRecord> {
    const { records, awaiting, journal } = this.#options;
    // Another process may have proven it since the record came into memory here.
    const latest = (await records.stored(key).catch(() => undefined)) ?? stored;
    const { proof, unproven, ...facts } = latest.sha256 === stored.sha256 ? latest : stored;
    const trust = strongerTrust({ proof, unproven }, offered);
    const record = { ...facts, ...trust };
    const isNews = trust.proof !== proof || trust.unproven !== unproven;
    // Not written is not lost: it counts as it did before.
    if (isNews) {
      await records
        .write(key, record)
        .then(() => journal.tellTrust(key))
        .catch(() => {});
    }
    if (trust.unproven !== 'unreachable') await awaiting.unmark(key).catch(() => {});
    return record;
  }

  async #takeBack(key: ArtifactKey, inode: number): Promise<void> {
    const { layout, records, awaiting } = this.#options;
    const final = layout.artifact(key);
    // A later fill may have published under this name already: only our own file goes.
    if ((await statIfAny(final))?.inode !== inode) return;
    await records.remove(key);
    await unlinkIfAny(final);
    await awaiting.unmark(key);
    if (key.ext === 'zip') await unlinkIfAny(layout.zipHash(key));
  }
}

async function infoText(key: ArtifactKey, file: OpenFile): Promise<{ text?: string }> {
  if (key.ext !== 'info') return {};
  const buffer = Buffer.allocUnsafe(maxInfoBytes);
  let filled = 0;
  for (;;) {
    const count = await file.readAt(buffer.subarray(filled), maxInfoBytes - filled, filled);
    filled += count;
    if (count === 0 || filled === maxInfoBytes) return { text: buffer.toString('utf8', 0, filled) };
  }
}

function purgedError(key: ArtifactKey): StoreError {
  return storeError('purged', `${keyText(key)} was purged while it was being filled`);
}
