/** Listening as the configuration has it: addresses, limits, HTTPS, and what is told of its certificates. */
import type { RequestListener } from 'node:http';
import { resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { TlsSettings } from '../http/listen-target.ts';
import { type Listening, listen } from '../http/server.ts';
import type { CertificateEvent } from '../http/server-certificate.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';

/** Opens every address, or none. Rejects with ListenError. `cwd`: what relative file names are meant from. */
export function listenAs(
  config: Config,
  { cwd, clock, log }: { readonly cwd: string; readonly clock: Clock; readonly log: Logger },
  handler: RequestListener,
): Promise<Listening> {
  const { server } = config;
  const tls = tlsSettings(config, cwd);
  return listen(
    config.listen.map(({ host, port, socket, isTls }) => ({
      host,
      port,
      socket: socket === undefined ? undefined : resolve(cwd, socket),
      tls: isTls === true ? tls : undefined,
    })),
    {
      maxConnections: server.maxConnections,
      headersTimeoutMs: server.headersTimeoutMs,
      requestTimeoutMs: server.requestTimeoutMs,
      keepAliveMs: server.keepAliveMs,
      maxHeaderBytes: server.maxHeaderBytes,
      idleMs: Math.max(server.keepAliveMs, server.idleWriteTimeoutMs),
    },
    handler,
    { clock, onCertificate: (event) => logCertificate(event, log) },
  );
}

/** Undefined: no address speaks TLS. `cwd`: what relative file names are meant from. */
function tlsSettings({ tls }: Config, cwd: string): TlsSettings | undefined {
  if (tls === undefined) return undefined;
  return {
    certFile: resolve(cwd, tls.certFile),
    keyFile: resolve(cwd, tls.keyFile),
    clientCaFile: tls.clientCaFile === undefined ? undefined : resolve(cwd, tls.clientCaFile),
    clientAuth: tls.clientAuth,
    minVersion: tls.minVersion,
  };
}

function logCertificate({ kind, certFile, message }: CertificateEvent, log: Logger): void {
  const fields = { file: certFile, reason: message };
  if (kind === 'reloaded') log.info(fields, 'certificate loaded anew');
  else if (kind === 'refused') log.error(fields, 'the new certificate cannot be used, the old one stays');
  else log.warn(fields, 'certificate expires');
}
