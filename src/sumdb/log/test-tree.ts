/** A whole log in memory for tests: every stored hash, and the tiles and heads that follow. */
import { nodeHash, recordHash } from './hash.ts';
import { treeHashFrom } from './proof.ts';
import { storedHashIndex } from './stored-index.ts';
import type { Tile } from './tile.ts';
import type { TreeHead } from './tree-head.ts';

export class TestTree {
  readonly stored: Buffer[] = [];
  #size = 0;

  /** A tree of `size` records, the n-th of which is `record n` and a line feed, as the vectors have them. */
  static of(size: number, textOf: (n: number) => string = (n) => `record ${n}\n`): TestTree {
    const tree = new TestTree();
    for (let n = 0; n < size; n += 1) tree.add(textOf(n));
    return tree;
  }

  get size(): number {
    return this.#size;
  }

  add(text: string): void {
    let hash = recordHash(Buffer.from(text));
    this.stored.push(hash);
    // Each trailing 1 bit of the record's number completes a subtree.
    for (let n = this.#size, level = 0; n % 2 === 1; n = (n - 1) / 2, level += 1) {
      hash = nodeHash(this.hashAt(storedHashIndex(level, n - 1)), hash);
      this.stored.push(hash);
    }
    this.#size += 1;
  }

  hashAt(index: number): Buffer {
    const hash = this.stored[index];
    if (hash === undefined) throw new Error(`the test tree has no hash ${index}`);
    return hash;
  }

  readonly readHashes = async (indexes: readonly number[]): Promise<Buffer[]> =>
    indexes.map((index) => this.hashAt(index));

  async head(size: number = this.#size): Promise<TreeHead> {
    return { size, hash: await treeHashFrom(size, this.readHashes) };
  }

  /** The tile's bytes, in a Buffer of their own. */
  tile({ height, level, n, width }: Tile): Buffer {
    const first = n * 2 ** height;
    return Buffer.concat(
      Array.from({ length: width }, (_, at) => this.hashAt(storedHashIndex(level * height, first + at))),
    );
  }

  readonly readTiles = async (tiles: readonly Tile[]): Promise<Buffer[]> =>
    tiles.map((tile) => this.tile(tile));
}
