/**
 * The dense order in which a log stores the hashes of its tree (section 3.3 of Crosby and Wallach, "Efficient Data
 * Structures for Tamper-Evident Logging"): every hash of a complete subtree has one number. All numbers are safe
 * integers; bit operations of JavaScript have 32 bits and are not used.
 */
import { LogError } from './log-error.ts';

/** Most records a tree may have: the stored hashes of a larger one could not be counted exactly. */
export const maxTreeSize: number = 2 ** 52;

/** A hash's place in the tree: `n` counts the subtrees of 2^level records from the left. */
export interface TreePlace {
  readonly level: number;
  readonly n: number;
}

/**
 * The largest power of two that is smaller than `n`, and its exponent; 1 and 0 for `n` of 1 and 2. `n` is at most
 * 2^53.
 */
export function maxPow2(n: number): { readonly power: number; readonly exponent: number } {
  let exponent = 0;
  let power = 1;
  while (power * 2 < n) {
    power *= 2;
    exponent += 1;
  }
  return { power, exponent };
}

/**
 * The number of the `n`-th hash of a level. Throws LogError `bad_index` for what is no count, `too_large` beyond
 * 2^53-1.
 */
export function storedHashIndex(level: number, n: number): number {
  assertCount(level);
  assertCount(n);
  // A hash of level L is written right behind the (2n+1)-th of level L-1.
  let leaf = n;
  for (let l = level; l > 0 && leaf <= maxTreeSize; l -= 1) leaf = 2 * leaf + 1;
  let index = level;
  for (let rest = leaf; rest > 0; rest = Math.floor(rest / 2)) index += rest;
  if (index > Number.MAX_SAFE_INTEGER) {
    throw new LogError('too_large', `no tree that is counted here has ${n + 1} hashes at level ${level}`);
  }
  return index;
}

/** The inverse of `storedHashIndex`. Throws LogError `bad_index` for what is no count. */
export function splitStoredHashIndex(index: number): TreePlace {
  assertCount(index);
  // Record n stands at less than 2n, so the one sought is in [index/2, index/2 + log2(index)].
  let record = Math.floor(index / 2);
  let start = 0;
  for (let rest = record; rest > 0; rest = Math.floor(rest / 2)) start += rest;
  for (;;) {
    // A record adds its own hash and one for each subtree that it completes.
    const next = start + 1 + trailingZeros(record + 1);
    if (next > index) break;
    record += 1;
    start = next;
  }
  const level = index - start;
  return { level, n: Math.floor(record / 2 ** level) };
}

/** How many hashes a tree of `n` records stores. Throws LogError as `storedHashIndex`. */
export function storedHashCount(n: number): number {
  assertCount(n);
  if (n === 0) return 0;
  return storedHashIndex(0, n - 1) + 1 + trailingZeros(n);
}

/**
 * Numbers of the stored hashes that make the hash of the records [lo, hi), from the left; none when the range is
 * empty. Throws LogError `bad_index` unless `lo` begins a subtree that is at least as large as the range's largest.
 */
export function subTreeIndexes(lo: number, hi: number): number[] {
  assertCount(lo);
  assertCount(hi);
  const indexes: number[] = [];
  for (let at = lo; at < hi; ) {
    const { power, exponent } = maxPow2(hi - at + 1);
    if (at % power !== 0) throw new LogError('bad_index', `records ${lo} to ${hi} are no part of a tree`);
    indexes.push(storedHashIndex(exponent, at / power));
    at += power;
  }
  return indexes;
}

/** Throws LogError `bad_index` for negative numbers and fractions, `too_large` beyond 2^53-1. */
export function assertCount(n: number): void {
  if (Number.isSafeInteger(n) && n >= 0) return;
  if (n > Number.MAX_SAFE_INTEGER) throw new LogError('too_large', `${n} is beyond 2^53-1`);
  throw new LogError('bad_index', `${n} is no number of a record or hash`);
}

/** Of a number above 0. */
function trailingZeros(n: number): number {
  let zeros = 0;
  for (let rest = n; rest % 2 === 0; rest /= 2) zeros += 1;
  return zeros;
}
