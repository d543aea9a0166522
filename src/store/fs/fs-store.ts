/**
 * The store in a folder: Go's download-cache layout plus what modferry needs besides, see docs/architecture.md.
 * Several processes may share one folder. This file is the face; the work is in its neighbours.
 */
import type { ArtifactKey, ModulePath, Version } from '../../gomod/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Evidence, Quarantine, QuarantineEntry } from '../quarantine.ts';
import type {
  ArtifactFile,
  Claim,
  KeptSumdb,
  MutableEntry,
  MutableName,
  PurgeEvent,
  RenewFacts,
  Staged,
  Store,
  StoreSpace,
  SumdbState,
  Trust,
  VersionEntry,
} from '../store.ts';
import { attempt, type StoreError, storeError, toStoreError } from '../store-error.ts';
import { FsArtifactFile } from './artifact-file.ts';
import { walkAwaitingProof } from './awaiting-proof.ts';
import { isAbsence, isErrno, OpenFile, statIfAny } from './files.ts';
import { FsQuarantine } from './fs-quarantine.ts';
import { Instance } from './instance.ts';
import { Journal } from './journal.ts';
import { keyText, Layout } from './layout.ts';
import { Mutables } from './mutables.ts';
import type { FsStoreOptions } from './options.ts';
import { checkFolder, makeLayout, probeHardLinks } from './prepare.ts';
import { QuarantineFolder } from './quarantine-folder.ts';
import { Records } from './records.ts';
import { Space } from './space.ts';
import { readSumdb, walkLookups } from './sumdb-folder.ts';
import { readSumdbState } from './sumdb-state.ts';
import { readCompleteVersions, readVersions } from './versions-folder.ts';
import { walkVersions } from './walk.ts';
import { Writer } from './writer.ts';

const defaultStopAt = 0.95;
const defaultRecordCacheEntries = 20_000;

interface Parts {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly records: Records;
  readonly space: Space;
  readonly warnings: readonly string[];
  /** Undefined with the reason in `refusal` when the folder cannot be written. */
  readonly writer: Writer | undefined;
  readonly refusal: StoreError | undefined;
}

export class FsStore implements Store {
  readonly description: string;
  readonly warnings: readonly string[];
  readonly quarantine: Quarantine;
  readonly #parts: Parts;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.description = `folder ${parts.layout.data}`;
    this.warnings = parts.warnings;
    const suspects = parts.writer?.suspects ?? new QuarantineFolder(parts.layout.quarantine, parts.clock);
    this.quarantine = new FsQuarantine(suspects, () => this.#writer().quarantine);
  }

  /** `run/{instance}` of this process, e.g. for the admin socket; undefined on a folder that is only read. */
  get instanceFolder(): string | undefined {
    return this.#parts.writer?.instance.folder;
  }

