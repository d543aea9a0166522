import { copyFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { type Certificate, type TestAuthority, testAuthority } from '../../test/kit/tls.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { TlsFiles, type TlsFilesOptions } from './tls-files.ts';

let dir: TempDir;
let authority: TestAuthority;
let client: Certificate;
beforeAll(async () => {
  dir = await tempDir('tls-files');
  authority = await testAuthority(dir.path);
  client = await authority.issue({ commonName: 'client' });
});
afterAll(() => dir.remove());

function filesWith(more: Partial<TlsFilesOptions>): TlsFiles {
  const clock = new FakeClock(Date.now());
  return new TlsFiles({ caFile: undefined, clientCertificate: undefined, clock, ...more });
}

function clientFault(certFile: string, keyFile: string, clock = new FakeClock(Date.now())): unknown {
  try {
    return filesWith({ clientCertificate: { certFile, keyFile }, clock });
  } catch (error) {
    return error;
  }
}

async function fileOf(name: string, text: string): Promise<string> {
  const file = join(dir.path, name);
  await writeFile(file, text);
  return file;
}

describe('TlsFiles', () => {
  it('tells a missing file', () => {
    expect(clientFault('/no/such.pem', client.keyFile)).toMatchObject({
      code: 'client_certificate',
      message: expect.stringContaining('/no/such.pem cannot be read'),
    });
    expect(clientFault(client.certFile, '/no/such.key')).toMatchObject({
      message: expect.stringContaining('/no/such.key cannot be read'),
    });
  });

  it('tells files that are no certificate and no key', async () => {
    const junk = await fileOf('junk.pem', 'junk');
    expect(clientFault(junk, client.keyFile)).toMatchObject({
      message: `${junk} holds no certificate; name a file in PEM form`,
    });
    expect(clientFault(client.certFile, junk)).toMatchObject({
      message: `${junk} holds no private key; name a file in PEM form`,
    });
  });

  it('tells a key of another certificate', async () => {
    const other = await authority.issue();
    expect(clientFault(client.certFile, other.keyFile)).toMatchObject({
      code: 'client_certificate',
      message: expect.stringContaining('does not belong to the certificate'),
    });
  });

  it('tells an encrypted key, and what to do', async () => {
    const locked = await authority.issue({ passphrase: 'hunter2' });
    expect(clientFault(locked.certFile, locked.keyFile)).toMatchObject({
      message: expect.stringMatching(/is encrypted; write it without a passphrase: openssl pkey/),
    });
  });

  it('tells a certificate that has expired or is not valid yet', async () => {
    const old = await authority.issue({ validFrom: new Date('2020-01-01'), validTo: new Date('2021-02-03') });
    expect(clientFault(old.certFile, old.keyFile)).toMatchObject({
      message: expect.stringContaining('expired on 2021-02-03; renew it'),
    });
    const early = new FakeClock(Date.UTC(2019, 0, 1));
    expect(clientFault(old.certFile, old.keyFile, early)).toMatchObject({
      message: expect.stringContaining('valid only from 2020-01-01'),
    });
  });

  it('tells a damaged authority', async () => {
    const caFile = await fileOf('damaged.pem', authority.cert.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAA'));
    expect(() => filesWith({ caFile })).toThrow(expect.objectContaining({ code: 'ca_file' }));
  });

  it('shows the client certificate to the own server only', () => {
    const { certFile, keyFile } = client;
    const files = filesWith({ clientCertificate: { certFile, keyFile } });

    expect(files.context(true)).not.toBe(files.context(false));
    expect(files.context(true)).toBe(files.context(true));
  });

  it('reads changed files again, at most once a minute', async () => {
    const [certFile, keyFile] = [join(dir.path, 'live.pem'), join(dir.path, 'live.key')];
    await copyFile(client.certFile, certFile);
    await copyFile(client.keyFile, keyFile);
    const clock = new FakeClock(Date.now());
    const files = filesWith({ clientCertificate: { certFile, keyFile }, clock });
    const first = files.context(true);
    const renewed = await authority.issue({ commonName: 'renewed' });
    await copyFile(renewed.certFile, certFile);
    await utimes(certFile, 1, 1);

    await clock.advance(59_999);
    expect(files.context(true)).toBe(first);
    // Half of the pair is there: the former pair goes on.
    await clock.advance(1);
    expect(files.context(true)).toBe(first);
    expect(files.fault).toContain('does not belong');

    await copyFile(renewed.keyFile, keyFile);
    await clock.advance(60_000);
    expect(files.context(true)).not.toBe(first);
    expect([files.fault, files.generation]).toEqual([undefined, 1]);
  });
});
