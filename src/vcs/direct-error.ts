/** What a repository's failure means to whoever walks over sources. */
import { ContentError } from '../gomod/content-error.ts';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { messageOf } from '../lib/errors.ts';
import { abortError } from '../upstream/classify-error.ts';
import { UpstreamError, type UpstreamErrorCode } from '../upstream/types.ts';
import { VcsError, type VcsErrorCode } from './types.ts';

const codes: Readonly<Record<VcsErrorCode, UpstreamErrorCode>> = {
  absent: 'absent',
  auth: 'status',
  forbidden: 'status',
  refused: 'refused',
  dns: 'dns',
  connect: 'connect',
  tls: 'tls',
  proxy: 'proxy',
  timeout: 'timeout',
  busy: 'busy',
  too_large: 'too_large',
  failed: 'protocol',
  aborted: 'aborted',
};

const statuses: Partial<Record<VcsErrorCode, number>> = { auth: 401, forbidden: 403 };

/**
 * Only what is known to be absent is `absent`: a host that cannot be found or reached keeps its own code, so that a
 * public route may treat it as it likes and a private one says 502 (ruling 4).
 */
export function directError(error: unknown, source: string, signal: AbortSignal): UpstreamError {
  if (error instanceof UpstreamError) return error;
  if (signal.aborted) return abortError(source, signal);
  if (error instanceof VcsError) {
    const status = statuses[error.code];
    const details = { cause: error, ...(status === undefined ? {} : { status }) };
    return new UpstreamError(source, codes[error.code], error.message, details);
  }
  if (error instanceof ContentError || error instanceof InvalidRequestError) {
    return new UpstreamError(source, 'refused', error.message, { cause: error });
  }
  const text = `the repository could not be read: ${messageOf(error, 160)}`;
  return new UpstreamError(source, 'protocol', text, { cause: error });
}
