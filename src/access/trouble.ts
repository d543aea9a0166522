/** Trouble that is no fault of whoever asks: what they are told of it. */
import { errnoOf, ModferryError } from '../lib/errors.ts';

/** A sentence for an error of ours or of the system; undefined for any other one, which is a mistake in the program. */
export function troubleOf(error: unknown): string | undefined {
  if (error instanceof ModferryError) return error.message;
  const errno = /^E(?!RR_)[A-Z0-9]+$/.exec(errnoOf(error) ?? '')?.[0];
  // The system's own text names files, which are nobody else's concern.
  return errno === undefined
    ? undefined
    : `the data folder does not do what it should (${errno}); try again later`;
}
