/** What the scrub is given, what it tells, and what it remembers between two runs of modferry. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { SuspectCause } from '../store/quarantine.ts';
import type { HoursWindow } from './hours.ts';

export interface ScrubOptions {
  /** Bytes per second; 0: as fast as it goes. */
  readonly rateBytes: number;
  /** From the end of one pass to the beginning of the next. */
  readonly everyMs: number;
  /** Local time; empty: always. */
  readonly hours: readonly HoursWindow[];
  /** Rest after `start`, so that a start is not slowed down. Default 10 min. */
  readonly firstAfterMs?: number | undefined;
  /** Expectations asked of the judge in a second. Default 5. */
  readonly lookupsPerSecond?: number | undefined;
}

/** Counts of one pass, or of one check that was asked for. */
export interface ScrubCounts {
  readonly artifacts: number;
  readonly bytes: number;
  /** Our copy is not what was published. */
  readonly rotten: number;
  /** It is what was published, but the checksum database or a trusted go.sum says otherwise. */
  readonly mismatched: number;
  /** Of rotten and mismatched: replaced by a good copy. */
  readonly healed: number;
  /** Of rotten and mismatched: no good copy was found. */
  readonly quarantined: number;
  /** The content is good; what was recorded of it was not, and is written anew. */
  readonly renewed: number;
  readonly unreadable: number;
  /** A proof was found that was not on record. */
  readonly proven: number;
  /** Asked for a proof, and there was none. */
  readonly unproven: number;
}

export interface ScrubReport extends ScrubCounts {
  readonly tookMs: number;
}

export interface ScrubEvents {
  /** `resumed`: an earlier process, or this one, was stopped in the middle of this pass. */
  started: { resumed: boolean };
  progress: ScrubCounts;
  finished: ScrubReport;
  /** The pass stopped because of the store itself; it goes on later. */
  failed: { reason: string };
  /** Taken out of what is served. `cause` is `rotten` or `mismatch`. */
  rotten: { key: ArtifactKey; reason: string; cause: SuspectCause };
  /** A good copy took its place. */
  healed: { key: ArtifactKey; source: string };
  /** No good copy was found: it stays in quarantine under this id. */
  quarantined: { key: ArtifactKey; id: string; reason: string };
  renewed: { key: ArtifactKey; reason: string };
  unreadable: { key: ArtifactKey; reason: string };
  /** It should be withdrawn or recorded anew, and the store could not: it stays as it is, and is tried in the next pass. */
  stuck: { key: ArtifactKey; reason: string };
  proven: { key: ArtifactKey; by: string };
}

/** The last version that was gone through. */
export interface ScrubCursor {
  readonly path: string;
  readonly version: string;
}

export interface ScrubPass {
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** Absent: none is finished yet. */
  readonly cursor?: ScrubCursor | undefined;
  readonly counts: ScrubCounts;
}

/** What all processes on a folder know of its scrub. Plain JSON. */
export interface ScrubProgress {
  /** Who scrubs now, and when it last said so (milliseconds since the epoch). */
  readonly holder?: { readonly instance: string; readonly heartbeatAtMs: number } | undefined;
  /** The pass under way. */
  readonly pass?: ScrubPass | undefined;
  /** The last one that came to its end. */
  readonly last?: (ScrubReport & { readonly finishedAtMs: number }) | undefined;
}

/** Where the progress is kept, shared by all processes on a folder. */
export interface ScrubState {
  /** Empty when there is none or nobody can understand it. Rejects with the system's error. */
  read(): Promise<ScrubProgress>;
  /**
   * Reads, changes and writes as one step among all processes; `change` gives undefined to leave it as it is. Resolves
   * to what holds then. Rejects with the system's error, or ModferryError `locked` when the file stays locked.
   */
  update(change: (before: ScrubProgress) => ScrubProgress | undefined): Promise<ScrubProgress>;
}

export const noCounts: ScrubCounts = {
  artifacts: 0,
  bytes: 0,
  rotten: 0,
  mismatched: 0,
  healed: 0,
  quarantined: 0,
  renewed: 0,
  unreadable: 0,
  proven: 0,
  unproven: 0,
};
