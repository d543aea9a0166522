/**
 * The error for bytes of a source that cannot be what was asked for: a .info that is no JSON, a .mod without a
 * module line, a login page. It is the source's fault, so the next source is asked.
 */
import { ModferryError } from '../lib/errors.ts';

export type ContentErrorCode = 'bad_info' | 'bad_mod' | 'bad_list' | 'html';

/** Raised by the checks of `info-file.ts`, `go-mod-file.ts` and `version-list.ts`; they raise nothing else. */
export class ContentError extends ModferryError<ContentErrorCode> {}
