/**
 * Compares passwords with their hashes away from the event loop: bcrypt in a thread of its own that is started when it
 * is needed and ended when nobody logs in, scrypt on the threads of node:crypto. Few at once, and few that wait.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import type { PasswordHash } from './password-hash.ts';

/** What goes to the thread and comes back. */
export interface BcryptJob {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

export interface BcryptAnswer {
  readonly id: number;
  readonly isGood: boolean;
}

/** Says whether a password has this hash. Rejects with ModferryError `busy`, `closed` or `thread`, or the signal's reason. */
export type CheckPassword = (hash: PasswordHash, password: string, signal: AbortSignal) => Promise<boolean>;

/** One thread compares while another password's answer is on its way. */
const atOnce = 2;
const maxWaiting = 256;
const idleForMs = 60_000;

export class PasswordChecker {
  readonly #clock: Clock;
  readonly #places = new Semaphore(atOnce, maxWaiting);
  readonly #pending = new Map<number, PromiseWithResolvers<boolean>>();
  #nextId = 0;
  #worker: Worker | undefined;
  #idleTimer: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** See `CheckPassword`. */
  async check(hash: PasswordHash, password: string, signal: AbortSignal): Promise<boolean> {
    const release = await this.#places.acquire(signal);
    if (release === undefined) throw new ModferryError('busy', 'too many passwords are being checked');
    try {
      if (this.#isClosed) throw closed();
      if (hash.kind === 'scrypt') return await hasScrypt(hash, password);
      // An asker that leaves gives no place free before the thread is done with it.
      return await this.#hasBcrypt(hash.text, password);
    } finally {
      release();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end(closed());
  }

  #hasBcrypt(hash: string, password: string): Promise<boolean> {
    this.#idleTimer?.cancel();
    const worker = (this.#worker ??= this.#start());
    this.#nextId += 1;
    const job: BcryptJob = { id: this.#nextId, password, hash };
    const pending = Promise.withResolvers<boolean>();
    this.#pending.set(job.id, pending);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(job);
    return pending.promise;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./bcrypt-worker.ts', import.meta.url), {
      name: 'bcrypt',
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    worker.unref();
    worker.on('message', ({ id, isGood }: BcryptAnswer) => {
      this.#pending.get(id)?.resolve(isGood);
      this.#pending.delete(id);
      if (this.#pending.size === 0) this.#endWhenIdle();
    });
    const fail = (cause: unknown): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#reject(new ModferryError('thread', 'the thread that checks passwords ended', { cause }));
    };
    worker.on('error', fail);
    worker.on('exit', fail);
    return worker;
  }

  #endWhenIdle(): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = this.#clock.setTimeout(() => void this.#end(closed()), idleForMs);
  }

  async #end(reason: ModferryError): Promise<void> {
    this.#idleTimer?.cancel();
    const worker = this.#worker;
    this.#worker = undefined;
    this.#reject(reason);
    await worker?.terminate();
  }

  #reject(reason: ModferryError): void {
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}

function closed(): ModferryError {
  return new ModferryError('closed', 'passwords are not checked any more');
}

async function hasScrypt(
  { costBits, blockSize, parallel, salt, key }: PasswordHash & { kind: 'scrypt' },
  password: string,
): Promise<boolean> {
  const cost = 2 ** costBits;
  // What the algorithm needs, with some room for its own books.
  const maxmem = 128 * cost * blockSize + 128 * blockSize * (parallel + 2) + 1024 * 1024;
  const found = await new Promise<Buffer>((resolve, reject) => {
    scrypt(
      password,
      salt,
      key.length,
      { cost, blockSize, parallelization: parallel, maxmem },
      (error, derived) => {
        if (error === null) resolve(derived);
        else reject(error);
      },
    );
  });
  return timingSafeEqual(found, key);
}
