/**
 * The hash tree of a transparency log, written for the kit alone: RFC 6962 hashes, all complete subtrees kept, and
 * the tiles of https://go.dev/design/25530-sumdb cut out of it. Fast rather than small: 100,000 leaves take 7 MB.
 */
import { hash } from 'node:crypto';

const HASH_BYTES = 32;
/** Height of the tiles that databases serve: 256 hashes in a full one. */
export const TILE_HEIGHT = 8;

export interface HashTree {
  /** Number of leaves. */
  readonly size: number;
  /** Appends the hash of a leaf, as `leafHash` gives it. */
  append(leaf: Buffer): void;
  /** Hash of the tree of the first `size` leaves. Throws RangeError when there are fewer. */
  root(size: number): Buffer;
  /** The first `width` hashes of a tile of height 8, 32 bytes each; undefined when not all of them are there. */
  tile(level: number, n: number, width: number): Buffer | undefined;
  /** A new tree of the first `size` leaves. */
  branch(size: number): HashTree;
}

/** `levels[k]` holds the hashes of the complete subtrees of 2^k leaves, one after the other. */
interface Level {
  bytes: Buffer;
  count: number;
}

/** An empty tree. */
export function hashTree(): HashTree {
  return treeOf(0, []);
}

/** SHA-256(0x00 ‖ record). */
export function leafHash(record: string): Buffer {
  return sha256(`\0${record}`);
}

/** By way of a string, which is three times as fast as asking for a Buffer. */
function sha256(data: string | Buffer): Buffer {
  return Buffer.from(hash('sha256', data, 'binary'), 'binary');
}

function treeOf(startSize: number, levels: Level[]): HashTree {
  let size = startSize;
  const joint = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

  /** SHA-256(0x01 ‖ left ‖ right). */
  const nodeHash = (left: Buffer, right: Buffer): Buffer => {
    joint.set(left, 1);
    joint.set(right, 1 + HASH_BYTES);
    return sha256(joint);
  };

  const at = (level: number, index: number): Buffer => {
    const row = levels[level];
    if (!row || index >= row.count) throw new RangeError(`no subtree ${index} at level ${level}`);
    return row.bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  };

  return {
    get size() {
      return size;
    },
    append(leaf) {
      size += 1;
      let complete = leaf;
      for (let level = 0; ; level += 1) {
        const row = (levels[level] ??= { bytes: Buffer.alloc(64 * HASH_BYTES), count: 0 });
        push(row, complete);
        if (row.count % 2 !== 0) return;
        complete = nodeHash(at(level, row.count - 2), at(level, row.count - 1));
      }
    },
    root(wanted) {
      if (wanted > size) throw new RangeError(`the tree has ${size} records, not ${wanted}`);
      // From the smallest complete subtree on the right to the largest on the left.
      let root: Buffer | undefined;
      for (let level = 0, rest = wanted; rest > 0; level += 1, rest = Math.floor(rest / 2)) {
        if (rest % 2 === 0) continue;
        const subtree = at(level, rest - 1);
        root = root ? nodeHash(subtree, root) : Buffer.from(subtree);
      }
      return root ?? sha256('');
    },
    tile(level, n, width) {
      const row = levels[level * TILE_HEIGHT];
      const start = n * 2 ** TILE_HEIGHT;
      if (!row || start + width > row.count) return undefined;
      return Buffer.from(row.bytes.subarray(start * HASH_BYTES, (start + width) * HASH_BYTES));
    },
    branch(wanted) {
      if (wanted > size) throw new RangeError(`the tree has ${size} records, not ${wanted}`);
      const rows = levels.map(({ bytes }, level) => ({
        bytes: Buffer.from(bytes),
        count: Math.floor(wanted / 2 ** level),
      }));
      return treeOf(wanted, rows);
    },
  };
}

function push(row: Level, hashBytes: Buffer): void {
  const at = row.count * HASH_BYTES;
  if (at === row.bytes.length) row.bytes = Buffer.concat([row.bytes, Buffer.alloc(row.bytes.length)]);
  row.bytes.set(hashBytes, at);
  row.count += 1;
}

export interface TileName {
  /** `data`: the records themselves. */
  readonly level: number | 'data';
  readonly n: number;
  /** 1 to 256. */
  readonly width: number;
}

/** Reads `tile/8/L/NNN[.p/W]`; undefined for any other spelling or height. */
export function parseTileName(path: string): TileName | undefined {
  const match = /^tile\/8\/(data|\d{1,2})\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  if (!match) return undefined;
  const [, level = '', digits = '', partial] = match;
  const tile: TileName = {
    level: level === 'data' ? level : Number(level),
    n: Number(digits.replaceAll(/[x/]/g, '')),
    width: partial === undefined ? 256 : Number(partial),
  };
  const isFullWithSuffix = partial !== undefined && tile.width === 256;
  return formatTileName(tile) === path && tile.width > 0 && tile.width <= 256 && !isFullWithSuffix
    ? tile
    : undefined;
}

/** `tile/8/0/x001/234`, `tile/8/1/000.p/3`. */
export function formatTileName({ level, n, width }: TileName): string {
  let name = String(n % 1000).padStart(3, '0');
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    name = `x${String(rest % 1000).padStart(3, '0')}/${name}`;
  }
  return `tile/${TILE_HEIGHT}/${level}/${name}${width === 256 ? '' : `.p/${width}`}`;
}
