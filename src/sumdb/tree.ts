/** The log's tree under one signed head: hashes and tiles of it, each proven on the way from the head down. */
import { hashBytes } from './log/hash.ts';
import { proveTree, type ReadHashes, treeHashFrom } from './log/proof.ts';
import { storedHashIndex } from './log/stored-index.ts';
import { hashFromTile, type Tile, type TileData, tileParent, tilePath } from './log/tile.ts';
import { provenHolder } from './log/tile-reader.ts';
import type { TreeHead } from './log/tree-head.ts';
import { SharedAsks } from './shared-asks.ts';
import { type GotTile, type Overlay, type Tiles, tileHeight } from './tiles.ts';
import type { SumdbAsker } from './types.ts';

/** Head tiles that were checked against their head, by path. */
export type Edges = ReadonlyMap<string, TileData>;

/** `source`: where its bytes came from just now; undefined for head tiles. */
type HeldTile = TileData & { readonly source?: string };

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
  readonly #edgesAsks = new SharedAsks<Edges>();

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
    // Who wants only what is kept must not be given what others ask for.
    if (asker.storedOnly === true) return this.#getEdges(asker);
    return this.#edgesAsks.join('', asker, (all) => this.#getEdges(all));
  }

  /** The hash of record `id`, which must be in the tree. */
  async leafHash(id: number, asker: SumdbAsker): Promise<Buffer> {
    const index = storedHashIndex(0, id);
    const { tile, data } = await this.#holder(index, asker);
    return hashFromTile(tile, data, index);
  }

  /** What the hash of the tree of the first `size` records must be by this one. */
  hashOf(size: number, asker: SumdbAsker): Promise<Buffer> {
    return treeHashFrom(size, this.#reader(asker));
  }

  /** The proof of RFC 6962 that this tree begins with the tree of its first `size` records, of which there is one at least. */
  proofOf(size: number, asker: SumdbAsker): Promise<readonly Buffer[]> {
    return proveTree(this.size, size, this.#reader(asker));
  }

  /** The first `width` hashes of a tile; undefined when the tree has not so many there. */
  async tile(
    { level, n, width }: Pick<Tile, 'level' | 'n' | 'width'>,
    asker: SumdbAsker,
  ): Promise<GotTile | undefined> {
    const whole = tileParent({ height: tileHeight, level, n, width }, 0, this.size);
    if (whole === undefined || whole.width < width) return undefined;
    const { data, source } = await this.#holder(firstIndexOf(whole), asker);
    return { data: data.subarray(0, width * hashBytes), source: source ?? 'store' };
  }

  async #getEdges(asker: SumdbAsker): Promise<Edges> {
    const got = await this.#tiles.ofHead(this.head, asker);
    this.#edges = new Map(got.map(({ tile, data }) => [tilePath(tile), { tile, data }]));
    return this.#edges;
  }

  #reader(asker: SumdbAsker): ReadHashes {
    return (indexes) =>
      Promise.all(
        indexes.map(async (index) => {
          const { tile, data } = await this.#holder(index, asker);
          return hashFromTile(tile, data, index);
        }),
      );
  }

  async #holder(index: number, asker: SumdbAsker): Promise<HeldTile> {
    return provenHolder<HeldTile>({
      head: this.head,
      height: tileHeight,
      index,
      edges: await this.edges(asker),
      full: async (tile, expected) => {
        return { tile, ...(await this.#tiles.full(tile, expected, asker, this.#overlay)) };
      },
    });
  }
}

function firstIndexOf({ level, n }: Tile): number {
  return storedHashIndex(level * tileHeight, n * 2 ** tileHeight);
}
