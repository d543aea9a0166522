/**
 * The quarantine: bytes that must never reach a client, with all that is known of them. Part of the store's border;
 * an implementation passes `store.contract.ts`. What it holds is bounded: the oldest bytes go first, then the oldest
 * entries, and the same bytes of one source are one entry with a count.
 */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Staged } from './store.ts';

/** Why bytes are suspect, as well as can be told. */
export type SuspectCause =
  /** Differs from the checksum database's record or a trusted go.sum. */
  | 'mismatch'
  /** The same, and several sources agree on the other content: the tag was moved, or they share an origin. */
  | 'retagged'
  /** No module zip by Go's rules, though it came whole: damaged on the way or at the source, or another module's. */
  | 'corrupt'
  /** Our own copy is not what was published. */
  | 'rotten'
  /** Came in by an import and is not what it should be. */
  | 'import';

/** All that is known of a suspect. Small: texts are cut, headers are few. */
export interface Evidence {
  readonly key: ArtifactKey;
  readonly cause: SuspectCause;
  /** Upstream name, `store`, or `import`. */
  readonly source: string;
  /** One sentence. */
  readonly reason: string;
  /** Lower-case hex SHA-256 of the suspect bytes. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly expectedH1?: string | undefined;
  readonly foundH1?: string | undefined;
  /** Of what was published, where our own copy is suspect. */
  readonly expectedSha256?: string | undefined;
  /** Who says what is expected: `sum.golang.org #123`, `go.sum LABEL`, `record`. */
  readonly expectedBy?: string | undefined;
  /** Of the source's answer, e.g. etag, server, age, via. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

export interface QuarantineEntry extends Evidence {
  /** 16 hex digits: follows from key, source and sha256. */
  readonly id: string;
  /** When it was seen first; `atMs` is the last time. */
  readonly firstAtMs: number;
  readonly count: number;
  /** False: only the evidence is kept. */
  readonly hasBytes: boolean;
  /**
   * Of what was stored here (`source` is `store`): the artifact was published again since, or its version purged, so
   * that an absence found later says nothing of this copy. Seconds may pass before a publication settles an entry.
   */
  readonly settled?: true | undefined;
}

/** Where the suspect bytes are. None: only the evidence is kept. */
export type SuspectBytes = { readonly staged: Staged } | { readonly body: Buffer } | undefined;

export interface Quarantine {
  /**
   * Keeps a suspect. A staged file is moved: it stays readable until its own `close`, and can no longer be published.
   * Rejects with StoreError; `disk_full` when not even the evidence could be kept.
   */
  add(evidence: Evidence, bytes: SuspectBytes): Promise<QuarantineEntry>;
  /** Newest first. */
  list(): Promise<readonly QuarantineEntry[]>;
  get(id: string): Promise<QuarantineEntry | undefined>;
  /** Suspects of one artifact. */
  of(key: ArtifactKey): Promise<readonly QuarantineEntry[]>;
  /** Absolute path of its bytes; undefined when there is no such entry or only its evidence is kept. */
  fileOf(id: string): Promise<string | undefined>;
  /** False: there was none. */
  drop(id: string): Promise<boolean>;
}
