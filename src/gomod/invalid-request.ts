/**
 * The error for text that somebody sent us and that Go's rules refuse: a path, a version, an escape. It is the
 * asker's fault, so `http/` answers 400 before any upstream is asked.
 */
import { ModferryError } from '../lib/errors.ts';

export type InvalidRequestCode = 'invalid_path' | 'invalid_version' | 'invalid_escape' | 'invalid_request';

/** The message is one printable line that says what is wrong and fits a 400 body. */
export class InvalidRequestError extends ModferryError<InvalidRequestCode> {}

/** `text` in quotes, control characters escaped, at most 100 characters of it: safe inside a one-line message. */
export function quoteForMessage(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}
