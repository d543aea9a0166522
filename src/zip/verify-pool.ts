/**
 * Runs the check of module zips beside the event loop, in a few threads that start when first needed. Zips so small
 * that the way to a thread costs more than the check are checked where they are. A thread that dies fails its own
 * job and is replaced. Zips that are arriving can be checked as they come (`stream-checks.ts`).
 */
import { Worker } from 'node:worker_threads';

import { messageOf } from '../lib/errors.ts';
import { checkModuleZip, declaredInflatedBytes } from './module-zip-check.ts';
import { StreamChecks, type StreamChecksOptions } from './stream-checks.ts';
import type { StagedPart, ZipStream } from './stream-feed.ts';
import type { VerifyAnswer, VerifyFailure, VerifyJob } from './verify-protocol.ts';
import { factsOf } from './verify-protocol.ts';
import { verifyThreadOptions } from './verify-thread.ts';
import { bufferReader } from './zip-reader.ts';
import type { ZipFacts, ZipTarget } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

const inlineZipBytes = 256 * 1024;
const inlineInflatedBytes = 2 * 1024 * 1024;

export interface ZipVerifierOptions {
  /** Threads at most, started when needed. Default 1. */
  readonly threads?: number | undefined;
  /** Jobs that may wait for a thread. Default 1024. */
  readonly maxQueued?: number | undefined;
  /** Another thread body, for tests. */
  readonly workerUrl?: URL | undefined;
  /** Of the check while bytes arrive. */
  readonly streams?: StreamChecksOptions | undefined;
}

/** One zip to verify: exactly one of `file` (an absolute path) and `buffer`. */
export interface VerifyRequest extends ZipTarget {
  readonly file?: string | undefined;
  /** Not to be changed until the answer; copied if it goes to a thread. */
  readonly buffer?: Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Pending {
  readonly job: VerifyJob;
  resolve(facts: ZipFacts): void;
  reject(error: unknown): void;
}

interface Thread {
  readonly worker: Worker;
  current: Pending | undefined;
}

export class ZipVerifier {
  readonly #maxThreads: number;
  readonly #maxQueued: number;
  readonly #workerUrl: URL;
  readonly #threads = new Set<Thread>();
  readonly #queue: Pending[] = [];
  readonly #streams: StreamChecks;
  #nextId = 1;
  #isClosed = false;

  constructor(options: ZipVerifierOptions = {}) {
    this.#maxThreads = Math.max(1, options.threads ?? 1);
    this.#maxQueued = options.maxQueued ?? 1024;
    this.#workerUrl = options.workerUrl ?? new URL('./verify-worker.ts', import.meta.url);
    this.#streams = new StreamChecks(options.streams);
  }

  /**
   * Checks and hashes a module zip. Rejects with ZipError: the codes of `checkModuleZip`, `verifier_busy` when too
   * many jobs wait, `verifier_failed` when the thread died or the file could not be read, `verifier_closed`; or
   * with the signal's reason.
   */
  async verify(request: VerifyRequest): Promise<ZipFacts> {
    request.signal?.throwIfAborted();
    if (this.#isClosed) throw closedError();
    if (request.buffer && (await isSmall(request.buffer, request))) {
      return checkModuleZip(bufferReader(request.buffer), {
        ...request,
        checkpoint: () => request.signal?.throwIfAborted(),
      });
    }
    return this.#enqueue(request);
  }

  /**
   * Begins to check a zip whose bytes are still arriving. `staged` says where it is being written to: from there the
   * thread reads what came faster than it could take it. Never throws: what cannot be checked so `finish`es undefined.
   */
  openStream(target: ZipTarget, staged?: () => StagedPart | undefined): ZipStream {
    return this.#streams.open(target, staged);
  }

  /** Stops the threads; streams give up, jobs under way and waiting reject with `verifier_closed`. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pending of this.#queue.splice(0)) pending.reject(closedError());
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const thread of threads) thread.current?.reject(closedError());
    const ends = threads.map((thread) => thread.worker.terminate());
    await Promise.all([this.#streams.close(), ...ends]);
  }

  async #enqueue(request: VerifyRequest): Promise<ZipFacts> {
    if (this.#isClosed) throw closedError();
    request.signal?.throwIfAborted();
    const isWaiting = this.#threads.size >= this.#maxThreads && ![...this.#threads].some((t) => !t.current);
    if (isWaiting && this.#queue.length >= this.#maxQueued) {
      throw new ZipError(
        'verifier_busy',
        `${this.#queue.length} zips wait to be verified already; try again later.`,
      );
    }
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { path, version, limits, extraRules } = request;
    const job: VerifyJob = {
      id: this.#nextId++,
      target: { path, version, limits, extraRules },
      file: request.file,
      bytes: request.buffer,
      stop,
    };
    const { promise, resolve, reject } = Promise.withResolvers<ZipFacts>();
    const pending: Pending = { job, resolve, reject };
    const onAbort = (): void => {
      Atomics.store(stop, 0, 1);
      const at = this.#queue.indexOf(pending);
      if (at >= 0) this.#queue.splice(at, 1);
      reject(request.signal?.reason);
    };
    request.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      this.#queue.push(pending);
      this.#dispatch();
      return await promise;
    } finally {
      request.signal?.removeEventListener('abort', onAbort);
    }
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = [...this.#threads].find((candidate) => !candidate.current) ?? this.#startThread();
      if (!thread) return;
      const pending = this.#queue.shift();
      if (!pending) return;
      thread.current = pending;
      // A thread holds the process only while somebody waits for it.
      thread.worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      thread.worker.postMessage(pending.job);
    }
  }

  #startThread(): Thread | undefined {
    if (this.#threads.size >= this.#maxThreads || this.#isClosed) return undefined;
    const worker = new Worker(this.#workerUrl, verifyThreadOptions);
    worker.unref();
    const thread: Thread = { worker, current: undefined };
    this.#threads.add(thread);
    let cause: unknown;
    worker.on('message', (answer: VerifyAnswer) => {
      const pending = thread.current;
      if (pending?.job.id !== answer.id) return;
      thread.current = undefined;
      worker.unref();
      settle(pending, answer);
      this.#dispatch();
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      this.#threads.delete(thread);
      const text = `The thread that verified the zip died${cause === undefined ? '' : ` (${messageOf(cause)})`}; try again.`;
      thread.current?.reject(new ZipError('verifier_failed', text, { cause }));
      this.#dispatch();
    });
    return thread;
  }
}

async function isSmall(buffer: Buffer, target: ZipTarget): Promise<boolean> {
  if (buffer.length > inlineZipBytes) return false;
  return (await declaredInflatedBytes(bufferReader(buffer), target)) <= inlineInflatedBytes;
}

function settle(pending: Pending, answer: VerifyAnswer): void {
  if ('failure' in answer) {
    pending.reject(errorOf(answer.failure));
    return;
  }
  pending.resolve(factsOf(answer.facts));
}

function errorOf({ zipCode, message, fields }: VerifyFailure): ZipError {
  if (zipCode !== undefined) return new ZipError(zipCode, message, { fields: { ...fields } });
  return new ZipError('verifier_failed', `The zip could not be verified: ${message}.`);
}

function closedError(): ZipError {
  return new ZipError('verifier_closed', 'The verifier is closed because modferry is stopping.');
}
