/**
 * Signed heads that came with answers whose record is proven already: whether they contradict the known head is looked
 * at behind the reply, one after another, the largest first, because the smaller ones then cost least.
 */
import { LRUCache } from 'lru-cache';
import type { SignedHead } from './consistency.ts';

const maxWaiting = 64;
const maxChecked = 1000;

interface Waiting {
  readonly signed: SignedHead;
  readonly source: string;
  readonly key: string;
}

export class LaterChecks {
  readonly #check: (signed: SignedHead, source: string) => Promise<void>;
  readonly #waiting: Waiting[] = [];
  /** Size and hash of heads that were looked at or wait for it. */
  readonly #seen = new LRUCache<string, true>({ max: maxChecked });
  #running: Promise<void> | undefined;

  /** `check` rejects when nothing could be found out: the head may come again then. */
  constructor(check: (signed: SignedHead, source: string) => Promise<void>) {
    this.#check = check;
  }

  /** Drops it when too many wait: contradictions show themselves again. */
  add(signed: SignedHead, source: string): void {
    const key = `${signed.head.size} ${signed.head.hash.toString('base64')}`;
    if (this.#seen.has(key) || this.#waiting.length >= maxWaiting) return;
    this.#seen.set(key, true);
    this.#waiting.push({ signed, source, key });
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#seen.clear();
  }

  async #run(): Promise<void> {
    for (;;) {
      const next = this.#takeLargest();
      if (next === undefined) {
        this.#running = undefined;
        return;
      }
      await this.#check(next.signed, next.source).catch(() => this.#seen.delete(next.key));
    }
  }

  #takeLargest(): Waiting | undefined {
    this.#waiting.sort((a, b) => a.signed.head.size - b.signed.head.size);
    return this.#waiting.pop();
  }
}
