/**
 * The body of the thread that checks zips while they arrive: takes the orders of several streams, carries out those
 * of one stream in order and lets the streams take turns. A zip that is not proven ends its stream without a reason,
 * for the random-access check is the one that refuses.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';

import { blockBytes } from './stream-feed.ts';
import type { StreamNotice, StreamOrder } from './stream-protocol.ts';
import { ZipStreamCheck } from './zip-stream-check.ts';
import type { ZipFacts, ZipTarget } from './zip-types.ts';

type Step = Exclude<StreamOrder, { kind: 'open' } | { kind: 'close' }>;

class StreamJob {
  readonly #id: number;
  readonly #check: ZipStreamCheck;
  #steps: Promise<void> = Promise.resolve();
  #file: FileHandle | undefined;
  #buffer: Buffer | undefined;
  #isOver = false;

  constructor(id: number, target: ZipTarget) {
    this.#id = id;
    this.#check = new ZipStreamCheck(target);
  }

  add(step: Step): void {
    this.#steps = this.#steps.then(() => this.#run(step));
  }

  /** Whatever waits is dropped; a step under way ends soon. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#check.close();
    void this.#steps.then(() => this.#tellEnd(undefined));
  }

  async #run(step: Step): Promise<void> {
    if (this.#isOver) {
      drop(step);
      return;
    }
    try {
      if (step.kind === 'bytes') await this.#take(step.block, step.length);
      else if (step.kind === 'read') await this.#read(step.file, step.fromByte, step.toByte);
      else await this.#end(await this.#check.finish());
    } catch {
      if (this.#isOver) return;
      this.#check.close();
      await this.#end(undefined);
    }
  }

  async #take(block: ArrayBuffer, length: number): Promise<void> {
    await this.#check.push(Buffer.from(block, 0, length));
    // Given back only after a good push: after a failed one zlib may still be reading from it.
    send({ kind: 'taken', id: this.#id, block }, [block]);
    await setImmediate();
  }

  async #read(path: string, fromByte: number, toByte: number): Promise<void> {
    this.#file ??= await open(path, 'r');
    const buffer = (this.#buffer ??= Buffer.allocUnsafeSlow(blockBytes));
    for (let at = fromByte; at < toByte; ) {
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(blockBytes, toByte - at), at);
      if (bytesRead === 0) throw new Error('the staged file is shorter than said');
      await this.#check.push(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
    send({ kind: 'read', id: this.#id }, []);
  }

  async #end(facts: ZipFacts | undefined): Promise<void> {
    this.#isOver = true;
    await this.#tellEnd(facts);
  }

  async #tellEnd(facts: ZipFacts | undefined): Promise<void> {
    jobs.delete(this.#id);
    await this.#file?.close().catch(() => {});
    send({ kind: 'done', id: this.#id, facts }, []);
  }
}

const jobs = new Map<number, StreamJob>();

parentPort?.on('message', (order: StreamOrder) => {
  if (order.kind === 'open') jobs.set(order.id, new StreamJob(order.id, order.target));
  else if (order.kind === 'close') jobs.get(order.id)?.close();
  else {
    const job = jobs.get(order.id);
    if (job === undefined) drop(order);
    else job.add(order);
  }
});

/** Gives its memory back now; the collector would take its time. */
function drop(step: Step): void {
  if (step.kind === 'bytes') step.block.transfer(0);
}

function send(notice: StreamNotice, transfer: ArrayBuffer[]): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(notice, transfer);
}
