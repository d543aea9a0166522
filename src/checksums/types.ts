/**
 * What must be proven of a module's bytes, and what is known of them before they are there. `ingest/` asks, and
 * compares; a checksum database or a trusted go.sum answers.
 */
import type { ArtifactKey } from '../gomod/types.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Proof, Unproven } from '../store/store.ts';

/**
 * `require`: without a proof nothing is published. `prefer`: where the
 * database could not be asked or has no record, published as unproven, and proven later. `off`: never
 * asked; a trusted go.sum line still binds.
 */
export type ChecksumMode = 'require' | 'prefer' | 'off';

export const checksumModes = ['require', 'prefer', 'off'] as const;

/** An artifact that has an `h1:` hash. */
export type HashedKey = ArtifactKey & { readonly ext: 'mod' | 'zip' };

/**
 * Why there is nothing to compare with, where more than the sentence is known of it. `absent`: the database says that it
 * has no such record; `unread`: the trusted go.sum lines cannot be read, so nobody knows what they say.
 */
export type NoProof = 'absent' | 'unread';

export type Expectation =
  /** The content's `h1:` hash must be this. */
  | { readonly kind: 'known'; readonly h1: string; readonly proof: Proof; readonly by: string }
  /** Nothing to compare with; it may be published all the same. */
  | {
      readonly kind: 'unproven';
      readonly why: Exclude<Unproven, 'none'>;
      readonly reason: string;
      readonly cause?: NoProof | undefined;
    }
  /** It must not be published, nor handed out. `reason` names the cause. */
  | { readonly kind: 'blocked'; readonly reason: string; readonly cause?: NoProof | undefined };

/** Who asks. */
export interface Judging {
  readonly signal: AbortSignal;
  readonly requestId?: string | undefined;
  readonly via?: readonly string[] | undefined;
  readonly deadlineAtMs?: Deadline | undefined;
}

export interface Judge {
  /**
   * What the artifact must be. Starts at once, so that the answer is on its way while the bytes are. Rejects only with
   * the signal's reason.
   */
  expect(key: HashedKey, asker: Judging): Promise<Expectation>;
}
