/**
 * Certificates for tests: an authority of one's own and what it signs, made by openssl in a folder of the test. It
 * does not import vitest, because the bench uses it too.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CertificateOptions {
  /** Default `test`. */
  readonly commonName?: string;
  /** Host names and addresses. Default `localhost` and `127.0.0.1`. */
  readonly names?: readonly string[];
  /** Default: from yesterday on. */
  readonly validFrom?: Date;
  /** Default: until tomorrow. */
  readonly validTo?: Date;
  /** The whole subject as openssl writes it, e.g. `/OU=a/OU=b/CN=c`. Default: `/CN=` and the common name. */
  readonly subject?: string;
  /** The extension as openssl writes it, e.g. `email:a@b.example,URI:spiffe://x/y`. Default: made from `names`. */
  readonly altNames?: string;
  /** Encrypts the key. Default: not encrypted. */
  readonly passphrase?: string;
}

/** A certificate and its key, as PEM files and as text. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority extends Certificate {
  issue(options?: CertificateOptions): Promise<Certificate>;
}

const ecKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const dayMs = 24 * 3_600_000;

/** Makes an authority in a new folder inside `dir`. Rejects when there is no openssl. */
export async function testAuthority(dir: string, commonName = 'test authority'): Promise<TestAuthority> {
  const base = join(dir, `ca-${randomBytes(4).toString('hex')}`);
  await mkdir(base);
  const certFile = join(base, 'ca.pem');
  const keyFile = join(base, 'ca.key');
  const isCa = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  const out = ['-keyout', keyFile, '-out', certFile, '-subj', `/CN=${commonName}`, '-days', '2'];
  await run('openssl', ['req', '-x509', ...ecKey, ...out, ...isCa]);
  const configFile = join(base, 'ca.cnf');
  await writeFile(join(base, 'index.txt'), '');
  await writeFile(configFile, caConfig(base));
  let number = 0;
  // The index file bears one writer at a time.
  let last: Promise<unknown> = Promise.resolve();
  const issueNext = (options: CertificateOptions): Promise<Certificate> => {
    number += 1;
    const name = join(base, `cert-${number}`);
    const made = last.then(() => issue(name, configFile, certFile, keyFile, options));
    last = made.catch(() => {});
    return made;
  };
  return { ...(await withTexts(certFile, keyFile)), issue: (options = {}) => issueNext(options) };
}

async function issue(
  name: string,
  configFile: string,
  caFile: string,
  caKeyFile: string,
  options: CertificateOptions,
): Promise<Certificate> {
  const { commonName = 'test', names = ['localhost', '127.0.0.1'], passphrase } = options;
  const { validFrom = new Date(Date.now() - dayMs), validTo = new Date(Date.now() + dayMs) } = options;
  const [certFile, requestFile] = [`${name}.pem`, `${name}.csr`];
  let keyFile = `${name}.key`;
  const altNames = names.map((each) => `${/^[\d.]+$|:/.test(each) ? 'IP' : 'DNS'}:${each}`).join(',');
  const extension = `subjectAltName=${options.altNames ?? altNames}`;
  const subject = ['-utf8', '-subj', options.subject ?? `/CN=${commonName}`, '-addext', extension];
  await run('openssl', ['req', '-new', ...ecKey, '-keyout', keyFile, '-out', requestFile, ...subject]);
  const dates = ['-startdate', asn1Time(validFrom), '-enddate', asn1Time(validTo)];
  const signers = ['-cert', caFile, '-keyfile', caKeyFile];
  const files = ['-in', requestFile, '-out', certFile, '-notext'];
  await run('openssl', [
    'ca',
    '-batch',
    '-utf8',
    '-preserveDN',
    '-config',
    configFile,
    ...signers,
    ...files,
    ...dates,
  ]);
  if (passphrase !== undefined) {
    const encrypted = `${name}.enc.key`;
    const cipher = ['-aes256', '-passout', `pass:${passphrase}`];
    await run('openssl', ['pkey', '-in', keyFile, ...cipher, '-out', encrypted]);
    keyFile = encrypted;
  }
  return await withTexts(certFile, keyFile);
}

async function withTexts(certFile: string, keyFile: string): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { certFile, keyFile, cert, key };
}

function asn1Time(date: Date): string {
  return date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}

function caConfig(base: string): string {
  return `[ca]
default_ca = one
[one]
database = ${join(base, 'index.txt')}
new_certs_dir = ${base}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = optional
organizationalUnitName = optional
`;
}
