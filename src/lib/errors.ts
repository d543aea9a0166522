/**
 * The one base of every error modferry raises on purpose. An error is data: a stable `code`, a sentence that
 * tells the reader what to do, and structured fields. Mapping to HTTP status happens in one table in `http/`.
 */
export class ModferryError<Code extends string = string> extends Error {
  readonly code: Code;
  /** Structured facts for logs and tests. Never a secret. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    code: Code,
    message: string,
    options: { cause?: unknown; fields?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = options.fields ?? {};
  }
}

/** Narrows an unknown rejection to one with a Node-style `code` (ENOENT, ENOSPC …). */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

/** One line of text for any thrown value, never longer than `max` characters and never with line breaks. */
export function messageOf(error: unknown, max = 300): string {
  const raw = error instanceof Error ? error.message || error.name : String(error);
  const line = raw.replaceAll(/\s+/g, ' ').trim();
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}
