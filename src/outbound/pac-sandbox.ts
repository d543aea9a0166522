/**
 * Runs one PAC script where it can do no harm: in QuickJS, without network, in a thread of its own that is ended when
 * it takes too long or too much memory. A thread, because the libraries' own part (parsing, `shExpMatch`) cannot be
 * interrupted; so the event loop never waits for a script.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { PacError } from './pac-answer.ts';
import { firstOwnAddress } from './pac-helpers.ts';
import type { PacQuestion, PacReply, PacThreadData } from './pac-protocol.ts';

export interface PacSandboxOptions {
  readonly script: string;
  /** Names the script in errors. */
  readonly shown: string;
  readonly clock: Clock;
  /** For one question. Default 1000. */
  readonly answerMs?: number;
  /** For compiling the script and running its top level. Default 3000. */
  readonly loadMs?: number;
}

/** Of the script's own machine. */
const memoryBytes = 32 * 1024 * 1024;
/** Starting a thread and loading the libraries, on a busy machine. */
const startMs = 15_000;
/** A script that was stopped or cannot be loaded is not tried again for every host. */
const faultKeptMs = 10_000;

interface Thread {
  readonly worker: Worker;
  readonly replies: ReplyQueue;
}

export class PacSandbox {
  readonly #options: PacSandboxOptions;
  readonly #ownAddress = firstOwnAddress();
  #thread: Promise<Thread> | undefined;
  #running: Worker | undefined;
  #fault: { readonly error: PacError; readonly untilMs: number } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** Starts nothing yet. */
  constructor(options: PacSandboxOptions) {
    this.#options = options;
  }

  /** What `FindProxyForURL` answers; empty for nothing. Rejects with PacError when it fails or is stopped. */
  ask(question: PacQuestion): Promise<string> {
    const answer = this.#last.then(() => this.#ask(question));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends the thread after the questions that wait now; a later one starts another. Never rejects. */
  rest(): Promise<void> {
    const rested = this.#last.then(() => this.#end());
    this.#last = rested;
    return rested;
  }

  /** Ends the thread. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  async #ask(question: PacQuestion): Promise<string> {
    const { clock, shown, answerMs = 1000 } = this.#options;
    if (this.#isClosed) throw new PacError(`the PAC script ${shown} is no longer in use`);
    if (this.#fault !== undefined && this.#fault.untilMs > clock.monotonic()) throw this.#fault.error;
    this.#thread ??= this.#start();
    const { worker, replies } = await this.#thread;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(question);
    const reply = await this.#next(replies, answerMs);
    if (reply.kind === 'answer') return reply.answer;
    // The machine may be in any state, after running out of stack for example.
    await this.#end();
    throw this.#failure(reply);
  }

  async #start(): Promise<Thread> {
    const { script, loadMs = 3000 } = this.#options;
    const data: PacThreadData = { script, ownAddress: this.#ownAddress, memoryBytes };
    const worker = new Worker(new URL('pac-thread.ts', import.meta.url), {
      workerData: data,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32 },
    });
    worker.unref();
    const replies = new ReplyQueue(worker);
    this.#running = worker;
    await this.#next(replies, startMs);
    const reply = await this.#next(replies, loadMs);
    if (reply.kind === 'ready') return { worker, replies };
    await this.#end();
    throw this.#kept(this.#failure(reply));
  }

  /** The next reply, or PacError after ending the thread. */
  async #next(replies: ReplyQueue, limitMs: number): Promise<PacReply> {
    const { clock, shown } = this.#options;
    const late = Promise.withResolvers<never>();
    const timer = clock.setTimeout(() => {
      const text = `the PAC script ${shown} ran longer than ${limitMs / 1000} s and was stopped; correct it`;
      late.reject(new PacError(text));
    }, limitMs);
    try {
      return await Promise.race([replies.next(), late.promise]);
    } catch (error) {
      await this.#end();
      if (error instanceof PacError) throw this.#kept(error);
      const text = `the PAC script ${shown} was stopped: ${messageOf(error, 200)}`;
      throw this.#kept(new PacError(text, { cause: error }));
    } finally {
      timer.cancel();
    }
  }

  #failure(reply: PacReply): PacError {
    const { shown } = this.#options;
    const why = reply.kind === 'failed' ? reply.message : 'its thread is out of step';
    return new PacError(`the PAC script ${shown} failed: ${why}`);
  }

  #kept(error: PacError): PacError {
    this.#fault = { error, untilMs: this.#options.clock.monotonic() + faultKeptMs };
    return error;
  }

  async #end(): Promise<void> {
    const worker = this.#running;
    this.#running = undefined;
    this.#thread = undefined;
    await worker?.terminate();
  }
}

/** Replies in their order; an error or the end of the thread is the last. */
class ReplyQueue {
  readonly #replies: PacReply[] = [];
  #ended: Error | undefined;
  #waiting: PromiseWithResolvers<PacReply> | undefined;

  constructor(worker: Worker) {
    worker.on('message', (reply: PacReply) => {
      if (this.#waiting === undefined) this.#replies.push(reply);
      else this.#waiting.resolve(reply);
      this.#waiting = undefined;
    });
    worker.on('error', (error: unknown) => this.#end(error instanceof Error ? error : new Error('failed')));
    worker.on('exit', () => this.#end(new Error('its thread ended')));
  }

  next(): Promise<PacReply> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#waiting = Promise.withResolvers<PacReply>();
    return this.#waiting.promise;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    // Whoever waited may have been told already, by its time limit.
    this.#waiting?.promise.catch(() => {});
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }
}
