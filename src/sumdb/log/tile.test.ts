import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { hashBytes, nodeHash } from './hash.ts';
import { LogError } from './log-error.ts';
import { splitStoredHashIndex, storedHashIndex } from './stored-index.ts';
import { TestTree } from './test-tree.ts';
import {
  hashFromTile,
  parseTilePath,
  type Tile,
  tileForIndex,
  tileHash,
  tileParent,
  tilePath,
} from './tile.ts';

const vectors = sumdbVectors();

/** Tiles that Go writes a path for and that are nothing to us: raw records, and numbers that are not exact. */
function isBeyondUs(level: number, n: string): boolean {
  return level < 0 || BigInt(n) > BigInt(Number.MAX_SAFE_INTEGER);
}

describe('tile paths', () => {
  it.each(vectors.tilePaths.filter(({ ok, level, n }) => ok && !isBeyondUs(level, n)))(
    '$path is read and written as tlog does',
    ({ path, height, level, n, width }) => {
      const tile = { height, level, n: Number(n), width };
      expect(parseTilePath(path)).toEqual(tile);
      expect(tilePath(tile)).toBe(path);
    },
  );

  it.each(vectors.tilePaths.filter(({ ok }) => !ok))('$path is refused as tlog does', ({ path }) => {
    expect(() => parseTilePath(path)).toThrow(LogError);
  });

  it('of raw records and of numbers beyond 2^53-1 are refused', () => {
    const beyond = vectors.tilePaths.filter(({ ok, level, n }) => ok && isBeyondUs(level, n));
    expect(beyond.map(({ path }) => path)).toContain('tile/8/data/000.p/3');
    expect(beyond.length).toBeGreaterThan(2);
    for (const { path } of beyond) expect(() => parseTilePath(path)).toThrow(LogError);
    expect(() => parseTilePath('tile/8/0/x009/x007/x199/x254/x740/992')).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    );
    expect(() => parseTilePath('tile/8/64/000')).toThrow(expect.objectContaining({ code: 'bad_tile' }));
  });

  it('come back, whatever the tile', () => {
    const tiles = fc
      .record({ height: fc.integer({ min: 1, max: 30 }), level: fc.nat({ max: 63 }), n: fc.maxSafeNat() })
      .chain((tile) => fc.integer({ min: 1, max: 2 ** tile.height }).map((width) => ({ ...tile, width })));
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile);
      }),
    );
  });

  it('of arbitrary text raise LogError or are written back as they were', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^tile\/[0-9+-]{1,3}\/[0-9]{1,3}\/[0-9x/.p]{1,40}$/),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = attempt(() => parseTilePath(text));
        if (parsed !== undefined) expect(tilePath(parsed)).toBe(text);
      }),
      { numRuns: 2000 },
    );
    expect(() => parseTilePath(`tile/8/0/${'x000/'.repeat(1_000_000)}000`)).toThrow(LogError);
  });

  it('are not made of impossible tiles', () => {
    const tile = { height: 8, level: 0, n: 0, width: 256 };
    const impossible = [{ height: 31 }, { level: 64 }, { level: -1 }, { n: -1 }, { n: 2 ** 53 }, { n: 0.5 }];
    for (const part of [...impossible, { width: 0 }, { width: 257 }, { width: Number.NaN }]) {
      expect(() => tilePath({ ...tile, ...part })).toThrow(expect.objectContaining({ code: 'bad_tile' }));
    }
  });
});

