/** Work on the items of one source by several hands. */

/**
 * Calls `work` for each item, at most `hands` at once. The first rejection stops taking items; it is rejected with when
 * the calls under way have ended.
 */
export async function forEachConcurrently<Item>(
  items: AsyncIterable<Item>,
  hands: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  async function hand(): Promise<void> {
    while (failure === undefined) {
      try {
        const next = await iterator.next();
        if (next.done === true) return;
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: hands }, hand));
  if (failure === undefined) return;
  await iterator.return?.();
  throw failure.error;
}
