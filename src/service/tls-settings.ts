/** HTTPS as the configuration has it, and what is told of its certificates. */
import { resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { TlsSettings } from '../http/listen-target.ts';
import type { CertificateEvent } from '../http/server-certificate.ts';
import type { Logger } from '../telemetry/log.ts';

/** Undefined: no address speaks TLS. `cwd`: what relative file names are meant from. */
export function tlsSettings({ tls }: Config, cwd: string): TlsSettings | undefined {
  if (tls === undefined) return undefined;
  return {
    certFile: resolve(cwd, tls.certFile),
    keyFile: resolve(cwd, tls.keyFile),
    clientCaFile: tls.clientCaFile === undefined ? undefined : resolve(cwd, tls.clientCaFile),
    clientAuth: tls.clientAuth,
    minVersion: tls.minVersion,
  };
}

export function logCertificate({ kind, certFile, message }: CertificateEvent, log: Logger): void {
  const fields = { file: certFile, reason: message };
  if (kind === 'reloaded') log.info(fields, 'certificate loaded anew');
  else if (kind === 'refused') log.error(fields, 'the new certificate cannot be used, the old one stays');
  else log.warn(fields, 'certificate expires');
}
