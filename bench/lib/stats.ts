/**
 * The arithmetic of the bench: medians, and ratios taken pair by pair. Machines drift, so two things are compared
 * only within one round, and the order turns around from round to round.
 */

/** Middle value; of an even number the mean of the two middle ones. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const upper = sorted[Math.floor(half)] ?? Number.NaN;
  return Number.isInteger(half) ? ((sorted[half - 1] ?? Number.NaN) + upper) / 2 : upper;
}

/** Median of `left[n] / right[n]`: both lists hold one value a round. */
export function medianRatio(left: readonly number[], right: readonly number[]): number {
  return median(left.map((value, round) => value / (right[round] ?? Number.NaN)));
}

/**
 * Runs every contender once a round: A B C, C B A, A B C … Resolves to the values of each, in the order of the rounds.
 */
export async function interleave<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, (round: number) => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[];
  const values = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      values[name].push(await contenders[name](round));
    }
  }
  return values;
}
