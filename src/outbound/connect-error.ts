/**
 * Why a connection could not be made, told apart: the name, TCP, TLS, or the outbound proxy on the way. Texts are
 * short, say what to do where that is known, and carry no secret.
 */
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';

export type ConnectFault =
  | 'dns'
  | 'connect' // TCP
  | 'tls'
  | 'proxy'
  | 'proxy_auth' // the outbound proxy wants other credentials
  | 'inner_address'; // the name leads into this network although the upstream stands outside

export class ConnectError extends ModferryError<ConnectFault> {
  /** The proxy itself could not be used; false where it only refused this one target. */
  readonly isProxyDown: boolean;

  constructor(code: ConnectFault, message: string, options: { cause?: unknown; isProxyDown?: boolean } = {}) {
    super(code, message, { cause: options.cause });
    this.isProxyDown = options.isProxyDown ?? false;
  }
}

/** What the guarded look-up fails with. */
export const innerAddressCode = 'EINNERADDRESS';

const dnsCodes = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'EAI_MEMORY',
  'ENODATA',
  'ESERVFAIL',
]);

/** A failure up to the TCP connection. */
export function tcpFault(error: unknown): ConnectError {
  const code = errnoOf(error) ?? '';
  if (code === innerAddressCode) return new ConnectError('inner_address', messageOf(error), { cause: error });
  const detail = code === '' ? messageOf(error, 120) : code;
  return dnsCodes.has(code)
    ? new ConnectError('dns', `its name could not be resolved (${detail})`, { cause: error })
    : new ConnectError('connect', `no connection (${detail})`, { cause: error });
}

/** A failure of the handshake, or one that TLS tells of later, such as a certificate that was asked for in vain. */
export function tlsFault(error: unknown): ConnectError {
  return new ConnectError('tls', `TLS failed: ${tlsReason(error)}`, { cause: error });
}

const trustHint = 'if it is to be trusted, name its authority in ca_file';

const tlsReasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is this clock right?',
  CERT_REVOKED: 'its certificate was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: `its certificate is self-signed; ${trustHint}`,
  SELF_SIGNED_CERT_IN_CHAIN: `its certificate is signed by an unknown, self-signed authority; ${trustHint}`,
  UNABLE_TO_GET_ISSUER_CERT: `its certificate is signed by an unknown authority; ${trustHint}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `its certificate is signed by an unknown authority; ${trustHint}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `its certificate is signed by an unknown authority; ${trustHint}`,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS on this port',
  ERR_SSL_HTTP_REQUEST: 'it does not speak TLS on this port',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it offers only versions of TLS below 1.2',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it shares no version of TLS from 1.2 on with us',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a client certificate; set client_cert and client_key',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'it says that our client certificate has expired',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: 'it says that our client certificate was revoked',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'it does not accept our client certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not accept our client certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not know the authority of our client certificate',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'it refused the handshake',
  ECONNRESET: 'the connection was closed during the handshake',
  EPIPE: 'the connection was closed during the handshake',
};

function tlsReason(error: unknown): string {
  const code = errnoOf(error) ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const reason = messageOf(error, 200).replace(/^Hostname\/IP does not match certificate's altnames: /, '');
    return `its certificate is for another name: ${reason} (${code})`;
  }
  const known = tlsReasons[code];
  if (known !== undefined) return `${known} (${code})`;
  // OpenSSL's own sentences name its source files and lines; the part before them says it.
  const reason = typeof error === 'object' && error !== null && 'reason' in error ? error.reason : undefined;
  const text = typeof reason === 'string' && reason !== '' ? reason : messageOf(error, 160);
  return code === '' ? text : `${text} (${code})`;
}

/** True for the codes of TLS failures that come on a connection already made. */
export function isTlsCode(code: string): boolean {
  return (
    code === 'EPROTO' ||
    (code in tlsReasons && code !== 'ECONNRESET' && code !== 'EPIPE') ||
    /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|CRL_|ERR_OSSL_|HOSTNAME_MISMATCH|INVALID_CA)/.test(code)
  );
}

/** `0.2 s`, `5 s`. */
export function seconds(durationMs: number): string {
  return `${durationMs / 1000} s`;
}
