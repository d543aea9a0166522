/**
 * The body of the hasher's thread: reads a file in blocks with one buffer and hashes it, a granted step at a time. It
 * reads synchronously: the kernel reads ahead while a block is hashed, and so the reads run at this thread's own
 * priority instead of that of the pool which serves hits.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { HashAnswer, HasherFacts, HashOrder } from './hash-protocol.ts';

const blockBytes = 1024 * 1024;
const lowestPriority = 19;

interface OpenHash {
  readonly descriptor: number;
  readonly hash: Hash;
  sizeBytes: number;
}

const block = Buffer.allocUnsafeSlow(blockBytes);
let current: OpenHash | undefined;

// Only Linux has a priority for each thread; elsewhere this would slow the whole process.
if (!(workerData as HasherFacts).isForeground && process.platform === 'linux') {
  try {
    setPriority(0, lowestPriority);
  } catch {
    // Not allowed here: the pace still holds.
  }
}

parentPort?.on('message', (order: HashOrder) => {
  if (order.kind === 'drop') {
    close();
    return;
  }
  let answer: HashAnswer;
  try {
    answer = order.kind === 'open' ? open(order.file, order.stepBytes) : step(order.stepBytes);
  } catch (error) {
    close();
    answer = { kind: 'failed', code: errnoOf(error), message: messageOf(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer);
});

function open(file: string, stepBytes: number): HashAnswer {
  close();
  const descriptor = openSync(file, 'r');
  current = { descriptor, hash: createHash('sha256'), sizeBytes: 0 };
  if (!fstatSync(descriptor).isFile()) {
    throw Object.assign(new Error(`${file} is no regular file`), { code: 'ENOENT' });
  }
  return step(stepBytes);
}

function step(stepBytes: number): HashAnswer {
  if (current === undefined) throw new Error('no file is open');
  let left = stepBytes;
  while (left > 0) {
    const count = readSync(current.descriptor, block, 0, Math.min(left, blockBytes), current.sizeBytes);
    if (count === 0) {
      const { sizeBytes, hash } = current;
      close();
      return { kind: 'done', sizeBytes, sha256: hash.digest('hex') };
    }
    current.hash.update(count === blockBytes ? block : block.subarray(0, count));
    current.sizeBytes += count;
    left -= count;
  }
  return { kind: 'more', sizeBytes: current.sizeBytes };
}

function close(): void {
  if (current === undefined) return;
  const { descriptor } = current;
  current = undefined;
  closeSync(descriptor);
}
