/**
 * Turns what Node and undici throw into UpstreamError: one table for the time up to the status line, and its
 * differences for the time after it. Texts are short, name no header and carry no secret.
 */
import { messageOf } from '../lib/errors.ts';
import { ConnectError, isTlsCode, tlsFault } from '../outbound/connect-error.ts';
import { PacError } from '../outbound/pac-answer.ts';
import { UpstreamError, type UpstreamErrorCode } from './types.ts';

export interface ErrorPlace {
  readonly upstream: string;
  /** Up to the status line, or after it. */
  readonly phase: 'head' | 'body';
  readonly signal: AbortSignal;
}

const byCode: Readonly<Record<string, UpstreamErrorCode>> = {
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ETIMEDOUT: 'reset',
  EHOSTUNREACH: 'reset',
  ENETUNREACH: 'reset',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'truncated',
  ERR_STREAM_PREMATURE_CLOSE: 'truncated',
  // close() while a request was under way.
  UND_ERR_DESTROYED: 'aborted',
  UND_ERR_CLOSED: 'aborted',
};

const texts: Partial<Record<UpstreamErrorCode, string>> = {
  reset: 'the connection was closed before an answer',
  truncated: 'the body ended early',
  protocol: 'its answer is not valid HTTP',
  aborted: 'given up',
};

/** UpstreamErrors pass through unchanged. */
export function classifyError(error: unknown, place: ErrorPlace): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { upstream, signal } = place;
  if (signal.aborted) return abortError(upstream, signal);
  // Making the connection failed: it says itself which step.
  if (error instanceof ConnectError) {
    const { message } = error;
    if (error.code !== 'inner_address')
      return new UpstreamError(upstream, error.code, message, { cause: error });
    return new UpstreamError(upstream, 'redirect', `redirect refused (${message})`, { cause: error });
  }
  if (error instanceof PacError) return new UpstreamError(upstream, 'proxy', error.message, { cause: error });
  const codes = codesOf(error);
  const code = codeFor(codes, place);
  // What TLS tells after the handshake, e.g. that a client certificate is missing.
  if (code === 'tls') return new UpstreamError(upstream, code, tlsFault(error).message, { cause: error });
  return new UpstreamError(upstream, code, textFor(code, codes, error, place), { cause: error });
}

/** What the caller's signal means: its deadline, or that nobody waits any more. */
export function abortError(upstream: string, signal: AbortSignal): UpstreamError {
  const reason: unknown = signal.reason;
  if (reason instanceof UpstreamError) return reason;
  const isLate = reason instanceof Error && reason.name === 'TimeoutError';
  return isLate
    ? new UpstreamError(upstream, 'timeout', 'no answer before the deadline')
    : new UpstreamError(upstream, 'aborted', 'the request was given up');
}

function codeFor(codes: readonly string[], place: ErrorPlace): UpstreamErrorCode {
  for (const code of codes) {
    // Cut before its declared length or last chunk: by FIN it is an early end, by RST (ECONNRESET) it stays a reset.
    if (place.phase === 'body' && (code === 'UND_ERR_SOCKET' || code === 'HPE_INVALID_EOF_STATE'))
      return 'truncated';
    // Before the status line no length can be missed: it was declared twice, as number and as chunks.
    if (place.phase === 'head' && code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return 'protocol';
    const known = byCode[code];
    if (known !== undefined) return known;
    if (isTlsCode(code)) return 'tls';
    if (code.startsWith('HPE_')) return 'protocol';
    if (code === 'UND_ERR_ABORTED' || code === 'ABORT_ERR') return 'aborted';
  }
  return 'protocol';
}

function textFor(
  code: UpstreamErrorCode,
  codes: readonly string[],
  error: unknown,
  place: ErrorPlace,
): string {
  if (code === 'timeout') {
    return place.phase === 'body' ? 'the body stalled' : 'no first byte in time';
  }
  const text =
    place.phase === 'body' && code === 'reset' ? 'the connection was reset' : (texts[code] ?? code);
  const detail = codes[0] ?? messageOf(error, 120);
  return `${text} (${detail})`;
}

/** Codes of the error, its causes and the errors it gathers, nearest first. Bounded: causes may be circular. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  const queue: unknown[] = [error];
  for (let seen = 0; queue.length > 0 && seen < 20; seen += 1) {
    const one = queue.shift();
    if (typeof one !== 'object' || one === null) continue;
    if ('code' in one && typeof one.code === 'string') codes.push(one.code);
    if ('errors' in one && Array.isArray(one.errors)) queue.push(...one.errors);
    if ('cause' in one) queue.push(one.cause);
  }
  return codes;
}
