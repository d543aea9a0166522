/**
 * The store: where published artifacts, their records and the mutable answers live. This file is the border; an
 * implementation (`fs/` first) passes `store.contract.ts` whole. It knows nothing of HTTP or upstreams and
 * judges no content: what is published was verified before.
 */
import type { ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import type { Evidence, Quarantine, QuarantineEntry } from './quarantine.ts';

/** By what a published artifact was proven. */
export type Proof =
  | {
      readonly by: 'sumdb';
      /** The checksum database's name. */
      readonly database: string;
      /** Number of the record in the log. */
      readonly recordId: number;
      /** Size of the tree under whose signed head the record was found. */
      readonly treeSize: number;
      /** Milliseconds since the epoch. */
      readonly atMs: number;
    }
  /** A go.sum line that an operator imported; `label` tells which import. */
  | { readonly by: 'go.sum'; readonly label: string; readonly atMs: number }
  /** An operator released it from quarantine. */
  | { readonly by: 'operator'; readonly reason: string; readonly atMs: number };

/**
 * Why a published artifact has no proof: checksums are off for this module; no record could be reached and it is
 * to be proven later; there is nothing that could prove it (.info).
 */
export type Unproven = 'off' | 'unreachable' | 'none';

/** Exactly one of the two; neither is known of what was rebuilt or stored by an older version. */
export interface Trust {
  readonly proof?: Proof | undefined;
  readonly unproven?: Unproven | undefined;
}

/** What modferry knows of one published artifact. Rebuildable from the artifact itself except for provenance. */
export interface ArtifactRecord extends Trust {
  readonly sizeBytes: number;
  /** Lower-case hex SHA-256 of the file's bytes; the strong ETag is made of it. */
  readonly sha256: string;
  /** `h1:` hash: of the tree for a zip, of go.mod for a .mod; absent for .info. */
  readonly h1?: string;
  /** Which source it came from: an upstream's name, `import`, or `unknown` when rebuilt. */
  readonly source: string;
  /** When it was published, milliseconds since the epoch. */
  readonly storedAtMs: number;
  /** Modification time of the stored file in whole milliseconds, to notice a file changed behind our back. */
  readonly modifiedAtMs: number;
}

/** A published artifact, open for reading. Close it; closing twice is harmless. */
export interface ArtifactFile {
  readonly record: ArtifactRecord;
  /** Reads up to `length` bytes at `position` into `target` from its start; resolves to the count, 0 at the end. */
  readAt(target: Buffer, length: number, position: number): Promise<number>;
  /** The whole file in one Buffer of its own. For small artifacts and the hot cache. */
  readAll(): Promise<Buffer>;
  close(): Promise<void>;
}

export type PublishResult =
  | { readonly outcome: 'published'; readonly record: ArtifactRecord }
  /** Another writer was first with equal content (ruling 13): success. */
  | { readonly outcome: 'present'; readonly record: ArtifactRecord }
  /** Another writer was first with different content. The first bytes stay. */
  | { readonly outcome: 'conflict'; readonly record: ArtifactRecord; readonly offered: string };

/** A file that is being received. Nobody but its owner and its followers sees it before `publish`. */
export interface Staged {
  /** Absolute path, so that a worker thread can open it. */
  readonly file: string;
  /** Bytes accepted by `write` so far (all readable through `readAt`once `write` has resolved). */
  readonly sizeBytes: number;
  /** Appends chunks in order. Rejects with StoreError `disk_full`, `io`. The chunks may be reused when it resolves. */
  write(chunks: readonly Uint8Array[]): Promise<void>;
  readAt(target: Buffer, length: number, position: number): Promise<number>;
  /**
   * fsync, create under the final name without overwriting, fsync the folder; for a zip also `.ziphash` from
   * `facts.h1`. When it resolves the artifact is durable and visible. The staged name is gone in any case, but
   * `readAt` works until `close`.
   */
  publish(facts: PublishFacts): Promise<PublishResult>;
  /** Closes and removes what was not published. Idempotent, never rejects. */
  close(): Promise<void>;
}

export interface PublishFacts extends Trust {
  readonly sha256: string;
  readonly h1?: string;
  readonly source: string;
  readonly signal?: AbortSignal;
}

/** What is recorded anew of a published artifact. */
export interface RenewFacts extends Trust {
  /** Of the bytes as they are. */
  readonly sha256: string;
  /** Of their content; absent: none is recorded. */
  readonly h1?: string;
}

/** A mutable answer (list, latest, resolved query) as the sources gave it. */
export interface MutableEntry {
  /** Exact body to serve or to merge. */
  readonly body: string;
  /** When a source last confirmed it, milliseconds since the epoch. */
  readonly confirmedAtMs: number;
  /** Names of the sources that answered. */
  readonly sources: readonly string[];
  /** Free facts of the owner, e.g. upstream lists by source. Plain JSON. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** `list`, `latest`, or `query:NAME` (NAME unescaped). */
export type MutableName = 'list' | 'latest' | `query:${string}`;

/** Longest answer of a checksum database that is kept: a tile has 8 KiB, a lookup a few hundred bytes. */
export const maxSumdbBytes = 1024 * 1024;

/** An answer of a checksum database as it passed through. */
export interface KeptSumdb {
  readonly body: Buffer;
  /** When it was kept last, milliseconds since the epoch. */
  readonly keptAtMs: number;
}

/** The right to fill one artifact, shared between all processes on one folder (ruling 24). It only saves work. */
export type Claim =
  | { readonly holder: 'us'; release(): Promise<void> }
  | {
      readonly holder: 'other';
      /**
       * Resolves `published` when the artifact appears, `released` when the holder gave up, `stalled` when the
       * holder died or its staged file did not grow for the stall time. Rejects only with the signal's reason.
       * After `released` and `stalled` the right is free: call `claim` again, one of the waiters gets it.
       */
      wait(signal: AbortSignal): Promise<'published' | 'released' | 'stalled'>;
    };

export interface PurgeEvent {
  readonly path: ModulePath;
  /** Absent: every version and all mutable answers of the module. */
  readonly version?: Version;
  /** Only this artifact of the version was taken out (`withdraw`). */
  readonly ext?: ArtifactKey['ext'];
}

export interface VersionEntry {
  readonly path: ModulePath;
  readonly version: Version;
  readonly artifacts: Partial<Record<ArtifactKey['ext'], ArtifactRecord>>;
  /** Stored, but what is recorded of them cannot be read: why, as a sentence. */
  readonly unreadable?: Partial<Record<ArtifactKey['ext'], string>>;
}

/**
 * State of a checksum database's client that is replaced as one durable file: its head, the same once more for when the
 * disk garbles the first, the evidence of a fork.
 */
export type SumdbState = 'head' | 'head_copy' | 'fork';

export interface StoreSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export type StoreErrorCode =
  | 'disk_full'
  | 'io'
  | 'read_only'
  | 'bad_format'
  | 'in_use'
  /** A purge of this key was ordered after `stage`: what was being filled must not come back. */
  | 'purged'
  /** Our own copy is not what was published (ruling 9): size or time differ from the record, and so does the hash. */
  | 'rotten';

export interface Store {
  /** What it is and where, for the start-up text. */
  readonly description: string;
  /** Sentences an operator should read at start, e.g. what this folder cannot share. */
  readonly warnings: readonly string[];
  /**
   * Opens a published artifact; undefined when absent. A size or time that differs from the record re-hashes;
   * rejects with StoreError `rotten` when the hash differs too.
   */
  open(key: ArtifactKey): Promise<ArtifactFile | undefined>;
  /** Cheap existence check (one stat). */
  has(key: ArtifactKey): Promise<boolean>;
  /** Rejects with StoreError `disk_full` at or above the stop-at mark (ruling 25) or when the disk says so. */
  stage(key: ArtifactKey): Promise<Staged>;
  claim(key: ArtifactKey): Promise<Claim>;
  /** Versions of which .info, .mod and .zip are all stored, in no promised order, pseudo-versions included. */
  completeVersions(path: ModulePath): Promise<Version[]>;
  /** Anything of the module is stored, be it one .mod. */
  holdsAnyOf(path: ModulePath): Promise<boolean>;
  readMutable(path: ModulePath, name: MutableName): Promise<MutableEntry | undefined>;
  /** Atomic replace; not fsynced (it can be asked for again). Rejects with StoreError. */
  writeMutable(path: ModulePath, name: MutableName, entry: MutableEntry): Promise<void>;
  /**
   * The kept answer of a checksum database: `name` as in `GOSUMDB` (`host` or `host/path`), `operation` as asked
   * behind it (`latest`, `lookup/…`, `tile/…`, escaped by Go's rules). Undefined when absent, longer than
   * `maxSumdbBytes`, or when the two are no such names.
   */
  keptSumdb(name: string, operation: string): Promise<KeptSumdb | undefined>;
  /**
   * Keeps one, atomically in place of an older one; not fsynced (it can be asked for again), purges leave it. False
   * when it is not kept: longer than `maxSumdbBytes`, or names no file can safely be made of. Rejects with StoreError.
   */
  keepSumdb(name: string, operation: string, body: Buffer): Promise<boolean>;
  /**
   * Operations `lookup/…` of which an answer is kept, in no promised order and without holding them in memory; none when
   * the name is no database's. Rejects with StoreError.
   */
  keptLookups(name: string): AsyncIterable<string>;
  /** Undefined when there is none, or the name is no database's. Rejects with StoreError. */
  readSumdbState(name: string, state: SumdbState): Promise<Buffer | undefined>;
  /**
   * Compare and swap among all processes: durably replaces what equals `expected` (undefined: nothing there) by
   * `next` (undefined: removed). False: somebody was first, read again. Rejects with StoreError.
   */
  swapSumdbState(
    name: string,
    state: SumdbState,
    expected: Buffer | undefined,
    next: Buffer | undefined,
  ): Promise<boolean>;
  /** Suspects, apart from what is served. */
  readonly quarantine: Quarantine;
  /**
   * Records by what a published artifact is proven, or why not, if its bytes are still those of `sha256`; false
   * otherwise. Rejects with StoreError.
   */
  setTrust(key: ArtifactKey, sha256: string, trust: Trust): Promise<boolean>;
  /**
   * Writes the record and, for a zip with `facts.h1`, Go's `.ziphash` anew, if the bytes are still those of
   * `facts.sha256`; false otherwise. The artifact is published all the time. Where it came from and when is kept as far
   * as it is known. Rejects with StoreError.
   */
  renew(key: ArtifactKey, facts: RenewFacts): Promise<boolean>;
  /**
   * Trust or record of a stored artifact changed, by this or any other process, and its bytes did not: what was made
   * ready of them may say otherwise. Thousands may come in a row. Returns the unsubscribe.
   */
  onTrust(listener: (key: ArtifactKey) => void): () => void;
  /**
   * What sources said of the module, its list, @latest and queries, is out of date: every process on the folder is told
   * within 1 s, this one before it resolves. Never rejects.
   */
  tellOutdated(path: ModulePath): Promise<void>;
  /** By this or any other process; one may be told twice. Returns the unsubscribe. */
  onOutdated(listener: (path: ModulePath) => void): () => void;
  /** Artifacts published as `unreachable` that still wait for a proof; survives restarts. In no promised order. */
  awaitingProof(): AsyncIterable<ArtifactKey>;
  /**
   * Takes one published artifact out of what is served, into quarantine; every process on the folder is told as of a
   * purge of that artifact. The version's other artifacts stay, and fills under way go on: what they bring is another
   * file. Undefined when it is not there, or its bytes are not those of `evidence.sha256` (it was healed meanwhile).
   * Rejects with StoreError.
   */
  withdraw(key: ArtifactKey, evidence: Evidence): Promise<QuarantineEntry | undefined>;
  /** Removes artifacts, records, list line and mutable answers; tells every process on the folder within 1 s. */
  purge(event: PurgeEvent): Promise<{ removedVersions: number; removedBytes: number }>;
  /** Purges and, with `ext`, withdrawals by this or any other process; one may be told twice. Returns the unsubscribe. */
  onPurge(listener: (event: PurgeEvent) => void): () => void;
  /**
   * Walks everything stored, module by module, without holding it in memory. An artifact that the disk does not tell
   * of is yielded as `unreadable`, and the walk goes on.
   */
  versions(under?: ModulePath): AsyncIterable<VersionEntry>;
  space(): Promise<StoreSpace>;
  /** True when staging and publishing work now (readiness). */
  writable(): Promise<boolean>;
  close(): Promise<void>;
}
