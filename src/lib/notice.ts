/** A re-armable "something changed" notice: many may wait for the next change without polling. */
export class Notice {
  #next = Promise.withResolvers<void>();

  /** Wakes everyone who waits now. */
  raise(): void {
    const current = this.#next;
    this.#next = Promise.withResolvers<void>();
    current.resolve();
  }

  /** The next change. Take it before looking at the state, else a change in between is missed. */
  get changed(): Promise<void> {
    return this.#next.promise;
  }
}
