/** JSON that came from a disk others can write to: only what is an object passes, its fields are still unknown. */

/** Undefined when the text is no JSON or no object. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Undefined for arrays and everything else that is no plain object. */
export function asObject(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value));
}
