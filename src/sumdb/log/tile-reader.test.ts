import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { emptyTreeHash, recordHash } from './hash.ts';
import { LogError } from './log-error.ts';
import { treeHashFrom } from './proof.ts';
import { storedHashCount, storedHashIndex } from './stored-index.ts';
import { type ReadTiles, readHashes } from './test-read-hashes.ts';
import { TestTree } from './test-tree.ts';
import { type Tile, tileForIndex, tilePath } from './tile.ts';
import { checkFullTile, checkHeadTiles, headTiles, provenHolder } from './tile-reader.ts';

const { trees, tileReads } = sumdbVectors();
const largest = TestTree.of(65_541);
const inconsistent = expect.objectContaining({ name: 'LogError', code: 'inconsistent' });
const badTile = expect.objectContaining({ name: 'LogError', code: 'bad_tile' });
const badIndex = expect.objectContaining({ name: 'LogError', code: 'bad_index' });

describe('readHashes', () => {
  it.each(tileReads)('reads of $size records at height $height what tlog reads', async (vector) => {
    const { size, height, indexes } = vector;
    const hash = trees.find((tree) => tree.size === size)?.hash ?? Buffer.alloc(0);
    const calls: string[][] = [];
    async function read(tiles: readonly Tile[]): Promise<Buffer[]> {
      calls.push(tiles.map(tilePath));
      return largest.readTiles(tiles);
    }
    const head = { size, hash };
    const { hashes, tiles } = await readHashes({ head, height, indexes, read });
    expect(hashes).toEqual(vector.hashes);
    expect(tiles.map(({ tile }) => tilePath(tile))).toEqual(vector.tiles);
    for (const { tile, data } of tiles) expect(data).toEqual(largest.tile(tile));
    expect(calls[0]).toEqual(headTiles(head, height).map(tilePath));
    expect(calls.flat()).toEqual(vector.tiles);
  });

  it('every hash of every tree up to 100 comes, and every hash that was altered is noticed', async () => {
    const tree = new TestTree();
    const wrong: string[] = [];
    for (let size = 1; size <= 100; size += 1) {
      tree.add(`record ${size}\n`);
      const head = await tree.head();
      const all = tree.stored.map((_, index) => index);
      const { hashes } = await readHashes({ head, height: 2, indexes: all, read: tree.readTiles });
      expect(hashes).toEqual(tree.stored);
      const everyTile = [...new Map(all.map((index) => [tileNameOf(index), index])).values()];
      for (const index of all) {
        const { hashes: one } = await readHashes({ head, height: 2, indexes: [index], read: tree.readTiles });
        if (one[0]?.equals(tree.hashAt(index)) !== true) wrong.push(`${size}: hash ${index}`);
        const read = zeroed(tree, index);
        for (const indexes of [[index], everyTile]) {
          const code = await codeOf(readHashes({ head, height: 2, indexes, read }));
          if (code !== 'inconsistent') wrong.push(`${size}: altered hash ${index} gives ${code}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  }, 60_000);

  it('an altered byte in any tile is noticed, whatever is read', async () => {
    await fc.assert(
      fc.asyncProperty(
        reads,
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ({ size, height, indexes }, which, where, flip) => {
          const head = await largest.head(size);
          const honest = await readHashes({ head, height, indexes, read: largest.readTiles });
          expect(honest.hashes).toEqual(indexes.map((index) => largest.hashAt(index)));
          const target = tilePath(pick(honest.tiles, which).tile);
          const read = altered((tile, data) => {
            if (tilePath(tile) !== target) return data;
            const copy = Buffer.from(data);
            const at = where % copy.length;
            copy[at] = (copy[at] ?? 0) ^ flip;
            return copy;
          });
          await expect(readHashes({ head, height, indexes, read })).rejects.toThrow(inconsistent);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('a tile that is too short or too long is refused, and so are tiles that did not come', async () => {
    const cuts = fc.oneof(fc.integer({ min: -8192, max: -1 }), fc.integer({ min: 1, max: 8192 }));
    await fc.assert(
      fc.asyncProperty(reads, fc.nat(), cuts, async ({ size, height, indexes }, which, by) => {
        const head = await largest.head(size);
        const { tiles } = await readHashes({ head, height, indexes, read: largest.readTiles });
        const target = tilePath(pick(tiles, which).tile);
        const resized = altered((tile, data) => {
          if (tilePath(tile) !== target) return data;
          return by < 0
            ? data.subarray(0, Math.max(0, data.length + by))
            : Buffer.concat([data, Buffer.alloc(by)]);
        });
        await expect(readHashes({ head, height, indexes, read: resized })).rejects.toThrow(badTile);
        const fewer: ReadTiles = async (wanted) => (await largest.readTiles(wanted)).slice(1);
        await expect(readHashes({ head, height, indexes, read: fewer })).rejects.toThrow(badTile);
      }),
    );
  });

  it('tiles of another tree of the same size are refused', async () => {
    const other = TestTree.of(300, (n) => (n === 7 ? 'forged\n' : `record ${n}\n`));
    const head = await largest.head(300);
    const indexes = [storedHashIndex(0, 7)];
    await expect(readHashes({ head, height: 8, indexes, read: other.readTiles })).rejects.toThrow(
      inconsistent,
    );
  });

  it('a tree without records has its hash and no tile', async () => {
    const read = () => Promise.reject(new Error('asked'));
    const head = { size: 0, hash: emptyTreeHash };
    expect(await readHashes({ head, height: 8, indexes: [], read })).toEqual({ hashes: [], tiles: [] });
    await expect(readHashes({ head, height: 8, indexes: [0], read })).rejects.toThrow(badIndex);
    const wrong = { size: 0, hash: recordHash(emptyTreeHash) };
    await expect(readHashes({ head: wrong, height: 8, indexes: [], read })).rejects.toThrow(inconsistent);
  });

  it('what the reader rejects with comes through', async () => {
    const head = await largest.head(300);
    const read = () => Promise.reject(new Error('no source'));
    await expect(readHashes({ head, height: 8, indexes: [0], read })).rejects.toThrow('no source');
  });
});

describe('CVE-2026-56865: several subtrees of the head in one tile', () => {
  // Subtrees of the head that share the one head tile: 2 of 768 records, 3 of 1792, 7 of 65,024.
  it.each([768, 1792, 65_024])('no forged tile below it passes: %i records', async (size) => {
    const head = await largest.head(size);
    expect(headTiles(head, 8).map(tilePath)).toEqual([`tile/8/1/000.p/${size / 256}`]);
    // The attack: a forged record in a tile that fits it, and true tiles for everything else.
    const records = Array.from({ length: Math.min(size / 256, 8) }, (_, tile) => tile * 256 + 5);
    const indexes = records.map((n) => storedHashIndex(0, n));
    const forged = recordHash(Buffer.from('forged\n'));
    for (const n of records) {
      const read = altered((tile, data) => {
        if (tile.level !== 0 || tile.n !== Math.floor(n / 256)) return data;
        const copy = Buffer.from(data);
        forged.copy(copy, (n % 256) * 32);
        return copy;
      });
      await expect(readHashes({ head, height: 8, indexes, read })).rejects.toThrow(inconsistent);
      const alone = [storedHashIndex(0, n)];
      await expect(readHashes({ head, height: 8, indexes: alone, read })).rejects.toThrow(inconsistent);
    }
    const all = altered((tile, data) => (tile.level === 0 ? Buffer.alloc(data.length, forged) : data));
    await expect(readHashes({ head, height: 8, indexes, read: all })).rejects.toThrow(inconsistent);
    const { hashes } = await readHashes({ head, height: 8, indexes, read: largest.readTiles });
    expect(hashes).toEqual(indexes.map((index) => largest.hashAt(index)));
  });
});

describe('step by step', () => {
  /** What is asked for on the way from true head tiles to a hash, with what it must be. */
  async function way(size: number, height: number, index: number) {
    const head = await largest.head(size);
    const edges = new Map(
      headTiles(head, height).map((tile) => [tilePath(tile), { tile, data: largest.tile(tile) }]),
    );
    const asked: { tile: Tile; expected: Buffer }[] = [];
    const holder = await provenHolder({
      head,
      height,
      index,
      edges,
      full: async (tile, expected) => {
        asked.push({ tile, expected });
        return { tile, data: largest.tile(tile) };
      },
    });
    return { asked, holder };
  }

  it('head tiles prove each other, and lead to each tile below', async () => {
    const size = 65_541;
    const head = await largest.head(size);
    const top = headTiles(head, 8);
    expect(top.map(tilePath)).toEqual(['tile/8/2/000.p/1', 'tile/8/0/256.p/5']);
    const tiles = top.map((tile) => ({ tile, data: largest.tile(tile) }));
    checkHeadTiles(head, 8, tiles);
    checkHeadTiles(head, 8, tiles.toReversed());

    const { asked, holder } = await way(size, 8, storedHashIndex(0, 300));
    expect(asked.map(({ tile }) => tilePath(tile))).toEqual(['tile/8/1/000', 'tile/8/0/001']);
    for (const { tile, expected } of asked) checkFullTile({ tile, data: largest.tile(tile) }, expected);
    expect(tilePath(holder.tile)).toBe('tile/8/0/001');
    expect((await way(size, 8, storedHashIndex(0, 65_540))).asked).toEqual([]);
    expect((await way(size, 8, storedHashIndex(16, 0))).asked).toEqual([]);
    await expect(way(size, 8, storedHashCount(size))).rejects.toThrow(badIndex);
  });

  it('a hash that the tree has not is refused before anything is asked for', async () => {
    const head = await largest.head(300);
    const full = () => Promise.reject(new Error('asked'));
    for (const index of [storedHashCount(300), storedHashIndex(9, 0), 10 ** 9, -1, 0.5]) {
      await expect(provenHolder({ head, height: 8, index, edges: new Map(), full })).rejects.toThrow(
        badIndex,
      );
    }
    await expect(provenHolder({ head, height: 8, index: 2 ** 53, edges: new Map(), full })).rejects.toThrow(
      LogError,
    );
    await expect(provenHolder({ head, height: 0, index: 0, edges: new Map(), full })).rejects.toThrow(
      badTile,
    );
    await expect(provenHolder({ head, height: 8, index: 0, edges: new Map(), full })).rejects.toThrow(
      badTile,
    );
    expect(() => headTiles({ ...head, size: 2 ** 53 }, 8)).toThrow(LogError);
  });

  it('a tile that was handed out as another one vouches for nothing', async () => {
    const head = await largest.head(65_541);
    const edges = new Map(
      headTiles(head, 8).map((tile) => [tilePath(tile), { tile, data: largest.tile(tile) }]),
    );
    const middle = { height: 8, level: 1, n: 0, width: 256 };
    const wrong: Partial<Tile>[] = [{ n: 1 }, { level: 0 }, { width: 1 }, { height: 4, width: 16 }];
    for (const other of wrong) {
      const tile = { ...middle, ...other };
      const data = Buffer.alloc(tile.width * 32);
      await expect(
        provenHolder({
          head,
          height: 8,
          index: storedHashIndex(0, 300),
          edges,
          full: async () => ({ tile, data }),
        }),
      ).rejects.toThrow(badTile);
    }
  });

  it('only exactly the head tiles are checked as such', async () => {
    const head = await largest.head(65_541);
    const tiles = headTiles(head, 8).map((tile) => ({ tile, data: largest.tile(tile) }));
    const [first, second] = [pick(tiles, 0), pick(tiles, 1)];
    const below = { height: 8, level: 0, n: 1, width: 256 };
    const narrow = { ...second.tile, width: 4 };
    for (const wrong of [
      [],
      [first],
      [first, first],
      [...tiles, second],
      [...tiles, { tile: below, data: largest.tile(below) }],
      [first, { tile: narrow, data: largest.tile(narrow) }],
      [first, { tile: second.tile, data: second.data.subarray(1) }],
    ]) {
      expect(() => checkHeadTiles(head, 8, wrong)).toThrow(badTile);
    }
  });

  it('all tiles but those of the head are full, and the head tiles have no hash that they do not prove', async () => {
    for (const height of [1, 2, 3]) {
      for (const size of [1, 2, 3, 7, 8, 31, 64, 100]) {
        const head = await largest.head(size);
        for (let index = 0; index < storedHashCount(size); index += 1) {
          const { asked } = await way(size, height, index);
          for (const { tile } of asked) expect(tile.width).toBe(2 ** height);
        }
        for (const target of headTiles(head, height)) {
          for (let at = 0; at < target.width; at += 1) {
            const tiles = headTiles(head, height).map((tile) => {
              const data = largest.tile(tile);
              if (tile.level === target.level) data.fill(0, at * 32, (at + 1) * 32);
              return { tile, data };
            });
            expect(() => checkHeadTiles(head, height, tiles)).toThrow(inconsistent);
          }
        }
      }
    }
  });
});

it('a smaller tree follows from the tiles of a larger one', async () => {
  const head = await largest.head(65_541);
  for (const size of [1, 255, 256, 768, 1000, 65_536, 65_540]) {
    const hash = await treeHashFrom(
      size,
      async (indexes) => (await readHashes({ head, height: 8, indexes, read: largest.readTiles })).hashes,
    );
    expect(hash).toEqual((await largest.head(size)).hash);
  }
});

/** Any tree up to 3000 records, any height, any hashes of it. */
const reads = fc
  .record({
    size: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constantFrom(256, 512, 768, 1024, 1792)),
    height: fc.constantFrom(1, 2, 3, 5, 8),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
  })
  .map(({ size, height, picks }) => ({
    size,
    height,
    indexes: picks.map((any) => any % storedHashCount(size)),
  }));

function altered(alter: (tile: Tile, data: Buffer) => Buffer): ReadTiles {
  return async (tiles) => tiles.map((tile) => alter(tile, largest.tile(tile)));
}

/** True tiles, but that the one of this hash has zeros where the hash or those that make it stand. */
function zeroed(tree: TestTree, index: number): ReadTiles {
  const target = tileForIndex(2, index);
  const hashes = index === storedHashIndex(target.level * 2, target.n * 4 + target.width - 1) ? 1 : 2;
  return async (tiles) =>
    tiles.map((tile) => {
      const data = tree.tile(tile);
      if (tile.level === target.level && tile.n === target.n) {
        data.fill(0, (target.width - hashes) * 32, target.width * 32);
      }
      return data;
    });
}

/** The code of the LogError that a promise rejects with; undefined when it resolves. */
async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof LogError) return error.code;
    throw error;
  }
}

function tileNameOf(index: number): string {
  const { level, n } = tileForIndex(2, index);
  return `${level}/${n}`;
}

function pick<Item>(items: readonly Item[], any: number): Item {
  const item = items[any % items.length];
  if (item === undefined) throw new Error('there is nothing to pick');
  return item;
}
