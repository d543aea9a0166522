/**
 * The body of a verifier thread: takes one job at a time, checks the zip and answers. It reads synchronously, for a
 * thread has nothing else to do, and looks at the shared stop flag between entries.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

import { messageOf } from '../lib/errors.ts';
import { checkModuleZip } from './module-zip-check.ts';
import type { VerifyAnswer, VerifyJob } from './verify-protocol.ts';
import type { RandomReader } from './zip-reader.ts';
import { bufferReader } from './zip-reader.ts';
import type { ZipFacts } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

parentPort?.on('message', (job: VerifyJob) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  void answer(job).then((message) => parentPort?.postMessage(message));
});

async function answer(job: VerifyJob): Promise<VerifyAnswer> {
  try {
    return { id: job.id, facts: await run(job) };
  } catch (error) {
    const isZipError = error instanceof ZipError;
    return {
      id: job.id,
      failure: {
        zipCode: isZipError ? error.code : undefined,
        message: isZipError ? error.message : messageOf(error),
        fields: isZipError ? error.fields : {},
      },
    };
  }
}

async function run(job: VerifyJob): Promise<ZipFacts> {
  const checkpoint = (): void => {
    if (Atomics.load(job.stop, 0) !== 0) throw new Error('stopped');
  };
  if (job.bytes) {
    const { buffer, byteOffset, byteLength } = job.bytes;
    const reader = bufferReader(Buffer.from(buffer, byteOffset, byteLength));
    return checkModuleZip(reader, { ...job.target, checkpoint });
  }
  const descriptor = openSync(job.file ?? '', 'r');
  try {
    const reader: RandomReader = {
      sizeBytes: fstatSync(descriptor).size,
      readAt: (target, length, position) => readSync(descriptor, target, 0, length, position),
    };
    return await checkModuleZip(reader, { ...job.target, checkpoint });
  } finally {
    closeSync(descriptor);
  }
}
