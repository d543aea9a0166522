/**
 * The certificate a server shows, from files that are looked at again and again: a renewed pair comes into use without a
 * restart, and a bad one is refused while the former goes on.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Clock, Timer } from '../lib/clock.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { ListenError, type TlsSettings } from './listen-target.ts';

/** What became of the files, for the log and the history. The message is a sentence. */
export interface CertificateEvent {
  /**
   * `refused`: changed files that cannot be used. `expiring`: within two weeks (or the last third of its time, if that is
   * shorter), or already expired.
   */
  readonly kind: 'reloaded' | 'refused' | 'expiring';
  readonly certFile: string;
  readonly message: string;
}

/** For the status. */
export interface CertificateState {
  readonly certFile: string;
  /** Milliseconds since the epoch. */
  readonly validToMs: number;
  /** Why changed files are not in use. */
  readonly fault: string | undefined;
}

const checkEveryMs = 5_000;
const maxFileBytes = 4 * 1024 * 1024;
const expiringMs = 14 * 24 * 3_600_000;

interface Material {
  readonly context: SecureContextOptions;
  readonly validToMs: number;
  /** From then on it is told that it expires. */
  readonly tellFromMs: number;
}

export interface CertificateDeps {
  readonly clock: Clock;
  readonly onEvent: (event: CertificateEvent) => void;
}

export class ServerCertificate {
  readonly #settings: TlsSettings;
  readonly #deps: CertificateDeps;
  readonly #users = new Set<(context: SecureContextOptions) => void>();
  #material: Material;
  #stamp: string;
  #fault: string | undefined;
  #isExpiringTold = false;
  #timer: Timer | undefined;
  #checking: Promise<void> | undefined;
  #isClosed = false;

  private constructor(settings: TlsSettings, deps: CertificateDeps, stamp: string, material: Material) {
    this.#settings = settings;
    this.#deps = deps;
    this.#stamp = stamp;
    this.#material = material;
    this.#tellExpiry();
    this.#arm();
  }

  /** Rejects with ListenError `bad_certificate`. An expired certificate is taken, and told of. */
  static async load(settings: TlsSettings, deps: CertificateDeps): Promise<ServerCertificate> {
    const stamp = await stampOf(settings);
    return new ServerCertificate(settings, deps, stamp, await readMaterial(settings));
  }

  get context(): SecureContextOptions {
    return this.#material.context;
  }

  get state(): CertificateState {
    const { certFile } = this.#settings;
    return { certFile, validToMs: this.#material.validToMs, fault: this.#fault };
  }

  /** Called with each new context. It may throw: the context is then refused. */
  onChange(use: (context: SecureContextOptions) => void): void {
    this.#users.add(use);
  }

  /** Looks at the files now. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#deps.clock.setTimeout(() => void this.check().then(() => this.#arm()), checkEveryMs);
  }

  async #check(): Promise<void> {
    this.#tellExpiry();
    // Taken before reading: what changes meanwhile is read again at the next check.
    const stamp = await stampOf(this.#settings);
    if (stamp === this.#stamp) return;
    const { certFile } = this.#settings;
    const { clock, onEvent } = this.#deps;
    try {
      const material = await readMaterial(this.#settings);
      if (material.validToMs <= clock.now() && this.#material.validToMs > clock.now()) {
        throw new Error(`the certificate ${certFile} expired on ${dayOf(material.validToMs)}; renew it`);
      }
      for (const use of this.#users) use(material.context);
      this.#material = material;
      this.#stamp = stamp;
      this.#fault = undefined;
      this.#isExpiringTold = false;
      const until = dayOf(material.validToMs);
      onEvent({
        kind: 'reloaded',
        certFile,
        message: `the certificate ${certFile} is in use, valid until ${until}`,
      });
    } catch (error) {
      // Half-written, perhaps: the former pair goes on and the next check tries again.
      const fault = messageOf(error, 500);
      if (fault === this.#fault) return;
      this.#fault = fault;
      onEvent({ kind: 'refused', certFile, message: `${fault}; the former certificate stays in use` });
    }
  }

  #tellExpiry(): void {
    const { clock, onEvent } = this.#deps;
    const { validToMs, tellFromMs } = this.#material;
    if (this.#isExpiringTold || clock.now() < tellFromMs) return;
    this.#isExpiringTold = true;
    const { certFile } = this.#settings;
    const verb = validToMs <= clock.now() ? 'expired' : 'expires';
    onEvent({
      kind: 'expiring',
      certFile,
      message: `the certificate ${certFile} ${verb} on ${dayOf(validToMs)}; renew it`,
    });
  }
}

async function stampOf({ certFile, keyFile, clientCaFile }: TlsSettings): Promise<string> {
  const files = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  const stamps = files.map(async (file) => {
    try {
      const { mtimeMs, size, ino } = await stat(file);
      return `${mtimeMs}-${size}-${ino}`;
    } catch (error) {
      return errnoOf(error) ?? 'unreadable';
    }
  });
  return (await Promise.all(stamps)).join(' ');
}

async function readMaterial(settings: TlsSettings): Promise<Material> {
  const { certFile, keyFile, clientCaFile, clientAuth, minVersion } = settings;
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  const certificate = firstCertificate(cert, certFile);
  if (!certificate.checkPrivateKey(privateKey(key, keyFile))) {
    throw fault(`the key ${keyFile} does not belong to the certificate ${certFile}; name the pair`);
  }
  const ca = clientAuth === 'none' ? undefined : await authorities(clientCaFile);
  // Without authorities of our own Node would believe every public one.
  const context = { cert, key, minVersion, ...(ca === undefined ? {} : { ca }) };
  try {
    createSecureContext(context);
  } catch (error) {
    throw fault(`${certFile} and ${keyFile} cannot be used: ${messageOf(error, 200)}; make them anew`);
  }
  const [fromMs, toMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  return { context, validToMs: toMs, tellFromMs: toMs - Math.min(expiringMs, (toMs - fromMs) / 3) };
}

async function authorities(file: string | undefined): Promise<string[]> {
  if (file === undefined)
    throw fault('client certificates need their authority; name its PEM file in tls.client_ca');
  const text = await readPem(file);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw fault(`${file} holds no certificate; name a file in PEM form`);
  for (const block of blocks) firstCertificate(block, file);
  return [...blocks];
}

function firstCertificate(pem: string, file: string): X509Certificate {
  try {
    const certificate = new X509Certificate(pem);
    // Reads lazily made pieces too: a damaged one throws.
    void certificate.subject;
    return certificate;
  } catch {
    throw fault(`${file} holds no certificate, or a damaged one; name a file in PEM form`);
  }
}

function privateKey(pem: string, file: string): KeyObject {
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

async function readPem(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > maxFileBytes) throw new Error(`${size} bytes are too many`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fault(`${file} cannot be read: ${messageOf(error)}; name a PEM file`);
  }
}

function fault(message: string): ListenError {
  return new ListenError('bad_certificate', message);
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
