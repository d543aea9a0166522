/** The hashes of the log's tree (RFC 6962, section 2.1): SHA-256 with a first byte that tells records from nodes. */
import { hash } from 'node:crypto';

import { LogError } from './log-error.ts';

/** Size of one hash in bytes. */
export const hashBytes = 32;

/** The hash of a tree without records: SHA-256 of nothing. Never write to it. */
export const emptyTreeHash: Buffer = hash('sha256', Buffer.alloc(0), 'buffer');

const recordPrefix = Buffer.from([0]);

// One input for all nodes: a full tile takes 255 of them, and the hash function keeps nothing of its input.
const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 1);

/** SHA-256 of 0x00 and the record's text. */
export function recordHash(text: Buffer): Buffer {
  return hash('sha256', Buffer.concat([recordPrefix, text]), 'buffer');
}

/** SHA-256 of 0x01 and both hashes. Throws LogError `inconsistent` unless both have `hashBytes`. */
export function nodeHash(left: Buffer, right: Buffer): Buffer {
  if (left.length !== hashBytes || right.length !== hashBytes) {
    throw new LogError('inconsistent', `a hash of a log has ${hashBytes} bytes`);
  }
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  return hash('sha256', nodeInput, 'buffer');
}

/**
 * The hash over 2^k hashes, one behind the other in `hashes`, by pairing neighbours until one is left; a view of
 * `hashes` when there is only one.
 */
export function foldPairs(hashes: Buffer): Buffer {
  if (hashes.length === hashBytes) return hashes;
  let level = hashes;
  const above = Buffer.alloc(hashes.length / 2);
  for (let bytes = above.length; bytes >= hashBytes; bytes /= 2) {
    for (let at = 0; at < bytes; at += hashBytes) {
      level.copy(nodeInput, 1, at * 2, (at + hashBytes) * 2);
      // A string is three times quicker than a Buffer for each of them.
      above.write(hash('sha256', nodeInput, 'binary'), at, hashBytes, 'binary');
    }
    level = above;
  }
  return above.subarray(0, hashBytes);
}
