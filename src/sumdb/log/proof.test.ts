import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sumdbVectors } from '../../../test/kit/sumdb-vectors/sumdb-vectors.ts';
import { emptyTreeHash, recordHash } from './hash.ts';
import { LogError } from './log-error.ts';
import { checkTree, proveTree, treeHashFrom } from './proof.ts';
import { TestTree } from './test-tree.ts';

const { trees } = sumdbVectors();
const largest = TestTree.of(65_541);

describe('trees and proofs are those of tlog', () => {
  it.each(trees)('$size records', async ({ size, hash, treeProofs }) => {
    expect(await treeHashFrom(size, largest.readHashes)).toEqual(hash);
    for (const { n, proof } of treeProofs) {
      expect(await proveTree(size, n, largest.readHashes)).toEqual(proof);
      checkTree(proof, size, hash, n, await treeHashFrom(n, largest.readHashes));
    }
  });

  it('a tree without records needs no stored hash', async () => {
    expect(await treeHashFrom(0, () => Promise.reject(new Error('asked')))).toEqual(emptyTreeHash);
  });
});

it('every smaller tree of every tree up to 100 is proven, and no other', async () => {
  const tree = TestTree.of(100);
  for (let size = 1; size <= 100; size += 1) {
    const { hash } = await tree.head(size);
    for (let n = 0; n < size; n += 1) {
      const record = recordHash(Buffer.from(`record ${n}\n`));
      const treeProof = await proveTree(size, n + 1, tree.readHashes);
      const smaller = (await tree.head(n + 1)).hash;
      checkTree(treeProof, size, hash, n + 1, smaller);
      refused(() => checkTree(treeProof, size, hash, n + 1, record.equals(smaller) ? emptyTreeHash : record));
    }
  }
});

describe('what is not so is not proven', () => {
  const shapes = fc
    .record({ size: fc.integer({ min: 1, max: 300 }), a: fc.nat(), b: fc.nat() })
    .map(({ size, a, b }) => ({ size, n: a % size, forged: b % size }));

  it('no proof of a tree in which one record differs fits the true head', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ size, n, forged }) => {
        const honest = TestTree.of(size);
        const tampered = TestTree.of(size, (at) => (at === forged ? 'forged\n' : `record ${at}\n`));
        const head = await honest.head();
        const lie = await tampered.head();
        const known = await tampered.head(n + 1);
        const treeProof = await proveTree(size, n + 1, tampered.readHashes);
        checkTree(treeProof, size, lie.hash, n + 1, known.hash);
        refused(() => checkTree(treeProof, size, head.hash, n + 1, known.hash));
        // A fork: the known tree has the record that the larger one has not.
        const honestProof = await proveTree(size, n + 1, honest.readHashes);
        if (forged <= n) refused(() => checkTree(honestProof, size, head.hash, n + 1, known.hash));
      }),
    );
  });

  it('a proof with one byte altered, a hash more or a hash less shows nothing', async () => {
    const tree = TestTree.of(300);
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(), fc.integer({ min: 1, max: 255 }), async ({ size, n }, at, flip) => {
        const { hash } = await tree.head(size);
        const smaller = (await tree.head(n + 1)).hash;
        const treeProof = await proveTree(size, n + 1, tree.readHashes);
        for (const wrong of spoiled(treeProof, at, flip)) {
          refused(() => checkTree(wrong, size, hash, n + 1, smaller));
        }
      }),
    );
  });

  it('numbers outside the tree are refused before a hash is read', async () => {
    const unread = () => Promise.reject(new Error('asked'));
    const outside = expect.objectContaining({ code: 'bad_index' });
    for (const n of [-1, 0, 6]) {
      await expect(proveTree(5, n, unread)).rejects.toThrow(outside);
      expect(() => checkTree([], 5, emptyTreeHash, n, emptyTreeHash)).toThrow(outside);
    }
    const absurd = expect.objectContaining({ code: 'too_large' });
    await expect(treeHashFrom(2 ** 52 + 2, unread)).rejects.toThrow(absurd);
    await expect(proveTree(2 ** 53, 5, unread)).rejects.toThrow(absurd);
  });

  it('a reader that gives too few hashes is refused', async () => {
    await expect(treeHashFrom(3, async () => [emptyTreeHash])).rejects.toThrow(LogError);
    await expect(proveTree(7, 3, async () => [])).rejects.toThrow(LogError);
  });
});

function refused(check: () => void): void {
  expect(check).toThrow(expect.objectContaining({ code: 'inconsistent' }));
}

/** The proof with a byte of it altered, with the last hash left out, with one more, with hashes of a wrong length. */
function spoiled(proof: readonly Buffer[], at: number, flip: number): Buffer[][] {
  const longer = [...proof, emptyTreeHash];
  const all = Buffer.concat(proof);
  if (all.length === 0) return [longer];
  const position = at % all.length;
  all[position] = (all[position] ?? 0) ^ flip;
  const altered = proof.map((_, i) => all.subarray(i * 32, (i + 1) * 32));
  const cut = proof.map((hash, i) => (i === Math.floor(position / 32) ? hash.subarray(1) : hash));
  return [altered, cut, longer, proof.slice(0, -1)];
}
