/** One out of several, each with its weight as its chance. */

/**
 * `draw`: from 0 to below 1. Weights that are not above zero (NaN included) are never drawn; undefined when none is.
 */
export function weightedDraw<Item>(
  items: readonly Item[],
  weightOf: (item: Item) => number,
  draw: number,
): Item | undefined {
  let total = 0;
  for (const item of items) total += positive(weightOf(item));
  let left = draw * total;
  let last: Item | undefined;
  for (const item of items) {
    const weight = positive(weightOf(item));
    if (weight === 0) continue;
    last = item;
    left -= weight;
    if (left < 0) return item;
  }
  // Rounding may leave a crumb behind the last one.
  return last;
}

function positive(weight: number): number {
  return weight > 0 && Number.isFinite(weight) ? weight : 0;
}
