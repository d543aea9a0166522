/**
 * The error for bytes that claim to be part of a checksum database's log and cannot be: whoever sent them is wrong,
 * so another source is asked.
 */
import { ModferryError } from '../../lib/errors.ts';

export type LogErrorCode =
  /** The text is no signed note. */
  | 'bad_note'
  /** A note without a signature of any known key. */
  | 'unverified'
  /** A known key's signature is wrong. */
  | 'bad_signature'
  /** A verifier key that is malformed, of an unknown kind, or given twice. */
  | 'bad_key'
  /** The signed text describes no tree. */
  | 'bad_tree'
  /** A lookup's answer or a record that breaks the format, or contradicts itself. */
  | 'bad_record'
  /** A tile that cannot exist, that is not the one asked for, or whose data has the wrong length. */
  | 'bad_tile'
  /** A number beyond what is counted exactly, or text beyond its limit. */
  | 'too_large'
  /** Hashes contradict each other: a tile, a record or a tree is not the one that was signed. */
  | 'inconsistent'
  /** A number of a record or a stored hash that is not in the tree. */
  | 'bad_index';

/** Raised by the files of this folder; they raise nothing else for any input. */
export class LogError extends ModferryError<LogErrorCode> {}
