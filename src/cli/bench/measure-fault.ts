/** What a failed request counts as. Texts are short and carry no secret. */
import { errnoOf, ModferryError, messageOf } from '../../lib/errors.ts';
import { ConnectError, type ConnectFault, isTlsCode } from '../../outbound/connect-error.ts';
import { UpstreamError } from '../../upstream/types.ts';
import type { BenchFault, BenchFaultKind } from './bench-types.ts';

/** A failure that already knows its kind. */
export class MeasureError extends ModferryError<BenchFaultKind> {}

const connectKinds: Readonly<Record<ConnectFault, BenchFaultKind>> = {
  dns: 'dns',
  connect: 'connect',
  tls: 'tls',
  proxy: 'proxy',
  proxy_auth: 'proxy',
  inner_address: 'redirect',
};

/** `hasHead`: the status line was there already. */
export function faultOf(error: unknown, hasHead: boolean): BenchFault {
  if (error instanceof MeasureError) return { kind: error.code, message: error.message };
  if (error instanceof ConnectError) return { kind: connectKinds[error.code], message: error.message };
  // Only the check of a redirect's target raises one here.
  if (error instanceof UpstreamError) return { kind: 'redirect', message: error.message };
  const code = errnoOf(error) ?? '';
  const detail = code === '' ? messageOf(error, 120) : code;
  if (isTlsCode(code)) return { kind: 'tls', message: `TLS failed (${detail})` };
  if (code === 'HPE_INVALID_EOF_STATE' && hasHead) return cut(detail);
  if (code.startsWith('HPE_'))
    return { kind: 'protocol', message: `its answer is not valid HTTP (${detail})` };
  return hasHead ? cut(detail) : { kind: 'reset', message: `closed before an answer (${detail})` };
}

function cut(detail: string): BenchFault {
  return { kind: 'truncated', message: `the body ended early (${detail})` };
}
