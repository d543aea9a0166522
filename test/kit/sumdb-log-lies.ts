/**
 * The lies of a test checksum database, as plain values. `sumdb-log.ts` tells them. Each lies about what its comment
 * names and tells the truth about everything else, so that it shows whether a client looks at that very thing.
 */
import type { FakeModule } from './fake-module.ts';
import type { ModuleHashes } from './module-hashes.ts';

/** What limits a lie; both may be given. */
export interface LieLimits {
  /** Lies only in lookups of this module path; other requests hear the truth. */
  readonly path?: string | RegExp;
  /** Lies only in answers to these requests, e.g. `/lookup/example.com/Azure@v1.0.0`, `/tile/8/0/000.p/3`, `/latest`. */
  readonly match?: string | RegExp;
}

/** Lies told by the text that a lookup answers. */
export type RecordLie =
  /** Another hash of the zip in the answer; the log has the true one. Default: a hash of nothing. */
  | { readonly kind: 'wrong_hash'; readonly zipH1?: string }
  /** The record of another module, with its true number and head (CVE-2026-42501). */
  | { readonly kind: 'no_line' }
  /**
   * The record of another module, and behind the tree's lines of the properly signed note the asked module's lines
   * with a wrong zip hash (CVE-2026-56864).
   */
  | { readonly kind: 'line_in_note'; readonly zipH1?: string };

/** Lies told by the signed head, in lookups and in `/latest`. */
export type HeadLie =
  /** Name and key hash are right, the signature is not. */
  | { readonly kind: 'forged_signature' }
  /** Signed with another key of the same name. */
  | { readonly kind: 'wrong_key' }
  /** No signature line. */
  | { readonly kind: 'unsigned' }
  /** A true head of an earlier day. Tiles and records beyond it are still answered. */
  | { readonly kind: 'stale_head'; readonly size: number }
  /**
   * Numbers that no double holds, properly signed: the record's number, the tree's size, or both (the default; the
   * size is then two more, so that the record seems to be in the tree). `number` is decimal. Default: 2^53 + 1.
   */
  | { readonly kind: 'huge_numbers'; readonly what?: 'record' | 'tree'; readonly number?: string };

/** Lies told by tiles. Data tiles are not meant. */
export type TileLie =
  /** 404. */
  | { readonly kind: 'missing_tile' }
  /** All bits of one byte flipped. Default: of the first one. */
  | { readonly kind: 'wrong_tile'; readonly atByte?: number }
  /** So many bytes short. Default 32: one hash. */
  | { readonly kind: 'short_tile'; readonly cutBytes?: number }
  /** A hash more than asked. */
  | { readonly kind: 'long_tile' };

/** Lies in which head, records and tiles take part. Limits hold for lookups only; tiles and heads fit in any case. */
export type LogLie =
  /**
   * A second tree, properly signed: it shares the first `fromSize` records and differs in all later ones, which have a
   * line more. The modules' own lines stay true, but for those of `altered`. Heads, records and tiles are all its own.
   */
  | {
      readonly kind: 'fork';
      readonly fromSize: number;
      readonly altered?: readonly (ModuleHashes | FakeModule)[];
    }
  /**
   * The true head of 768 records, whose subtrees share a tile; a record with a wrong zip hash; and a tile of level 0
   * that has that record's hash (CVE-2026-56865). Pads the log to 768; the module must be among the first 768.
   */
  | { readonly kind: 'forged_shared_tiles'; readonly zipH1?: string };

/** Lies in which nothing is a database's answer. */
export type WireLie =
  | { readonly kind: 'garbage'; readonly text: string }
  /** 200 with a log-in page. */
  | { readonly kind: 'html' }
  | { readonly kind: 'status'; readonly status: number }
  /** The truth, late. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Not even a status line, for ever. */
  | { readonly kind: 'hang' }
  /** The connection ends in the middle of the body. */
  | { readonly kind: 'cut' };

/** `supported` is always the truth unless `match` fits it. */
export type Lie = LieLimits & (RecordLie | HeadLie | TileLie | LogLie | WireLie);

/** Tree size of `forged_shared_tiles`: its two subtrees, of 512 and 256 records, share the one tile of level 1. */
export const SHARED_TILE_SIZE = 768;

/** What a request is about. `path` is unescaped, with a slash before it. */
export interface LieTarget {
  readonly path: string;
  /** The module path of a lookup. */
  readonly module?: string | undefined;
}

/** True when the lie is told in the answer to this request. */
export function applies(lie: Lie, target: LieTarget): boolean {
  const isLookup = target.module !== undefined;
  if (target.path.endsWith('/supported') && lie.match === undefined) return false;
  if (!isLookup && (lie.kind === 'fork' || lie.kind === 'forged_shared_tiles')) return true;
  if (lie.match !== undefined && !fits(lie.match, target.path, (text) => target.path.endsWith(text)))
    return false;
  if (lie.path === undefined) return true;
  return target.module !== undefined && fits(lie.path, target.module, (text) => target.module === text);
}

function fits(match: string | RegExp, text: string, equals: (match: string) => boolean): boolean {
  // `search` and not `test`: a global expression keeps a position between calls.
  return typeof match === 'string' ? equals(match) : text.search(match) !== -1;
}
