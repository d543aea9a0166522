/** The log's tree under one signed head: hashes and tiles of it, each proven on the way from the head down. */
import { SharedWork } from '../lib/shared-work.ts';
import { hashBytes } from './log/hash.ts';
import { treeHashFrom } from './log/proof.ts';
import { storedHashIndex } from './log/stored-index.ts';
import { hashFromTile, type Tile, type TileData, tileForIndex, tileParent, tilePath } from './log/tile.ts';
import { expectedTileHash, pathTiles } from './log/tile-reader.ts';
import type { TreeHead } from './log/tree-head.ts';
import { type GotTile, type Overlay, type Tiles, tileHeight } from './tiles.ts';
import { type SumdbAsker, SumdbError } from './types.ts';

/** Head tiles that were checked against their head, by path. */
export type Edges = ReadonlyMap<string, TileData>;

type ProvenTile = TileData & { readonly source: string };

export interface TreeOptions {
  readonly head: TreeHead;
  readonly tiles: Tiles;
  /** Default: fetched when they are needed. */
  readonly edges?: Edges | undefined;
  /** Given for a head that is not the known one yet. */
  readonly overlay?: Overlay;
}

export class Tree {
  readonly head: TreeHead;
  readonly #tiles: Tiles;
  readonly #overlay: Overlay | undefined;
  #edges: Edges | undefined;
  #edgesWork: SharedWork<Edges> | undefined;

  constructor({ head, tiles, edges, overlay }: TreeOptions) {
    this.head = head;
    this.#tiles = tiles;
    this.#edges = edges;
    this.#overlay = overlay;
  }

  get size(): number {
    return this.head.size;
  }

  /** Undefined until they were needed, unless they were given. */
  get edgesInHand(): Edges | undefined {
    return this.#edges;
  }

  /** Rejects with SumdbError, or the reason of the asker's signal; so do all below. */
  async edges(asker: SumdbAsker): Promise<Edges> {
    if (this.#edges !== undefined) return this.#edges;
    let work = asker.storedOnly === true ? undefined : this.#edgesWork;
    if (work === undefined || work.cancelled) {
      work = new SharedWork(async (signal, deadlineAtMs) => {
        const got = await this.#tiles.ofHead(this.head, { ...asker, signal, deadlineAtMs });
        this.#edges = new Map(got.map(({ tile, data }) => [tilePath(tile), { tile, data }]));
        return this.#edges;
      });
      if (asker.storedOnly !== true) this.#edgesWork = work;
    }
    try {
      return await work.join(asker.signal, asker.deadlineAtMs);
    } finally {
      if (this.#edgesWork === work) this.#edgesWork = undefined;
    }
  }

  /** The hash of record `id`, which must be in the tree. */
  async leafHash(id: number, asker: SumdbAsker): Promise<Buffer> {
    const index = storedHashIndex(0, id);
    const { tile, data } = await this.#holder(index, asker);
    return hashFromTile(tile, data, index);
  }

  /** What the hash of the tree of the first `size` records must be by this one, and the hashes that make it. */
  async hashOf(size: number, asker: SumdbAsker): Promise<{ hash: Buffer; proof: readonly Buffer[] }> {
    const proof: Buffer[] = [];
    const hash = await treeHashFrom(size, async (indexes) => {
      const hashes = await Promise.all(
        indexes.map(async (index) => {
          const { tile, data } = await this.#holder(index, asker);
          return hashFromTile(tile, data, index);
        }),
      );
      proof.push(...hashes);
      return hashes;
    });
    return { hash, proof };
  }

  /** The first `width` hashes of a tile; undefined when the tree has not so many there. */
  async tile(
    { level, n, width }: Pick<Tile, 'level' | 'n' | 'width'>,
    asker: SumdbAsker,
  ): Promise<GotTile | undefined> {
    const whole = tileParent({ height: tileHeight, level, n, width }, 0, this.size);
    if (whole === undefined || whole.width < width) return undefined;
    const { data, source } = await this.#holder(firstIndexOf(whole), asker);
    return { data: data.subarray(0, width * hashBytes), source };
  }

  async #holder(index: number, asker: SumdbAsker): Promise<ProvenTile> {
    const edges = await this.edges(asker);
    let parent: ProvenTile | undefined;
    for (const tile of pathTiles(this.head, tileHeight, index)) {
      const above = parent ?? this.#edgeOf(edges, tileParent(tile, 1, this.size));
      const got = await this.#tiles.full(tile, expectedTileHash(above, tile), asker, this.#overlay);
      parent = { tile, ...got };
    }
    return parent ?? this.#edgeOf(edges, tileParent(tileForIndex(tileHeight, index), 0, this.size));
  }

  #edgeOf(edges: Edges, tile: Tile | undefined): ProvenTile {
    const edge = tile === undefined ? undefined : edges.get(tilePath(tile));
    if (edge === undefined)
      throw new SumdbError('refused', `the tree of ${this.size} records has no such tile`);
    return { ...edge, source: 'store' };
  }
}

function firstIndexOf({ level, n }: Tile): number {
  return storedHashIndex(level * tileHeight, n * 2 ** tileHeight);
}
