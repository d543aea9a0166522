/**
 * Everything of the folder store that changes the folder: staging, publishing, claims, lists, purges, mutable
 * answers. A folder that can only be read is opened without one.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ArtifactKey } from '../../gomod/types.ts';
import type { Evidence, QuarantineEntry } from '../quarantine.ts';
import type { Claim, PublishFacts, PublishResult, PurgeEvent, RenewFacts, Staged, Trust } from '../store.ts';
import { toStoreError } from '../store-error.ts';
import { AwaitingProof } from './awaiting-proof.ts';
import { Claims, stagedName } from './claims.ts';
import { createFile, isErrno, OpenFile, statIfAny, unlinkIfAny } from './files.ts';
import { FolderSync } from './folder-sync.ts';
import type { Instance } from './instance.ts';
import type { Journal } from './journal.ts';
import { keyText, type Layout } from './layout.ts';
import { Lists } from './lists.ts';
import { Mutables } from './mutables.ts';
import type { FsStoreOptions } from './options.ts';
import { Publisher } from './publish.ts';
import { type PurgeResult, purge } from './purge.ts';
import { QuarantineFolder } from './quarantine-folder.ts';
import { QuarantineWriter } from './quarantine-writer.ts';
import type { Records } from './records.ts';
import { renew } from './renew.ts';
import { setTrust } from './set-trust.ts';
import type { Space } from './space.ts';
import { StagedFile } from './staged-file.ts';
import { writeSumdb } from './sumdb-folder.ts';
import { type StateSwap, SumdbStates } from './sumdb-state.ts';
import { withdraw } from './withdraw.ts';

const defaultStallMs = 5_000;
const defaultListDelayMs = 50;
const defaultQuarantineBytes = 1024 ** 3;
const defaultQuarantineEntries = 1_000;

export interface WriterParts {
  readonly options: FsStoreOptions;
  readonly layout: Layout;
  readonly instance: Instance;
  readonly journal: Journal;
  readonly records: Records;
  readonly space: Space;
  readonly hardLinks: boolean;
}

export class Writer {
  readonly instance: Instance;
  readonly mutables: Mutables;
  readonly suspects: QuarantineFolder;
  readonly quarantine: QuarantineWriter;
  readonly #parts: WriterParts;
  readonly #folders = new FolderSync();
  readonly #lists: Lists;
  readonly #claims: Claims;
  readonly #publisher: Publisher;
  readonly #awaiting: AwaitingProof;
  readonly #states: SumdbStates;

  constructor(parts: WriterParts) {
    const { options, layout, instance } = parts;
    const { clock } = options;
    this.#parts = parts;
    this.instance = instance;
    this.mutables = new Mutables(layout, instance.staging);
    this.#lists = new Lists({
      layout,
      clock,
      dirty: instance.dirty,
      staging: instance.staging,
      delayMs: options.listDelayMs ?? defaultListDelayMs,
    });
    const stallMs = options.claimStallMs ?? defaultStallMs;
    this.#claims = new Claims({ layout, clock, instance, stallMs, hardLinks: parts.hardLinks });
    const places = { layout, clock, folders: this.#folders, staging: instance.staging };
    this.#awaiting = new AwaitingProof(places);
    this.#states = new SumdbStates(places);
    this.suspects = new QuarantineFolder(layout.quarantine, clock);
    this.quarantine = new QuarantineWriter({
      ...places,
      folder: this.suspects,
      lock: layout.quarantineLock,
      space: parts.space,
      isPublished: async (key) => (await statIfAny(layout.artifact(key)))?.isFile === true,
      maxBytes: options.quarantineBytes ?? defaultQuarantineBytes,
      maxEntries: options.quarantineEntries ?? defaultQuarantineEntries,
    });
    this.#publisher = new Publisher({
      ...parts,
      ...places,
      lists: this.#lists,
      awaiting: this.#awaiting,
      onPublished: (key) => this.quarantine.published(key),
    });
    instance.start({
      adopt: async (left) => {
        await this.#lists.adopt(left.dirty);
        await this.#claims.removeAllOf(left.instance);
      },
    });
  }

  async stage(key: ArtifactKey): Promise<Staged> {
    const { space, journal } = this.#parts;
    try {
      await space.check();
      const file = await this.#create(key);
      try {
        const fence = await journal.raise(key);
        return new StagedFile(file, fence, {
          publish: (staged, facts) => this.#publish(key, staged, facts),
          closed: (staged) => journal.lower(staged.fence),
        });
      } catch (error) {
        await unlinkIfAny(file.path);
        await file.close();
        throw error;
      }
    } catch (error) {
      throw toStoreError(error, `stage ${keyText(key)}`);
    }
  }

  claim(key: ArtifactKey): Promise<Claim> {
    return this.#claims.claim(key);
  }

  purge(event: PurgeEvent): Promise<PurgeResult> {
    const { mutables, quarantine } = this;
    return purge(event, { ...this.#changing(), mutables, quarantine });
  }

  withdraw(key: ArtifactKey, evidence: Evidence): Promise<QuarantineEntry | undefined> {
    const { suspects: folder, quarantine } = this;
    return withdraw(key, evidence, { ...this.#changing(), folder, quarantine });
  }

  setTrust(key: ArtifactKey, sha256: string, trust: Trust): Promise<boolean> {
    return setTrust(key, sha256, trust, this.#changing());
  }

  renew(key: ArtifactKey, facts: RenewFacts): Promise<boolean> {
    return renew(key, facts, { ...this.#changing(), staging: this.instance.staging });
  }

  swapSumdbState(swap: StateSwap): Promise<boolean> {
    return this.#states.swap(swap);
  }

  /** Nothing is kept on a disk that is too full to store artifacts. */
  async keepSumdb(name: string, operation: string, body: Buffer): Promise<boolean> {
    await this.#parts.space.check();
    return writeSumdb(this.#parts.layout, this.instance.staging, { name, operation, body });
  }

  /** A file can be made in staging and there is space: what stage() would ask. */
  async probe(): Promise<boolean> {
    const file = join(this.instance.staging, `probe-${randomBytes(8).toString('hex')}`);
    try {
      await this.#parts.space.check();
      await createFile(file, '1');
      await unlinkIfAny(file);
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when dead neighbours are cleared away, the quarantine is within its bounds and every list is written. */
  async idle(): Promise<void> {
    await this.instance.swept();
    await this.quarantine.idle();
    await this.#lists.idle();
  }

  /** Writes the lists that are due and removes this process's folder. */
  async close(): Promise<void> {
    await this.instance.swept();
    await this.quarantine.idle();
    const upToDate = await this.#lists.idle();
    this.#lists.stop();
    await this.instance.close({ keepMarkers: !upToDate });
  }

  #changing() {
    return { ...this.#parts, folders: this.#folders, lists: this.#lists, awaiting: this.#awaiting };
  }

  #publish(key: ArtifactKey, staged: StagedFile, facts: PublishFacts): Promise<PublishResult> {
    return this.#publisher.publish(key, staged, facts);
  }

  async #create(key: ArtifactKey): Promise<OpenFile> {
    const name = join(this.instance.staging, stagedName(key));
    try {
      return await OpenFile.open(name, 'wx+');
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      return await OpenFile.open(`${name}.${randomBytes(8).toString('hex')}`, 'wx+');
    }
  }
}
