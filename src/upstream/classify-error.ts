/**
 * Turns what Node and undici throw into UpstreamError: one table for the time up to the status line, and its
 * differences for the time after it. Texts are short, name no header and carry no secret.
 */
import { messageOf } from '../lib/errors.ts';
import { innerAddressCode } from '../outbound/dispatchers.ts';
import type { OutboundProxy } from '../outbound/proxy-rule.ts';
import { UpstreamError, type UpstreamErrorCode } from './types.ts';

export interface ErrorPlace {
  readonly upstream: string;
  /** Up to the status line, or after it. */
  readonly phase: 'head' | 'body';
  readonly proxy: OutboundProxy | undefined;
  readonly signal: AbortSignal;
}

const byCode: Readonly<Record<string, UpstreamErrorCode>> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ENODATA: 'dns',
  ECONNREFUSED: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  EHOSTDOWN: 'connect',
  ENETDOWN: 'connect',
  EADDRNOTAVAIL: 'connect',
  EACCES: 'connect',
  EPERM: 'connect',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'truncated',
  ERR_STREAM_PREMATURE_CLOSE: 'truncated',
  UND_ERR_PRX_TLS: 'proxy',
  UND_ERR_PRX_CONN: 'proxy',
  EPROTO: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  HOSTNAME_MISMATCH: 'tls',
  INVALID_CA: 'tls',
  // close() while a request was under way.
  UND_ERR_DESTROYED: 'aborted',
  UND_ERR_CLOSED: 'aborted',
  [innerAddressCode]: 'redirect',
};

const texts: Partial<Record<UpstreamErrorCode, string>> = {
  dns: 'its name could not be resolved',
  connect: 'no connection',
  tls: 'TLS failed',
  reset: 'the connection was closed before an answer',
  truncated: 'the body ended early',
  protocol: 'its answer is not valid HTTP',
  aborted: 'given up',
  redirect: 'redirect refused',
};

/** UpstreamErrors pass through unchanged. */
export function classifyError(error: unknown, place: ErrorPlace): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { upstream, signal } = place;
  if (signal.aborted) return abortError(upstream, signal);
  const codes = codesOf(error);
  const code = withProxy(codeFor(codes, place), codes, place);
  if (code === 'proxy') {
    const text = `the outbound proxy ${place.proxy?.shown ?? ''} failed: ${messageOf(error, 120)}`;
    return new UpstreamError(upstream, code, text, { cause: error });
  }
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
    if (/^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|CRL_|ERR_OSSL_)/.test(code)) return 'tls';
    if (code.startsWith('HPE_')) return 'protocol';
    if (code === 'UND_ERR_ABORTED' || code === 'ABORT_ERR') return 'aborted';
  }
  return 'protocol';
}

/** Behind a proxy the only name looked up and the only address connected to are the proxy's. */
function withProxy(code: UpstreamErrorCode, codes: readonly string[], place: ErrorPlace): UpstreamErrorCode {
  if (place.proxy === undefined || place.phase === 'body') return code;
  if (code === 'dns' || code === 'connect' || code === 'aborted') return 'proxy';
  return codes.some((one) => one === 'UND_ERR_INVALID_ARG' || one.startsWith('UND_ERR_SOCKS5'))
    ? 'proxy'
    : code;
}

function textFor(
  code: UpstreamErrorCode,
  codes: readonly string[],
  error: unknown,
  place: ErrorPlace,
): string {
  if (code === 'timeout') {
    if (place.phase === 'body') return 'the body stalled';
    const isConnect = codes.includes('UND_ERR_CONNECT_TIMEOUT') || codes.includes('ETIMEDOUT');
    return isConnect ? 'no connection in time' : 'no first byte in time';
  }
  const text =
    place.phase === 'body' && code === 'reset' ? 'the connection was reset' : (texts[code] ?? code);
  const detail = codes[0] ?? messageOf(error, 120);
  return `${text} (${code === 'tls' || code === 'redirect' ? messageOf(error, 160) : detail})`;
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
