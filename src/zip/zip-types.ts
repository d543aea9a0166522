/**
 * What the checks of a module zip take and give: limits, facts, and the one error with its codes. Sizes are Go's
 * own (golang.org/x/mod/zip); the bounds on entries and directory are ours and far above real modules.
 */
import { ModferryError } from '../lib/errors.ts';

export type ZipErrorCode =
  | 'not_a_zip' // no end record, or a record that is not where it must be
  | 'truncated' // a record or an entry's data goes beyond the end
  | 'bad_directory' // the central directory contradicts its end record
  | 'header_mismatch' // a local header says other things than the central directory
  | 'bad_name'
  | 'bad_prefix' // not under module@version/
  | 'duplicate_name'
  | 'case_collision'
  | 'file_and_directory'
  | 'go_mod_misplaced'
  | 'too_large'
  | 'too_many_entries'
  | 'bad_crc'
  | 'bad_size' // the real size is not the declared one
  | 'bad_data' // the deflate stream is damaged
  | 'unsupported_method'
  | 'encrypted'
  | 'symlink' // link, device or other irregular file by its attributes
  | 'stray_bytes' // bytes that no directory entry owns, or that two own
  | 'not_streamable' // cannot be proven while it streams
  | 'verifier_busy'
  | 'verifier_failed'
  | 'verifier_closed';

/** Why a module zip is refused. The message names the entry and the rule. */
export class ZipError extends ModferryError<ZipErrorCode> {}

export interface ZipLimits {
  /** Size of the zip file. Default 500 MiB (Go's MaxZipFile). */
  readonly zipBytes: number;
  /** Sum of the inflated sizes. Default 500 MiB (Go's MaxZipFile). */
  readonly inflatedBytes: number;
  /** Root go.mod. Default 16 MiB (Go's MaxGoMod). */
  readonly goModBytes: number;
  /** Root LICENSE. Default 16 MiB (Go's MaxLICENSE). */
  readonly licenseBytes: number;
  /** Entries of the central directory. Default 250,000 (ours; bounds memory). */
  readonly entries: number;
  /** The central directory. Default 64 MiB (ours). */
  readonly directoryBytes: number;
}

const mebibyte = 1024 * 1024;

/** The limits that hold when none are given. */
export const defaultZipLimits: ZipLimits = {
  zipBytes: 500 * mebibyte,
  inflatedBytes: 500 * mebibyte,
  goModBytes: 16 * mebibyte,
  licenseBytes: 16 * mebibyte,
  entries: 250_000,
  directoryBytes: 64 * mebibyte,
};

/** Which module the zip must be, and how strict to be. */
export interface ZipTarget {
  /** Module path, unescaped and valid. */
  readonly path: string;
  /** Canonical version, unescaped. */
  readonly version: string;
  /** Replaces single limits of `defaultZipLimits`. */
  readonly limits?: Partial<ZipLimits> | undefined;
  /**
   * What a broken extra rule (see `extra-rules.ts`) does: `refuse` throws, `report` lists it in `oddities`, for
   * zips whose h1 a checksum database may prove (ruling 12). Default `refuse`. The stream check always refuses.
   */
  readonly extraRules?: 'refuse' | 'report' | undefined;
}

/** A broken extra rule of a zip that Go accepts. */
export interface ZipOddity {
  readonly code: ZipErrorCode;
  readonly message: string;
}

export interface ZipFacts {
  /** `h1:` hash of the tree, as dirhash.HashZip gives. */
  readonly h1: string;
  /** Content of the root go.mod; undefined when the zip has none. */
  readonly goMod: Buffer | undefined;
  /** `h1:` hash of that go.mod, as in the `/go.mod` line of go.sum. */
  readonly goModH1: string | undefined;
  /** Entries of the central directory, directories included. */
  readonly entries: number;
  /** Sum of the sizes measured while inflating. */
  readonly inflatedBytes: number;
  /** Extra rules broken, at most 20; always empty unless `extraRules` is `report`. */
  readonly oddities: readonly ZipOddity[];
}

const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/gu;

/** An entry's name as it stands in messages: quoted, without control characters, never long. */
export function quoteName(name: string): string {
  const short = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  const printable = short.replaceAll(
    unprintable,
    (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `"${printable}"`;
}
