/** The body of the bcrypt thread: one comparison after another, each of some 100 ms that the event loop does not have. */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';
import type { BcryptAnswer, BcryptJob } from './password-checker.ts';

parentPort?.on('message', ({ id, password, hash }: BcryptJob) => {
  const answer: BcryptAnswer = { id, isGood: compareSync(password, hash) };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer);
});