describe('tiles of hashes and trees', () => {
  it.each(vectors.tilesForIndex)('height $height: hash $index is in $path', ({ height, index, path }) => {
    expect(tilePath(tileForIndex(height, index))).toBe(path);
  });

  it('a parent is as wide as the tree has it, and absent where it has none', () => {
    const tile = { height: 8, level: 0, n: 5, width: 7 };
    expect(tileParent(tile, 0, 5 * 256 + 9)).toEqual({ ...tile, width: 9 });
    expect(tileParent(tile, 0, 6 * 256)).toEqual({ ...tile, width: 256 });
    expect(tileParent(tile, 0, 7 * 256)).toEqual({ ...tile, width: 256 });
    expect(tileParent(tile, 0, 5 * 256)).toBeUndefined();
    expect(tileParent(tile, 1, 6 * 256 + 3)).toEqual({ height: 8, level: 1, n: 0, width: 6 });
    expect(tileParent(tile, 2, 6 * 256)).toBeUndefined();
    expect(tileParent(tile, 2, 2 ** 52)).toEqual({ height: 8, level: 2, n: 0, width: 256 });
    expect(tileParent(tile, 1000, 2 ** 52)).toBeUndefined();
  });

  it('every stored hash comes out of its tile, at several heights', () => {
    const tree = TestTree.of(70);
    for (const height of [1, 2, 3, 8]) {
      for (const [index, hash] of tree.stored.entries()) {
        const least = tileForIndex(height, index);
        const wide = tileParent(least, 0, tree.size);
        expect(hashFromTile(least, tree.tile(least), index)).toEqual(hash);
        if (wide !== undefined) expect(hashFromTile(wide, tree.tile(wide), index)).toEqual(hash);
      }
    }
  });

  it('a hash is not taken from another tile, nor from data of another length', () => {
    const tile: Tile = { height: 2, level: 0, n: 1, width: 3 };
    const data = TestTree.of(8).tile(tile);
    expect(splitStoredHashIndex(storedHashIndex(0, 6))).toEqual({ level: 0, n: 6 });
    expect(hashFromTile(tile, data, storedHashIndex(0, 6))).toEqual(data.subarray(64));
    for (const [level, n] of [
      [0, 3],
      [0, 7],
      [1, 3],
      [2, 1],
    ] as const) {
      const take = () => hashFromTile(tile, data, storedHashIndex(level, n));
      expect(take).toThrow(expect.objectContaining({ code: 'bad_tile' }));
    }
    for (const wrong of [data.subarray(1), data.subarray(32), Buffer.concat([data, data]), Buffer.alloc(0)]) {
      const take = () => hashFromTile(tile, wrong, storedHashIndex(0, 4));
      expect(take).toThrow(expect.objectContaining({ code: 'bad_tile' }));
    }
  });
});

describe('tileHash', () => {
  it('is the hash of the subtree above', () => {
    const tree = TestTree.of(256);
    expect(tileHash(tree.tile({ height: 8, level: 0, n: 0, width: 256 }))).toEqual(
      tree.hashAt(storedHashIndex(8, 0)),
    );
    const [left, right] = [Buffer.alloc(hashBytes, 1), Buffer.alloc(hashBytes, 2)];
    expect(tileHash(Buffer.concat([left, right]))).toEqual(nodeHash(left, right));
    expect(tileHash(left)).toEqual(left);
  });

  it('leaves its input as it was', () => {
    const data = TestTree.of(8).tile({ height: 3, level: 0, n: 0, width: 8 });
    const before = Buffer.from(data);
    tileHash(data);
    expect(data).toEqual(before);
  });

  it('refuses what is no power of two of hashes', () => {
    for (const bytes of [0, 1, 31, 33, 96, 8191, 8193, 255 * 32]) {
      expect(() => tileHash(Buffer.alloc(bytes))).toThrow(expect.objectContaining({ code: 'bad_tile' }));
    }
  });
});

it('nodeHash takes whole hashes only', () => {
  const [whole, cut] = [Buffer.alloc(32), Buffer.alloc(31)];
  expect(() => nodeHash(whole, cut)).toThrow(expect.objectContaining({ code: 'inconsistent' }));
  expect(() => nodeHash(Buffer.alloc(33), whole)).toThrow(expect.objectContaining({ code: 'inconsistent' }));
});

/** Undefined for a LogError; any other error fails the test. */
function attempt<Result>(run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}
