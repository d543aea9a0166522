/**
 * Durations as people write them: `30s`, `1m30s`, `200ms`, `2h`, `7d`. The form is Go's (time.ParseDuration)
 * with `d` for 24 hours, without signs and without units below a millisecond.
 */
const unitMs = new Map<string, number>([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const wholeForm = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const oneTerm = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/**
 * Whole milliseconds of a duration, or undefined when it is none. A bare number is seconds. Rounded to the
 * nearest millisecond; what does not fit a safe integer is no duration.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d+(?:\.\d+)?$/.test(trimmed)) return safe(Number(trimmed) * 1000);
  if (!wholeForm.test(trimmed)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of trimmed.matchAll(oneTerm)) {
    totalMs += Number(amount) * (unitMs.get(unit ?? '') ?? Number.NaN);
  }
  return safe(totalMs);
}

/** The shortest exact form with whole amounts: 90000 → `1m30s`, 0 → `0s`. Takes whole, non-negative milliseconds. */
export function formatDuration(durationMs: number): string {
  let rest = durationMs;
  let text = '';
  for (const [unit, size] of [...unitMs].toReversed()) {
    const amount = Math.floor(rest / size);
    if (amount === 0) continue;
    text += `${amount}${unit}`;
    rest -= amount * size;
  }
  return text === '' ? '0s' : text;
}

function safe(valueMs: number): number | undefined {
  const rounded = Math.round(valueMs);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}
