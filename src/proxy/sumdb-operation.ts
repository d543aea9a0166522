/**
 * What may be asked of a checksum database by path, and what cannot be an answer to it. Pure text and bytes.
 * @see https://go.dev/ref/mod#checksum-database
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { unescapePath } from '../gomod/module-path.ts';
import type { ModulePath } from '../gomod/types.ts';
import { unescapeVersion } from '../gomod/version.ts';

export type SumdbOperation =
  /** Answered by whoever serves the database. */
  { readonly kind: 'supported' } | AskedOperation;

/** What the database itself, or its client, has to answer. */
export type AskedOperation =
  | { readonly kind: 'latest' }
  | {
      readonly kind: 'lookup';
      readonly path: ModulePath;
      /** A file name by Go's rules, unescaped; whether it is a canonical version is still to be seen. */
      readonly version: string;
    }
  | {
      readonly kind: 'tile';
      readonly height: number;
      /** Of records; else of hashes. */
      readonly isData: boolean;
      /** Bytes it must have; undefined for a tile of records, which have any length. */
      readonly hashBytes: number | undefined;
      /** Undefined: a full tile, which never changes. Else the full tile that begins with the same hashes. */
      readonly full: string | undefined;
    };

const tileShape =
  /^(?<full>tile\/(?<height>\d{1,2})\/(?<level>\d{1,2}|data)(?:\/x\d{3}){0,6}\/\d{3})(?:\.p\/(?<width>\d{1,3}))?$/;
const hashBytes = 32;

/** `text` is what follows the database's name, still escaped by Go's rules. Throws InvalidRequestError. */
export function parseSumdbOperation(text: string): SumdbOperation {
  if (text === 'supported') return { kind: 'supported' };
  if (text === 'latest') return { kind: 'latest' };
  if (text.startsWith('lookup/')) {
    const wanted = text.slice('lookup/'.length);
    const at = wanted.indexOf('@');
    if (at < 0) throw new InvalidRequestError('invalid_request', 'a lookup is MODULE@VERSION');
    const path = unescapePath(wanted.slice(0, at));
    return { kind: 'lookup', path, version: unescapeVersion(wanted.slice(at + 1)) };
  }
  const tile = tileShape.exec(text)?.groups;
  if (tile === undefined) {
    throw new InvalidRequestError('invalid_request', 'expected supported, latest, lookup/… or tile/…');
  }
  const { height, level, width, full } = tile;
  const isData = level === 'data';
  const hashes = width === undefined ? 2 ** Number(height) : Number(width);
  return {
    kind: 'tile',
    height: Number(height),
    isData,
    hashBytes: isData ? undefined : hashes * hashBytes,
    full: width === undefined ? undefined : full,
  };
}

/**
 * Says what is wrong with a body that cannot be an answer of a checksum database, such as a captive portal's page:
 * kept as a tile it would fail every client's verification. Whether the hashes are true is the client's to verify.
 */
export function wrongShape(operation: AskedOperation, body: Buffer): string | undefined {
  switch (operation.kind) {
    case 'tile': {
      const expected = operation.hashBytes;
      if (expected === undefined || body.length === expected) return undefined;
      return `a tile of ${body.length} bytes instead of ${expected}`;
    }
    case 'lookup':
      if (/^\d+\n\S+ \S+ h1:/.test(body.toString('latin1', 0, 8192))) return undefined;
      return 'its answer is no record of a checksum database';
    case 'latest':
      return body.includes(' database tree\n') ? undefined : 'its answer is no tree head';
    default:
      return operation satisfies never;
  }
}
