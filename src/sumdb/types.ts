/** The border of `sumdb/`: what the rest of modferry may ask of a checksum database's client, and what it tells. */
import type { ModulePath, Version } from '../gomod/types.ts';
import type { Deadline } from '../lib/deadline.ts';
import { ModferryError } from '../lib/errors.ts';
import type { SourceOutcome, Upstream } from '../upstream/types.ts';

/** One database whose key is known. */
export interface DatabaseSpec {
  /** `host` or `host/path`. */
  readonly name: string;
  /** `NAME+HASH+KEY`. */
  readonly verifierKey: string;
  /** Its own addresses, asked after the upstreams, in this order. */
  readonly direct: readonly Upstream[];
}

export type SumdbErrorCode =
  /** The database says 404 or 410: it has no such record. */
  | 'absent'
  /** Nobody could be reached, or nobody had time. */
  | 'unreachable'
  /** Everything that came failed its verification. */
  | 'refused'
  /** Two signed heads contradict each other: no new record is trusted until an operator resets. */
  | 'forked'
  /** Offline, and not kept. */
  | 'offline';

export class SumdbError extends ModferryError<SumdbErrorCode> {
  readonly outcomes: readonly SourceOutcome[];

  constructor(
    code: SumdbErrorCode,
    message: string,
    outcomes: readonly SourceOutcome[] = [],
    options: { cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.outcomes = outcomes;
  }
}

export interface SumdbAsker {
  readonly signal: AbortSignal;
  readonly requestId?: string | undefined;
  readonly via?: readonly string[] | undefined;
  readonly deadlineAtMs?: Deadline | undefined;
  /** True: only what is kept. Default false. */
  readonly storedOnly?: boolean | undefined;
}

/** A record whose place in the log was proven. */
export interface ProvenRecord {
  readonly path: ModulePath;
  readonly version: Version;
  /** Its number in the log. */
  readonly id: number;
  /** The authenticated record, each line with its line feed. */
  readonly text: string;
  /** `h1:` hash of the zip, and of go.mod; undefined when the record has no such line. */
  readonly zipH1: string | undefined;
  readonly modH1: string | undefined;
  /** Size of the tree under whose head it was proven. */
  readonly treeSize: number;
}

export interface SumdbEvents {
  /** A newer head was found consistent with the one before (0: none before) and took its place. */
  head: { database: string; from: number; to: number };
  /** A source's bytes failed their verification. */
  refused: { database: string; source: string; what: string; reason: string };
  /** Two signed heads contradict each other. */
  forked: { database: string; source: string; knownSize: number; otherSize: number };
  /**
   * What is kept on disk failed its verification and is fetched anew. `isTrustLost`: it was the known head and its copy,
   * so nothing signed says any more what the log was; the next head is compared with the kept records only.
   */
  rotten: { database: string; what: string; isTrustLost: boolean };
  /** An operator forgot the known head and the evidence of a fork. */
  reset: { database: string; reason: string };
}

export interface SumdbFigures {
  readonly name: string;
  /** Undefined: none is known yet. */
  readonly treeSize: number | undefined;
  readonly isForked: boolean;
  /** Since the start. */
  readonly lookups: { readonly kept: number; readonly fetched: number; readonly failed: number };
  readonly tilesFetched: number;
  /** Sources' bytes that failed their verification. */
  readonly refused: number;
}

/** A tile of hashes: height 8, so a full one has 256 hashes. */
export interface TileWish {
  readonly level: number;
  readonly n: number;
  /** 1 to 256 hashes. */
  readonly width: number;
}

export interface SumdbHead {
  /** The signed note, byte for byte as received. */
  readonly note: Buffer;
  readonly treeSize: number;
  /** When a source last gave this head or an older one; milliseconds since the epoch. */
  readonly confirmedAtMs: number;
}

export interface SumdbTile {
  /** Exactly `width` hashes. */
  readonly bytes: Buffer;
  /** False: it lies outside the tree that is known here, so nothing proves it; it is not kept. */
  readonly isProven: boolean;
  /** `store`, or `upstream:NAME`. */
  readonly source: string;
}

/** Both signed heads and what shows that one is no continuation of the other. Plain JSON. */
export interface ForkEvidence {
  readonly database: string;
  readonly atMs: number;
  /** Who gave the second head. */
  readonly source: string;
  /** The note that was known. */
  readonly known: string;
  /** The note that contradicts it. */
  readonly other: string;
  /**
   * Base64 hashes: the proof of RFC 6962 (section 2.1.2) that the larger head's tree begins with the tree that has
   * `computedHash`. Empty for two heads of one size, and where not all of its tiles could be had.
   */
  readonly proof: readonly string[];
  /** Base64: what the smaller tree's hash would be by the larger tree. */
  readonly computedHash: string;
}

/** The client of one checksum database. Everything it gives out was proven unless it says otherwise. */
export interface SumdbDatabase {
  readonly name: string;
  /** The record of a module version, from what is kept or from the sources. Rejects with SumdbError or the signal's reason. */
  lookup(path: ModulePath, version: Version, asker: SumdbAsker): Promise<ProvenRecord>;
  /**
   * The known head; one older than `maxAgeMs` is asked for again first, and stays when nobody answers. Undefined: none
   * is known and none could be had. Rejects with the signal's reason.
   */
  head(asker: SumdbAsker, maxAgeMs: number): Promise<SumdbHead | undefined>;
  /** Rejects with SumdbError or the signal's reason. */
  tile(wish: TileWish, asker: SumdbAsker): Promise<SumdbTile>;
  /** What stopped the trust in new records, if anything did. */
  fork(): Promise<ForkEvidence | undefined>;
  /** Forgets the known head and the evidence of a fork: what is asked next is trusted at first sight. Rejects with StoreError. */
  reset(reason: string): Promise<void>;
  readonly figures: SumdbFigures;
}
