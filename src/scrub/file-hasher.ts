/**
 * SHA-256 of files in a thread beside the event loop, which starts when first needed. Measured on two
 * cores with a gibibyte in memory: the thread with plain reads 1.2 GB/s a core; reads in the pool overlapped with
 * hashing 1.1 GB/s a core (1.4 GB/s by taking 1.25 cores, at full priority); on the event loop itself one block of
 * 1 MiB would hold every hit for 0.8 ms.
 */
import { Worker } from 'node:worker_threads';
import { raceAbort } from '../lib/abort.ts';
import { messageOf } from '../lib/errors.ts';
import type { HashAnswer, HasherFacts, HashOrder } from './hash-protocol.ts';

/** Between two looks at the pace or the signal: some 7 ms of work. */
const fullStepBytes = 8 * 1024 * 1024;
/** Small enough that a slow pace is an even one. */
const pacedStepBytes = 1024 * 1024;

export interface FileHash {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface HashOptions {
  /** Waited for before so many bytes are read. Default: as fast as it goes. */
  readonly grant?: ((bytes: number) => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What hashes a file. */
export interface Hasher {
  /** Rejects with the system's error (`code` ENOENT, EIO …), or the signal's reason. */
  hash(file: string, options?: HashOptions): Promise<FileHash>;
}

export interface FileHasherOptions {
  /** True: somebody waits for it, so its thread has the process's own priority. Default false: the lowest. */
  readonly isForeground?: boolean | undefined;
  /** Another thread body, for tests. */
  readonly workerUrl?: URL | undefined;
}

export class FileHasher implements Hasher {
  readonly #workerUrl: URL;
  readonly #isForeground: boolean;
  #worker: Worker | undefined;
  #waiting: PromiseWithResolvers<HashAnswer> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #dropping: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: FileHasherOptions = {}) {
    this.#workerUrl = options.workerUrl ?? new URL('./hash-worker.ts', import.meta.url);
    this.#isForeground = options.isForeground ?? false;
  }

  /** Files are hashed one after another. */
  hash(file: string, options: HashOptions = {}): Promise<FileHash> {
    const running = this.#turn.then(() => this.#hash(file, options));
    // Who leaves does not wait for the step under way, the next file does: a dead mount may hold it for long.
    this.#turn = running.catch(() => {}).then(() => this.#dropping);
    return running;
  }

  /** Ends the thread; what is under way rejects. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  async #hash(file: string, { grant, signal }: HashOptions): Promise<FileHash> {
    const stepBytes = grant === undefined ? fullStepBytes : pacedStepBytes;
    let order: HashOrder = { kind: 'open', file, stepBytes };
    let isOpen = false;
    try {
      for (;;) {
        signal?.throwIfAborted();
        await grant?.(stepBytes);
        signal?.throwIfAborted();
        const asked = this.#ask(order);
        isOpen = true;
        const answer = await (signal === undefined ? asked : raceAbort(asked, signal));
        if (answer.kind === 'more') {
          order = { kind: 'step', stepBytes };
          continue;
        }
        isOpen = false;
        if (answer.kind === 'done') return { sizeBytes: answer.sizeBytes, sha256: answer.sha256 };
        throw Object.assign(new Error(answer.message), { code: answer.code });
      }
    } finally {
      if (isOpen) this.#dropping = this.#drop();
    }
  }

  /** Lets the thread finish its step and close the file, so that the next file's answers are its own. */
  async #drop(): Promise<void> {
    await this.#waiting?.promise.catch(() => {});
    this.#send({ kind: 'drop' });
  }

  #ask(order: HashOrder): Promise<HashAnswer> {
    if (this.#isClosed) return Promise.reject(new Error('the hasher is closed because modferry is stopping'));
    const waiting = Promise.withResolvers<HashAnswer>();
    this.#waiting = waiting;
    this.#worker ??= this.#start();
    // A thread holds the process only while somebody waits for it.
    this.#worker.ref();
    this.#send(order);
    return waiting.promise;
  }

  #send(order: HashOrder): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker?.postMessage(order);
  }

  #start(): Worker {
    const worker = new Worker(this.#workerUrl, {
      execArgv: [],
      env: {},
      workerData: { isForeground: this.#isForeground } satisfies HasherFacts,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    worker.unref();
    let cause: unknown;
    worker.on('message', (answer: HashAnswer) => {
      worker.unref();
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.resolve(answer);
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      const why = cause === undefined ? '' : ` (${messageOf(cause)})`;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.reject(new Error(`the thread that hashes files ended${why}; try again`));
    });
    return worker;
  }
}
