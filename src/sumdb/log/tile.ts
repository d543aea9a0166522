/**
 * Tiles: the stored hashes of a log in files of 2^height hashes, as golang.org/x/mod/sumdb/tlog cuts them. A tile of
 * level L lists hashes of the tree's level L x height; those above them, up to the next tile's, follow from it.
 */
import { foldPairs, hashBytes } from './hash.ts';
import { LogError } from './log-error.ts';
import { assertCount, splitStoredHashIndex } from './stored-index.ts';

/** Where a tile is, and how many hashes it has. */
export interface Tile {
  /** 1 to 30; 8 in every known database. */
  readonly height: number;
  /** 0 to 63. */
  readonly level: number;
  /** Its number within the level, from 0. */
  readonly n: number;
  /** Hashes in it: 1 to 2^height; fewer than all only at the right edge of a tree. */
  readonly width: number;
}

/** A tile with its hashes. */
export interface TileData {
  readonly tile: Tile;
  /** `width` hashes, one behind the other. */
  readonly data: Buffer;
}

const maxHeight = 30;
const maxLevel = 63;

const pathPattern = /^tile\/([1-9]\d?)\/(0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,9}))?$/;
/** x000/x000/… for every n up to 2^53: longer ones are absurd before they are matched. */
const maxPathLength = 100;

/** `tile/8/0/x001/234`, with `.p/WIDTH` behind it when the tile is not full. Throws LogError `bad_tile`. */
export function tilePath(tile: Tile): string {
  assertTile(tile);
  let number = String(tile.n % 1000).padStart(3, '0');
  for (let n = Math.floor(tile.n / 1000); n > 0; n = Math.floor(n / 1000)) {
    number = `x${String(n % 1000).padStart(3, '0')}/${number}`;
  }
  const part = isFull(tile) ? '' : `.p/${tile.width}`;
  return `tile/${tile.height}/${tile.level}/${number}${part}`;
}

/**
 * The inverse of `tilePath`: what it would not write is refused, and so are tiles of raw records (`data`). Throws
 * LogError `bad_tile`, and `too_large` for a number beyond 2^53-1.
 */
export function parseTilePath(text: string): Tile {
  const match = text.length > maxPathLength ? null : pathPattern.exec(text);
  if (match === null) throw badPath(text);
  const [, height = '', level = '', number = '', part] = match;
  const digits = number.replaceAll(/[x/]/g, '');
  const n = Number(digits);
  if (n > Number.MAX_SAFE_INTEGER) {
    throw new LogError('too_large', `tile path ${quoted(text)} has a number beyond 2^53-1`);
  }
  const fullWidth = 2 ** Number(height);
  const tile = {
    height: Number(height),
    level: Number(level),
    n,
    width: part === undefined ? fullWidth : Number(part),
  };
  if (!isTile(tile) || tilePath(tile) !== text) throw badPath(text);
  return tile;
}

/** The narrowest tile that holds a stored hash. Throws LogError `bad_index`, `bad_tile` for a height out of range. */
export function tileForIndex(height: number, index: number): Tile {
  return placeInTile(height, index).tile;
}

/**
 * The tile `k` levels above (0: itself), as wide as a tree of `treeSize` records has it; undefined when that tree has
 * no hash of it. Throws LogError `bad_tile`, `bad_index`.
 */
export function tileParent(tile: Tile, k: number, treeSize: number): Tile | undefined {
  assertTile(tile);
  assertCount(k);
  assertCount(treeSize);
  const { height } = tile;
  const level = tile.level + k;
  const n = Math.floor(tile.n / 2 ** (k * height));
  const width = Math.min(2 ** height, Math.floor(treeSize / 2 ** (level * height)) - n * 2 ** height);
  return width > 0 ? { height, level, n, width } : undefined;
}

/**
 * The stored hash `index`, which the tile must hold; a view of `data` where it stands there itself. It is as true as
 * the tile is. Throws LogError `bad_tile` when it is another tile's or `data` has not exactly the tile's width.
 */
export function hashFromTile(tile: Tile, data: Buffer, index: number): Buffer {
  assertTileData({ tile, data });
  const { tile: least, start, end } = placeInTile(tile.height, index);
  if (tile.level !== least.level || tile.n !== least.n || tile.width < least.width) {
    throw new LogError('bad_tile', `hash ${index} is in ${tilePath(least)}, not in ${tilePath(tile)}`);
  }
  return tileHash(data.subarray(start, end));
}

/**
 * The one hash that 2^k hashes make, e.g. those of a full tile: what its parent must have in its place. For one hash
 * a view of `data`. Throws LogError `bad_tile` for another number of hashes.
 */
export function tileHash(data: Buffer): Buffer {
  const count = data.length / hashBytes;
  if (count < 1 || !Number.isInteger(Math.log2(count))) {
    throw new LogError('bad_tile', `${data.length} bytes of hashes make no complete tree`);
  }
  return foldPairs(data);
}

/** Only full tiles have parents: a tile of fewer hashes is at the right edge of its tree. */
export function isFull(tile: Tile): boolean {
  return tile.width === 2 ** tile.height;
}

/** Throws LogError `bad_tile` for a tile that cannot exist, or data that has not exactly its width. */
export function assertTileData({ tile, data }: TileData): void {
  assertTile(tile);
  if (data.length !== tile.width * hashBytes) {
    throw new LogError(
      'bad_tile',
      `${tilePath(tile)} has ${data.length} bytes where ${tile.width * hashBytes} belong`,
    );
  }
}

/** Throws LogError `bad_tile` unless it is 1 to 30. */
export function assertHeight(height: number): void {
  if (!Number.isInteger(height) || height < 1 || height > maxHeight) {
    throw new LogError('bad_tile', `a tile's height is 1 to ${maxHeight}, not ${height}`);
  }
}

function assertTile(tile: Tile): void {
  if (!isTile(tile)) {
    const { height, level, n, width } = tile;
    throw new LogError(
      'bad_tile',
      `there is no tile of height ${height}, level ${level}, number ${n}, width ${width}`,
    );
  }
}

function isTile({ height, level, n, width }: Tile): boolean {
  return (
    isIn(height, 1, maxHeight) &&
    isIn(level, 0, maxLevel) &&
    isIn(n, 0, Number.MAX_SAFE_INTEGER) &&
    isIn(width, 1, 2 ** height)
  );
}

function isIn(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

/** The narrowest tile of a stored hash, and the bytes of it from which the hash follows. */
function placeInTile(height: number, index: number): { tile: Tile; start: number; end: number } {
  assertHeight(height);
  const place = splitStoredHashIndex(index);
  const level = Math.floor(place.level / height);
  const hashesOfIt = 2 ** (place.level - level * height);
  const perTile = 2 ** height / hashesOfIt;
  const n = Math.floor(place.n / perTile);
  const inTile = place.n - n * perTile;
  const width = (inTile + 1) * hashesOfIt;
  return {
    tile: { height, level, n, width },
    start: inTile * hashesOfIt * hashBytes,
    end: width * hashBytes,
  };
}

function badPath(text: string): LogError {
  return new LogError('bad_tile', `${quoted(text)} is no path of a tile of hashes`);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > maxPathLength ? `${text.slice(0, maxPathLength - 1)}…` : text);
}
