/**
 * Sizes as people write them: `512MiB`, `64KiB` (powers of 1024) and `1MB`, `20GB` (powers of 1000). A bare
 * number is bytes. `K`, `M`, `G` alone are refused: half of the readers take them for the other power.
 */
const binaryUnits: readonly (readonly [string, number])[] = [
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
];
const decimalUnits: readonly (readonly [string, number])[] = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['KB', 1e3],
];
const factors = new Map<string, number>(
  [...binaryUnits, ...decimalUnits, ['B', 1] as const].map(([unit, size]) => [unit.toLowerCase(), size]),
);

/** Whole bytes of a size, or undefined when it is none or does not fit a safe integer. Units in any case. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (match === null) return undefined;
  const factor = factors.get((match[2] || 'b').toLowerCase());
  if (factor === undefined) return undefined;
  const sizeBytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** The exact form in the largest unit that leaves a whole amount, binary units first: 67108864 → `64MiB`. */
export function formatByteSize(sizeBytes: number): string {
  if (sizeBytes === 0) return '0B';
  for (const [unit, size] of [...binaryUnits, ...decimalUnits]) {
    if (sizeBytes % size === 0) return `${sizeBytes / size}${unit}`;
  }
  return `${sizeBytes}B`;
}
