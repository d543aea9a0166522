/**
 * Hashes of trees from stored hashes, and the proof of RFC 6962 (section 2.1.2) that a tree continues a smaller one, as
 * golang.org/x/mod/sumdb/tlog makes and checks it.
 */
import { emptyTreeHash, nodeHash } from './hash.ts';
import { LogError } from './log-error.ts';
import { assertCount, maxPow2, maxTreeSize, subTreeIndexes } from './stored-index.ts';

/** Gives the stored hashes with these numbers, in the order asked. What follows is only as true as they are. */
export type ReadHashes = (indexes: readonly number[]) => Promise<readonly Buffer[]>;

/** Records [lo, hi): a proof is a list of the hashes of such ranges, the smallest first. */
interface Range {
  readonly lo: number;
  readonly hi: number;
}

/**
 * The hash of the tree of the first `size` records, by a single read. Rejects with LogError `bad_index`, `too_large`,
 * and what the reader rejects with.
 */
export async function treeHashFrom(size: number, readHashes: ReadHashes): Promise<Buffer> {
  assertSize(size);
  if (size === 0) return emptyTreeHash;
  const [hash = emptyTreeHash] = await rangeHashes([{ lo: 0, hi: size }], readHashes);
  return hash;
}

/**
 * The proof that a tree of `treeSize` records begins with the tree of its first `n`, by a single read. Rejects with
 * LogError `bad_index` unless 1 <= n <= treeSize, `too_large`, and what the reader rejects with.
 */
export async function proveTree(treeSize: number, n: number, readHashes: ReadHashes): Promise<Buffer[]> {
  return rangeHashes(treeProofRanges(treeSize, n), readHashes);
}

/**
 * Checks the proof that the tree with `treeHash` begins with the tree of `n` records that has `hash`. Throws LogError
 * `inconsistent` when it does not show that, `bad_index` unless 1 <= n <= treeSize, `too_large`.
 */
export function checkTree(
  proof: readonly Buffer[],
  treeSize: number,
  treeHash: Buffer,
  n: number,
  hash: Buffer,
): void {
  const ranges = treeProofRanges(treeSize, n);
  // The smaller tree may be a subtree of the larger one; else the first range is its right end.
  const isSubTree = ranges.every(({ lo }) => lo >= n);
  let smaller = isSubTree ? hash : partOf(proof, 0);
  let larger = smaller;
  for (const [at, { lo }] of ranges.entries()) {
    if (at === 0 && !isSubTree) continue;
    const part = partOf(proof, at);
    if (lo < n) smaller = nodeHash(part, smaller);
    larger = lo < n ? nodeHash(part, larger) : nodeHash(larger, part);
  }
  if (proof.length !== ranges.length || !smaller.equals(hash) || !larger.equals(treeHash)) {
    throw new LogError(
      'inconsistent',
      `the proof does not show that the tree of ${treeSize} records begins with that of ${n}`,
    );
  }
}

/** One hash of the hashes of complete subtrees from left to right, each smaller than the one before; at least one. */
export function foldSubTrees(hashes: readonly Buffer[]): Buffer {
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

function treeProofRanges(treeSize: number, n: number): Range[] {
  assertSize(treeSize);
  assertCount(n);
  if (n < 1 || n > treeSize) {
    throw new LogError('bad_index', `a tree of ${treeSize} records does not begin with one of ${n}`);
  }
  const ranges: Range[] = [];
  let [lo, hi] = [0, treeSize];
  while (n < hi) {
    const middle = lo + maxPow2(hi - lo).power;
    if (n <= middle) {
      ranges.push({ lo: middle, hi });
      hi = middle;
    } else {
      ranges.push({ lo, hi: middle });
      lo = middle;
    }
  }
  // A whole smaller tree is known to who checks.
  if (lo > 0) ranges.push({ lo, hi });
  return ranges.toReversed();
}

async function rangeHashes(ranges: readonly Range[], readHashes: ReadHashes): Promise<Buffer[]> {
  const indexes = ranges.map(({ lo, hi }) => subTreeIndexes(lo, hi));
  const wanted = indexes.flat();
  if (wanted.length === 0) return [];
  const hashes = await readHashes(wanted);
  if (hashes.length !== wanted.length) {
    throw new LogError(
      'inconsistent',
      `of ${wanted.length} hashes that were asked for ${hashes.length} came`,
    );
  }
  let at = 0;
  return indexes.map(({ length }) => {
    const own = hashes.slice(at, at + length);
    at += length;
    return foldSubTrees(own);
  });
}

function partOf(proof: readonly Buffer[], at: number): Buffer {
  const part = proof[at];
  if (part === undefined) throw new LogError('inconsistent', 'the proof has too few hashes');
  return part;
}

function assertSize(treeSize: number): void {
  assertCount(treeSize);
  if (treeSize > maxTreeSize)
    throw new LogError('too_large', 'no tree of more than 2^52 records is counted here');
}
