/**
 * Stored hashes of a signed tree, read through tiles that nobody needs to trust. Head tiles (the right edge of the
 * tree, which are all the tiles that are not full) are checked together against the signed hash, and every other tile
 * on its own against its place in its parent, parents first. That is what tlog.TileHashReader does, here in steps, so
 * that a reader who has tiles from several sources knows which one to blame.
 */
import { emptyTreeHash } from './hash.ts';
import { LogError } from './log-error.ts';
import { foldSubTrees } from './proof.ts';
import { assertCount, storedHashIndex, subTreeIndexes } from './stored-index.ts';
import {
  assertHeight,
  assertTileData,
  hashFromTile,
  isFull,
  type Tile,
  type TileData,
  tileForIndex,
  tileHash,
  tileParent,
  tilePath,
} from './tile.ts';
import type { TreeHead } from './tree-head.ts';

/** Gives the data of each tile, in the order asked. */
export type ReadTiles = (tiles: readonly Tile[]) => Promise<readonly Buffer[]>;

/** Tiles whose hashes make the tree's: at most one a level, none of them full. Throws LogError as `subTreeIndexes`. */
export function headTiles(head: TreeHead, height: number): Tile[] {
  const tiles = new Map<string, Tile>();
  for (const index of subTreeIndexes(0, head.size)) {
    const tile = tileInTree(head, height, index);
    tiles.set(placeOf(tile), tile);
  }
  return [...tiles.values()];
}

/**
 * Checks that `tiles`, in any order, are exactly the head tiles and make the signed hash; then every hash in them is
 * the tree's. Throws LogError `bad_tile` for other tiles or lengths, `inconsistent` when the hash is another: at
 * least one of them is wrong, and nothing tells which.
 */
export function checkHeadTiles(head: TreeHead, height: number, tiles: readonly TileData[]): void {
  const wanted = headTiles(head, height);
  const given = new Map<string, TileData>();
  for (const one of tiles) {
    assertTileData(one);
    given.set(tilePath(one.tile), one);
  }
  if (tiles.length !== wanted.length || !wanted.every((tile) => given.has(tilePath(tile)))) {
    throw new LogError('bad_tile', `these tiles are not those that make the hash of ${head.size} records`);
  }
  const hashes = subTreeIndexes(0, head.size).map((index) => {
    const one = given.get(tilePath(tileInTree(head, height, index)));
    if (one === undefined) throw new LogError('bad_tile', `no tile of the head holds hash ${index}`);
    return hashFromTile(one.tile, one.data, index);
  });
  const hash = hashes.length === 0 ? emptyTreeHash : foldSubTrees(hashes);
  if (!hash.equals(head.hash)) {
    throw new LogError(
      'inconsistent',
      `the tiles make another hash than the signed one of ${head.size} records`,
    );
  }
}

/**
 * The tiles that lead from the head tiles (left out) down to the tile that holds a stored hash, parents first; none
 * when a head tile holds it. All are full. Throws LogError `bad_index` for a hash that the tree has not.
 */
export function pathTiles(head: TreeHead, height: number, index: number): Tile[] {
  return pathBelow(head, height, index, new Set(headTiles(head, height).map(placeOf)));
}

/**
 * What the hashes of a full tile must make (see `tileHash`), as its parent, which was checked before, has it. Throws
 * LogError `bad_tile` when the child is not full or the parent is not its parent.
 */
export function expectedTileHash(parent: TileData, child: Tile): Buffer {
  // Without this check a tile of half the width would be compared with a hash that is not its own.
  if (!isFull(child)) throw new LogError('bad_tile', `${tilePath(child)} is not full, so it has no parent`);
  if (parent.tile.height !== child.height) {
    throw new LogError('bad_tile', `${tilePath(parent.tile)} is no parent of ${tilePath(child)}`);
  }
  const { height, level, n } = child;
  return hashFromTile(parent.tile, parent.data, storedHashIndex((level + 1) * height, n));
}

/**
 * Reads stored hashes of a signed tree and proves each of them; `tiles` are all those that were read, each proven.
 * First the head tiles are read and checked, then the others in one call. Rejects with LogError `bad_index` for a hash
 * that the tree has not, `bad_tile` for data of a wrong length, `inconsistent` for a tile that is not the tree's, and
 * with what `read` rejects with.
 */
export async function readHashes(options: {
  readonly head: TreeHead;
  readonly height: number;
  readonly indexes: readonly number[];
  readonly read: ReadTiles;
}): Promise<{ hashes: Buffer[]; tiles: readonly TileData[] }> {
  const { head, height, indexes, read } = options;
  const wanted = headTiles(head, height);
  const planned = new Set(wanted.map(placeOf));
  const below: Tile[] = [];
  for (const index of indexes) {
    for (const tile of pathBelow(head, height, index, planned)) {
      planned.add(placeOf(tile));
      below.push(tile);
    }
  }

  const tiles = await readAll(wanted, read);
  checkHeadTiles(head, height, tiles);
  const proven = new Map(tiles.map((one) => [placeOf(one.tile), one]));
  for (const one of await readAll(below, read)) {
    const parent = provenAt(proven, tileParent(one.tile, 1, head.size));
    if (!expectedTileHash(parent, one.tile).equals(tileHash(one.data))) {
      throw new LogError('inconsistent', `${tilePath(one.tile)} is not the tile that its parent proves`);
    }
    proven.set(placeOf(one.tile), one);
    tiles.push(one);
  }

  const hashes = indexes.map((index) => {
    const { tile, data } = provenAt(proven, tileInTree(head, height, index));
    return hashFromTile(tile, data, index);
  });
  return { hashes, tiles };
}

async function readAll(tiles: readonly Tile[], read: ReadTiles): Promise<TileData[]> {
  if (tiles.length === 0) return [];
  const data = await read(tiles);
  if (data.length !== tiles.length) {
    throw new LogError('bad_tile', `of ${tiles.length} tiles that were asked for ${data.length} came`);
  }
  return tiles.map((tile, at) => {
    const one = { tile, data: data[at] ?? Buffer.alloc(0) };
    assertTileData(one);
    return one;
  });
}

/** As `pathTiles`; `known` are places of tiles that need not be read again, each with all that lead to it. */
function pathBelow(head: TreeHead, height: number, index: number, known: ReadonlySet<string>): Tile[] {
  const path: Tile[] = [];
  const holder = tileInTree(head, height, index);
  for (let k = 0; ; k += 1) {
    // A tree's topmost tile is always one of its head, so the way up ends there.
    const tile = tileParent(holder, k, head.size);
    if (tile === undefined) throw new LogError('bad_index', `no tile above hash ${index} is known`);
    if (known.has(placeOf(tile))) return path.toReversed();
    path.push(tile);
  }
}

/** The tile that holds a stored hash, as wide as it is in this tree. */
function tileInTree(head: TreeHead, height: number, index: number): Tile {
  assertHeight(height);
  assertCount(index);
  const tile =
    index < storedHashIndex(0, head.size) ? tileParent(tileForIndex(height, index), 0, head.size) : undefined;
  if (tile === undefined) {
    throw new LogError('bad_index', `hash ${index} is not in a tree of ${head.size} records`);
  }
  return tile;
}

function provenAt(proven: ReadonlyMap<string, TileData>, tile: Tile | undefined): TileData {
  const one = tile === undefined ? undefined : proven.get(placeOf(tile));
  if (one === undefined) throw new LogError('bad_tile', 'a tile was read whose parent was not');
  return one;
}

/** Within one tree and height the place of a tile tells its width too. */
function placeOf(tile: Tile): string {
  return `${tile.level}/${tile.n}`;
}
