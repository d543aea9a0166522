/**
 * What ingest is given and what it tells: options, the failure it raises, the events it emits. A failure carries
 * the outcome of every source asked, so that the client's error text can name each one.
 */
import type { ArtifactKey, ModulePath } from '../gomod/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Evidence } from '../store/quarantine.ts';
import type { Trust } from '../store/store.ts';
import type { SourceOutcome } from '../upstream/types.ts';

export interface IngestOptions {
  /** Nothing is sent before this time unless it is verified (design rule 2). */
  readonly holdMs: number;
  /** How much of a streaming zip is held back until it is verified and published. */
  readonly tailBytes: number;
  readonly firstByteMs: { readonly meta: number; readonly zip: number };
  readonly lastHopeMs: number;
  /** A zip's body that brings no byte for this long has failed; an answer's own `idleMs` goes before it. */
  readonly idleMs: number;
  /** Bytes per second over 5 s; a zip that comes slower is taken over when another source answers. 0: never. */
  readonly minRateBytes: number;
  readonly limits: {
    readonly zipBytes: number;
    readonly inflatedBytes: number;
    readonly modBytes: number;
    readonly infoBytes: number;
  };
  /** Fills of client requests at once in this process; more wait. */
  readonly concurrency: number;
  /** Bodies kept in memory when the disk takes no more (ruling 15), in all. */
  readonly passThroughMemoryBytes: number;
}

/** How a fill ended without a file: the table in `http/` turns the kind into a status. */
export type FailureKind =
  | 'absent'
  | 'gone'
  | 'failed'
  /** A fault of this modferry, whatever its sources said. */
  | 'internal'
  | 'timeout'
  | 'unavailable'
  | 'loop'
  | 'disk_full'
  | 'overload'
  | 'cancelled'
  | 'not_fetched'
  /** A rule of this server says no. */
  | 'forbidden'
  /** Every source that has it has something else than the checksum database says (ruling 9). */
  | 'mismatch'
  /** Nothing proves it, and it may not be published without (mode `require`). */
  | 'unproven';

export class SourcesFailure extends ModferryError<FailureKind> {
  readonly outcomes: readonly SourceOutcome[];
  /** An absence while another source failed: remembered for a short time only (ruling 1). */
  readonly partial: boolean;

  constructor(
    kind: FailureKind,
    message: string,
    outcomes: readonly SourceOutcome[] = [],
    options: { partial?: boolean; cause?: unknown } = {},
  ) {
    super(kind, message, { cause: options.cause });
    this.outcomes = outcomes;
    this.partial = options.partial ?? false;
  }

  get isAbsence(): boolean {
    return this.code === 'absent' || this.code === 'gone';
  }

  /** Something is there, and may not be handed out. */
  get isRefusal(): boolean {
    return this.code === 'mismatch' || this.code === 'unproven';
  }

  /** A source was not asked because its askers had too little time: whoever asks next may fare better. */
  get isTooLate(): boolean {
    return this.outcomes.some((outcome) => outcome.isTooLate === true);
  }
}

export interface IngestEvents {
  /** Durable and visible. */
  published: { key: ArtifactKey; sizeBytes: number; source: string; byLookAhead: boolean; trust: Trust };
  /** A source's content is not what was expected; it went to quarantine where that was possible. */
  mismatch: Evidence & { readonly quarantineId: string | undefined };
  /** Another source's content was right, in the same request. */
  healed: { key: ArtifactKey; from: readonly string[]; source: string };
  /** Another process published other bytes under this name first (ruling 13); theirs stay. */
  conflict: { key: ArtifactKey; storedSha256: string; offeredSha256: string; source: string };
  /** The module is private now, and this came from a source that is not among its own: taken out of the store. */
  disowned: { path: ModulePath; version: string; source: string };
  /** A source's bytes were refused. */
  refused: { key: ArtifactKey; source: string; reason: string };
  /** A listed version that every source refuses, the one that listed it included (ruling 6). */
  withdrawn: { path: ModulePath; version: string; source: string };
  publishFailed: { key: ArtifactKey; code: string; message: string };
  /** Verified, but purged before it was stored: nobody may keep it. */
  withheld: { key: ArtifactKey };
  passedThrough: { key: ArtifactKey; reason: string };
  /** Another source goes on with a zip whose source failed, stalled or was too slow in the middle of its body. */
  takeOver: {
    key: ArtifactKey;
    from: string;
    to: string;
    /** How much of the body had come. */
    atByte: number;
    /** `resumed`: joined at that byte. `restarted`: fetched whole and compared with what clients have. */
    how: 'resumed' | 'restarted';
    /** What was wrong with the first one. */
    cause: string;
  };
  /** The end of one walk over the sources. `source` undefined: nobody's bytes were taken. */
  fetched: {
    key: ArtifactKey;
    source: string | undefined;
    outcomes: readonly SourceOutcome[];
    /** From the first question to the verified file, or to the last refusal. */
    tookMs: number;
  };
  lookAhead: { what: 'started' | 'used' | 'wasted' | 'dropped'; key: ArtifactKey; sizeBytes: number };
}
