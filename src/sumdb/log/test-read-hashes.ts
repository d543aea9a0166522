/** Test help: reads hashes as the client does, head tiles first, then tile below tile, each of them once. */
import { hashFromTile, type Tile, type TileData, tilePath } from './tile.ts';
import { checkFullTile, checkHeadTiles, headTiles, provenHolder } from './tile-reader.ts';
import type { TreeHead } from './tree-head.ts';

/** Gives the data of each tile, in the order asked. */
export type ReadTiles = (tiles: readonly Tile[]) => Promise<readonly Buffer[]>;

/** `tiles`: all that were read, in their order. */
export async function readHashes(options: {
  readonly head: TreeHead;
  readonly height: number;
  readonly indexes: readonly number[];
  readonly read: ReadTiles;
}): Promise<{ hashes: Buffer[]; tiles: readonly TileData[] }> {
  const { head, height, indexes, read } = options;
  const top = await readAll(headTiles(head, height), read);
  checkHeadTiles(head, height, top);
  const edges = new Map(top.map((one) => [tilePath(one.tile), one]));
  const below = new Map<string, TileData>();
  async function full(tile: Tile, expected: Buffer): Promise<TileData> {
    const path = tilePath(tile);
    const [one = { tile, data: Buffer.alloc(0) }] = [below.get(path) ?? (await readAll([tile], read))[0]];
    checkFullTile(one, expected);
    below.set(path, one);
    return one;
  }
  const hashes: Buffer[] = [];
  for (const index of indexes) {
    const { tile, data } = await provenHolder({ head, height, index, edges, full });
    hashes.push(hashFromTile(tile, data, index));
  }
  return { hashes, tiles: [...top, ...below.values()] };
}

async function readAll(tiles: readonly Tile[], read: ReadTiles): Promise<TileData[]> {
  if (tiles.length === 0) return [];
  const data = await read(tiles);
  return tiles.map((tile, at) => ({ tile, data: data[at] ?? Buffer.alloc(0) }));
}
