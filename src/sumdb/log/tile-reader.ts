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
 * The tile that holds a stored hash, proven. `edges` are the head tiles by path, checked before; `full` gives the tile
 * that makes the expected hash and rejects when it cannot: it is asked for the tiles that lead from the head tiles down
 * to the holder, parents first, and for none when a head tile is the holder. Rejects with LogError `bad_index` for a
 * hash that the tree has not, `bad_tile` when a head tile is missing, and with what `full` rejects with.
 */
export async function provenHolder<Proven extends TileData>(options: {
  readonly head: TreeHead;
  readonly height: number;
  readonly index: number;
  readonly edges: ReadonlyMap<string, Proven>;
  readonly full: (tile: Tile, expected: Buffer) => Promise<Proven>;
}): Promise<Proven> {
  const { head, height, index, edges, full } = options;
  const below: Tile[] = [];
  let proven: Proven | undefined;
  const holder = tileInTree(head, height, index);
  for (let k = 0; proven === undefined; k += 1) {
    // A tree's topmost tile is always one of its head, so the way up ends there.
    const tile = tileParent(holder, k, head.size);
    if (tile === undefined) throw new LogError('bad_tile', `no head tile above hash ${index} is known`);
    proven = edges.get(tilePath(tile));
    if (proven === undefined) below.push(tile);
  }
  for (const tile of below.toReversed()) proven = await full(tile, expectedTileHash(proven, tile));
  return proven;
}

/**
 * Checks the bytes of a full tile against what its parent says of it. Throws LogError `bad_tile` for another length,
 * `inconsistent` when it is another tile.
 */
export function checkFullTile(one: TileData, expected: Buffer): void {
  assertTileData(one);
  if (!tileHash(one.data).equals(expected)) {
    throw new LogError('inconsistent', 'the tile is not the one that the signed tree has there');
  }
}

/**
 * What the hashes of a full tile must make (see `tileHash`), as its parent, which was checked before, has it. Throws
 * LogError `bad_tile` when the child is not full or the parent is not its parent.
 */
function expectedTileHash(parent: TileData, child: Tile): Buffer {
  // Without this check a tile of half the width would be compared with a hash that is not its own.
  if (!isFull(child)) throw new LogError('bad_tile', `${tilePath(child)} is not full, so it has no parent`);
  if (parent.tile.height !== child.height) {
    throw new LogError('bad_tile', `${tilePath(parent.tile)} is no parent of ${tilePath(child)}`);
  }
  const { height, level, n } = child;
  return hashFromTile(parent.tile, parent.data, storedHashIndex((level + 1) * height, n));
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

/** Within one tree and height the place of a tile tells its width too. */
function placeOf(tile: Tile): string {
  return `${tile.level}/${tile.n}`;
}
