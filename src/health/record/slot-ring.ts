/** Which part of a rolling window the present falls into, and which parts have fallen out of it. Holds no figures. */
export class SlotRing {
  readonly count: number;
  readonly #slotMs: number;
  /** Number of the present slot since time zero. */
  #head: number | undefined;

  /** The window is `count` slots long, the one under way included: it covers a little less than `windowMs`. */
  constructor(windowMs: number, count: number) {
    this.count = count;
    this.#slotMs = windowMs / count;
  }

  /** Index of the present slot. `drop` is called for each slot whose content is now too old, the present one included. */
  at(nowMs: number, drop: (index: number) => void): number {
    const head = Math.floor(nowMs / this.#slotMs);
    const before = this.#head ?? head;
    if (head > before) {
      const expired = Math.min(head - before, this.count);
      for (let step = 0; step < expired; step += 1) drop((head - step) % this.count);
    }
    this.#head = Math.max(head, before);
    return this.#head % this.count;
  }
}
