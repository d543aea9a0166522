/**
 * What TLS needs from files: further certificate authorities and a client certificate. They are checked when named,
 * and read again when they change, so that a renewed certificate needs no restart.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, ModferryError, messageOf } from '../lib/errors.ts';

export interface ClientCertificateFiles {
  /** PEM, the certificate first, then those between it and its authority. */
  readonly certFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
}

export interface TlsFilesOptions {
  /** PEM file with further certificate authorities, beside the default ones. */
  readonly caFile: string | undefined;
  readonly clientCertificate: ClientCertificateFiles | undefined;
  readonly clock: Clock;
}

/** The code of what is thrown: which setting names the file that cannot be used. */
export type TlsFileFault = 'ca_file' | 'client_certificate';

/** How often the files are looked at, when connections are made. */
const checkEveryMs = 60_000;
/** All authorities of a system are about 200 KiB. */
const maxFileBytes = 4 * 1024 * 1024;

interface Material {
  readonly ca: readonly string[] | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export class TlsFiles {
  readonly #options: TlsFilesOptions;
  #material: Material;
  #stamp: string;
  #checkedAtMs: number;
  #generation = 0;
  #fault: string | undefined;
  #withCertificate: SecureContext | undefined;
  #plain: SecureContext | undefined;

  /** Reads the files. Throws ModferryError `ca_file` or `client_certificate` with what to do. */
  constructor(options: TlsFilesOptions) {
    this.#options = options;
    this.#stamp = this.#stampNow();
    this.#material = readMaterial(options);
    this.#checkedAtMs = options.clock.monotonic();
  }

  /** Changes when other files came into use: sessions of before are then no good. */
  get generation(): number {
    return this.#generation;
  }

  /** Why changed files are not in use; the former ones are. Undefined when all is well. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** For a new connection; the client certificate is shown only to the upstream's own server. TLS 1.2 at least. */
  context(isOwnServer: boolean): SecureContext {
    this.#refresh();
    const { ca, certificate, key } = this.#material;
    const common = { minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca: [...ca] }) };
    if (isOwnServer && certificate !== undefined && key !== undefined) {
      this.#withCertificate ??= createSecureContext({ ...common, cert: certificate, key });
      return this.#withCertificate;
    }
    this.#plain ??= createSecureContext(common);
    return this.#plain;
  }

  #refresh(): void {
    const { clock } = this.#options;
    if (clock.monotonic() - this.#checkedAtMs < checkEveryMs) return;
    this.#checkedAtMs = clock.monotonic();
    const stamp = this.#stampNow();
    if (stamp === this.#stamp) return;
    try {
      this.#material = readMaterial(this.#options);
      this.#stamp = stamp;
      this.#generation += 1;
      this.#fault = undefined;
      this.#withCertificate = undefined;
      this.#plain = undefined;
    } catch (error) {
      // Half-written, perhaps: the former files go on and the next check tries again.
      this.#fault = messageOf(error);
    }
  }

  #stampNow(): string {
    const { caFile, clientCertificate } = this.#options;
    return [caFile, clientCertificate?.certFile, clientCertificate?.keyFile]
      .map((file) => (file === undefined ? '' : stampOf(file)))
      .join(' ');
  }
}

function stampOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs}-${size}-${ino}`;
  } catch (error) {
    return errnoOf(error) ?? 'unreadable';
  }
}

function readMaterial(options: TlsFilesOptions): Material {
  const { caFile, clientCertificate, clock } = options;
  const ca = caFile === undefined ? undefined : authorities(caFile);
  if (clientCertificate === undefined) return { ca, certificate: undefined, key: undefined };
  return { ca, ...readClientCertificate(clientCertificate, clock.now()) };
}

function authorities(file: string): string[] {
  const text = readPem(file, 'ca_file');
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ModferryError('ca_file', `${file} holds no certificate; name a file in PEM form`);
  }
  for (const [block] of text.matchAll(
    /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----|-----BEGIN CERTIFICATE-----/g,
  )) {
    try {
      // Reads lazily made pieces too: a damaged one throws.
      void new X509Certificate(block).subject;
    } catch (error) {
      const why = messageOf(error, 100);
      throw new ModferryError('ca_file', `${file} holds a damaged certificate (${why}); write it anew`);
    }
  }
  return [...getCACertificates('default'), text];
}

function readClientCertificate(
  files: ClientCertificateFiles,
  nowMs: number,
): { certificate: string; key: string } {
  const { certFile, keyFile } = files;
  const certificate = readPem(certFile, 'client_certificate');
  const key = readPem(keyFile, 'client_certificate');
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch {
    throw fault(`${certFile} holds no certificate; name a file in PEM form`);
  }
  if (parsed.validToDate.getTime() <= nowMs) {
    throw fault(`the client certificate ${certFile} expired on ${dayOf(parsed.validToDate)}; renew it`);
  }
  if (parsed.validFromDate.getTime() > nowMs) {
    const from = dayOf(parsed.validFromDate);
    throw fault(`the client certificate ${certFile} is valid only from ${from}; is this clock right?`);
  }
  if (!parsed.checkPrivateKey(readKey(key, keyFile))) {
    throw fault(`the key ${keyFile} does not belong to the certificate ${certFile}; name the pair`);
  }
  return { certificate, key };
}

function readKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    if (errnoOf(error) === 'ERR_MISSING_PASSPHRASE' || /ENCRYPTED/.test(pem)) {
      throw fault(
        `the key ${file} is encrypted; write it without a passphrase: openssl pkey -in KEY -out PLAIN`,
      );
    }
    throw fault(`${file} holds no private key; name a file in PEM form`);
  }
}

function readPem(file: string, code: TlsFileFault): string {
  try {
    const { size } = statSync(file);
    if (size > maxFileBytes) throw new Error(`${size} bytes are too many`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ModferryError(code, `${file} cannot be read: ${messageOf(error)}; name a PEM file`);
  }
}

function fault(message: string): ModferryError<TlsFileFault> {
  return new ModferryError('client_certificate', message);
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