  async open(key: ArtifactKey): Promise<ArtifactFile | undefined> {
    let file: OpenFile | undefined;
    try {
      file = await OpenFile.open(this.#parts.layout.artifact(key), 'r');
      const facts = await file.stat();
      if (facts.isFile) return new FsArtifactFile(file, await this.#parts.records.of(key, file, facts));
      await file.close();
      return undefined;
    } catch (error) {
      await file?.close();
      if (isAbsence(error)) return undefined;
      throw toStoreError(error, `open ${keyText(key)}`);
    }
  }

  async has(key: ArtifactKey): Promise<boolean> {
    try {
      return (await statIfAny(this.#parts.layout.artifact(key)))?.isFile === true;
    } catch (error) {
      throw toStoreError(error, `look up ${keyText(key)}`);
    }
  }

  async stage(key: ArtifactKey): Promise<Staged> {
    return await this.#writer().stage(key);
  }

  async claim(key: ArtifactKey): Promise<Claim> {
    // Claims only save work: without a place for them everybody fills for himself.
    const { writer } = this.#parts;
    if (writer === undefined) return unsharedClaim;
    try {
      return await writer.claim(key);
    } catch (error) {
      if (isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS')) return unsharedClaim;
      throw toStoreError(error, `claim ${keyText(key)}`);
    }
  }

  async completeVersions(path: ModulePath): Promise<Version[]> {
    try {
      return await readCompleteVersions(this.#parts.layout.versionsFolder(path));
    } catch (error) {
      throw toStoreError(error, `list versions of ${path}`);
    }
  }

  async holdsAnyOf(path: ModulePath): Promise<boolean> {
    try {
      const versions = await readVersions(this.#parts.layout.versionsFolder(path));
      return versions.size > 0;
    } catch (error) {
      throw toStoreError(error, `list versions of ${path}`);
    }
  }

  async readMutable(path: ModulePath, name: MutableName): Promise<MutableEntry | undefined> {
    try {
      const mutables = this.#parts.writer?.mutables ?? new Mutables(this.#parts.layout, '');
      return await mutables.read(path, name);
    } catch (error) {
      throw toStoreError(error, `read ${name} of ${path}`);
    }
  }

  async writeMutable(path: ModulePath, name: MutableName, entry: MutableEntry): Promise<void> {
    const writer = this.#writer();
    return await attempt(`write ${name} of ${path}`, () => writer.mutables.write(path, name, entry));
  }

  async keptSumdb(name: string, operation: string): Promise<KeptSumdb | undefined> {
    return await attempt(`read ${operation} of ${name}`, () =>
      readSumdb(this.#parts.layout, name, operation),
    );
  }

  async keepSumdb(name: string, operation: string, body: Buffer): Promise<boolean> {
    const writer = this.#writer();
    return await attempt(`keep ${operation} of ${name}`, () => writer.keepSumdb(name, operation, body));
  }

  async *keptLookups(name: string): AsyncGenerator<string> {
    try {
      yield* walkLookups(this.#parts.layout, name);
    } catch (error) {
      throw toStoreError(error, `look for kept lookups of ${name}`);
    }
  }

  async readSumdbState(name: string, state: SumdbState): Promise<Buffer | undefined> {
    return await attempt(`read the ${state} of ${name}`, () =>
      readSumdbState(this.#parts.layout, name, state),
    );
  }

  async swapSumdbState(
    name: string,
    state: SumdbState,
    expected: Buffer | undefined,
    next: Buffer | undefined,
  ): Promise<boolean> {
    const writer = this.#writer();
    return await attempt(`write the ${state} of ${name}`, () =>
      writer.swapSumdbState({ name, state, expected, next }),
    );
  }

  async setTrust(key: ArtifactKey, sha256: string, trust: Trust): Promise<boolean> {
    const writer = this.#writer();
    return await attempt(`write the record of ${keyText(key)}`, () => writer.setTrust(key, sha256, trust));
  }

  async renew(key: ArtifactKey, facts: RenewFacts): Promise<boolean> {
    const writer = this.#writer();
    return await attempt(`record ${keyText(key)} anew`, () => writer.renew(key, facts));
  }

  tellOutdated(path: ModulePath): Promise<void> {
    return this.#parts.journal.tellOutdated(path);
  }

  onOutdated(listener: (path: ModulePath) => void): () => void {
    return this.#parts.journal.onOutdated(listener);
  }

  onTrust(listener: (key: ArtifactKey) => void): () => void {
    return this.#parts.journal.onTrust(listener);
  }

  async *awaitingProof(): AsyncGenerator<ArtifactKey> {
    try {
      yield* walkAwaitingProof({ ...this.#parts, canRemove: this.#parts.writer !== undefined });
    } catch (error) {
      throw toStoreError(error, 'look for what awaits a proof');
    }
  }

  async withdraw(key: ArtifactKey, evidence: Evidence): Promise<QuarantineEntry | undefined> {
    const writer = this.#writer();
    return await attempt(`withdraw ${keyText(key)}`, () => writer.withdraw(key, evidence));
  }

  async purge(event: PurgeEvent): Promise<{ removedVersions: number; removedBytes: number }> {
    const writer = this.#writer();
    return await attempt(`purge ${event.path}`, () => writer.purge(event));
  }

  onPurge(listener: (event: PurgeEvent) => void): () => void {
    return this.#parts.journal.on(listener);
  }

  async *versions(under?: ModulePath): AsyncGenerator<VersionEntry> {
    try {
      yield* walkVersions(this.#parts.layout, this.#parts.records, under);
    } catch (error) {
      throw toStoreError(error, 'walk the store');
    }
  }

  async space(): Promise<StoreSpace> {
    try {
      return await this.#parts.space.read();
    } catch (error) {
      throw toStoreError(error, 'read the free space');
    }
  }

  async writable(): Promise<boolean> {
    return (await this.#parts.writer?.probe()) ?? false;
  }

  /** Resolves when background work is done: lists written, folders of dead processes removed. For tests and shutdown. */
  async idle(): Promise<void> {
    await this.#parts.writer?.idle();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#parts.writer?.close();
    } catch (error) {
      throw toStoreError(error, 'close the store');
    } finally {
      await this.#parts.journal.close();
    }
  }

  #writer(): Writer {
    const { writer, refusal, layout } = this.#parts;
    if (writer === undefined) throw refusal ?? storeError('read_only', `${layout.data} is only read`);
    return writer;
  }
}

const unsharedClaim: Claim = { holder: 'us', release: () => Promise.resolve() };

/**
 * Opens the store in `options.folder`, making it when absent. Takes the same time however much is stored. A folder
 * that cannot be written is opened for reading, with a warning. Rejects with StoreError `bad_format`, `in_use`,
 * `read_only` (absent and cannot be made), `io`.
 */
export async function openFsStore(options: FsStoreOptions): Promise<FsStore> {
  const layout = new Layout(options.folder);
  const warnings: string[] = [];
  try {
    await checkFolder(layout);
    const { instance, refusal } = await enter(layout, options);
    const hardLinks =
      options.hardLinks ?? (instance === undefined || (await probeHardLinks(instance.staging, layout)));
    if (refusal !== undefined)
      warnings.push(`${refusal.message}. Nothing is stored; what is there is served.`);
    else if (!hardLinks) {
      warnings.push(
        `The file system of ${layout.data} has no hard links: only one modferry process may use this folder.`,
      );
    }
    const journal = new Journal(layout.journal, options.clock);
    await journal.open();
    const records = new Records({
      layout,
      clock: options.clock,
      staging: instance?.staging,
      cacheEntries: options.recordCacheEntries ?? defaultRecordCacheEntries,
    });
    journal.onTrust((key) => records.forget(key));
    const space = new Space(layout.data, options.clock, options.stopAt ?? defaultStopAt);
    const shared = { layout, clock: options.clock, journal, records, space };
    const writer =
      instance === undefined ? undefined : new Writer({ ...shared, options, instance, hardLinks });
    return new FsStore({ ...shared, warnings, writer, refusal });
  } catch (error) {
    throw toStoreError(error, `open the store in ${options.folder}`);
  }
}

/** Makes what is missing and this process's folder, or says why the folder can only be read. */
async function enter(
  layout: Layout,
  options: FsStoreOptions,
): Promise<{ instance: Instance | undefined; refusal: StoreError | undefined }> {
  try {
    await makeLayout(layout);
    return { instance: await Instance.create(layout.run, options.clock), refusal: undefined };
  } catch (error) {
    const refusal = toStoreError(error, `write to ${layout.data}`);
    const readable = (await statIfAny(layout.download)) !== undefined;
    if (readable && refusal.code !== 'io') return { instance: undefined, refusal };
    throw refusal;
  }
}
