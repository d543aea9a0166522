/** When askers give up. Askers of shared work come and go, so a deadline is looked at anew each time it matters. */

/** Monotonic milliseconds; undefined: the asker waits as long as it takes. */
export type Deadline = () => number | undefined;

/** The latest of all. Undefined when one of them has none, and when there are none. */
export function latestOf(deadlines: Iterable<Deadline | undefined>): number | undefined {
  let latestMs: number | undefined;
  for (const deadline of deadlines) {
    const atMs = deadline?.();
    if (atMs === undefined) return undefined;
    latestMs = Math.max(latestMs ?? atMs, atMs);
  }
  return latestMs;
}
