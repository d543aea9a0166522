import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import {
  type Certificate,
  type CertificateOptions,
  type TestAuthority,
  testAuthority,
} from '../../test/kit/tls.ts';
import { clientCertificate, clientCertificateOf } from './client-certificate.ts';
import type { ClientCertificate } from './types.ts';

let dir: TempDir;
let authority: TestAuthority;

beforeAll(async () => {
  dir = await tempDir('client-certificate');
  authority = await testAuthority(dir.path);
});
afterAll(() => dir.remove());

/** Of the certificate as a file, without a connection. */
async function read(options: CertificateOptions): Promise<ClientCertificate> {
  const { cert } = await authority.issue(options);
  return clientCertificate(new X509Certificate(cert).toLegacyObject());
}

/** What the server makes of a client that shows this certificate, over a real connection. */
async function shown(client: Certificate | undefined, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const { cert, key } = await authority.issue();
  const seen = Promise.withResolvers<ClientCertificate | undefined>();
  const options = { cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: false, maxVersion };
  const server = createServer(options, (socket: TLSSocket) => {
    seen.resolve(clientCertificateOf(socket));
    socket.on('error', () => {}).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const shows = client === undefined ? {} : { cert: client.cert, key: client.key };
  const socket = connect({ host: '127.0.0.1', port, ca: authority.cert, ...shows }).on('error', seen.reject);
  onTestFinished(() => void socket.destroy());
  return await seen.promise;
}

describe('clientCertificateOf', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('reads what a client shows over %s', async (version) => {
    const client = await authority.issue({
      subject: '/OU=team-a/OU=team-b/CN=ci runner',
      altNames: 'DNS:CI.corp.example,email:ci@corp.example,URI:spiffe://corp.example/ci,IP:10.0.0.1',
    });
    expect(await shown(client, version)).toEqual({
      expiresAtMs: new X509Certificate(client.cert).validToDate.getTime(),
      commonName: 'ci runner',
      units: ['team-a', 'team-b'],
      names: ['dns:ci.corp.example', 'email:ci@corp.example', 'uri:spiffe://corp.example/ci'],
      fingerprint: new X509Certificate(client.cert).fingerprint256.replaceAll(':', '').toLowerCase(),
    });
  });

  it('knows nobody without a certificate, with a stranger’s, and with one that is not valid now', async () => {
    const stranger = await testAuthority(dir.path, 'stranger');
    expect(await shown(undefined)).toBeUndefined();
    expect(await shown(await stranger.issue({ commonName: 'alice' }))).toBeUndefined();
    const expired = { validFrom: new Date('2020-01-01'), validTo: new Date('2021-01-01') };
    expect(await shown(await authority.issue(expired))).toBeUndefined();
  });
});

describe('hostile subjects', () => {
  it('several common names are none', async () => {
    expect(await read({ subject: '/CN=alice/CN=mallory' })).toMatchObject({ commonName: '' });
    expect(await read({ subject: '/CN=alice+CN=mallory' })).toMatchObject({ commonName: '' });
  });

  it('a common name that looks like more of a subject is one name', async () => {
    const { commonName, units } = await read({ subject: '/CN=mallory\\nOU=admins\\/OU=admins/OU=guests' });
    expect(commonName).toBe('mallorynOU=admins/OU=admins');
    expect(units).toEqual(['guests']);
  });

  it('control characters make no name', async () => {
    expect(await read({ subject: '/CN=alice\n/OU=a\nb/OU=fine' })).toMatchObject({
      commonName: '',
      units: ['fine'],
    });
    expect(await read({ subject: '/CN=ali\u202ece' })).toMatchObject({ commonName: '' });
  });

  it('NUL neither ends a name nor hides in one', async () => {
    const { cert } = await authority.issue({
      subject: '/CN=alice^.mallory/OU=admin^.x',
      altNames: 'DNS:good^.example',
    });
    const bytes = replaced(new X509Certificate(cert).raw, '^.', '\0.');
    const forged = new X509Certificate(resigned(bytes, authority.key));
    expect(forged.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
    expect(clientCertificate(forged.toLegacyObject())).toMatchObject({
      commonName: '',
      units: [],
      names: [],
    });
  });

  it('one alternative name with a comma is not two', async () => {
    // CVE-2021-44532: the value of one name was printed as if it were several.
    const evil = 'URI:http://x.example/,DNS:admin.corp.example';
    const { cert } = await authority.issue({ altNames: `${evil.replace(',D', '^D')},DNS:b.example` });
    const raw = replaced(new X509Certificate(cert).raw, '/^D', '/,D');
    const legacy = new X509Certificate(resigned(raw, authority.key)).toLegacyObject();
    expect(clientCertificate(legacy).names).toEqual([
      'uri:http://x.example/,DNS:admin.corp.example',
      'dns:b.example',
    ]);
  });

  it('texts that keep no rule have no names', () => {
    const legacy = { ...new X509Certificate(authority.cert).toLegacyObject() };
    for (const text of [
      'DNS:a,DNS:b',
      'DNS:"a',
      'DNS:"a"b',
      'DNS:"\\q"',
      ', , ',
      '"',
      'DNS:"a", DNS:b"c"d"',
    ]) {
      expect(clientCertificate({ ...legacy, subjectaltname: text }).names).toEqual([]);
    }
  });

  it('reads long texts in time', () => {
    const legacy = new X509Certificate(authority.cert).toLegacyObject();
    const startedMs = performance.now();
    for (const text of [
      '"'.repeat(100_000),
      'DNS:a, '.repeat(20_000),
      `DNS:"${'\\'.repeat(99_999)}`,
      ','.repeat(1e5),
    ]) {
      expect(clientCertificate({ ...legacy, subjectaltname: text }).names.length).toBeLessThan(65);
    }
    expect(performance.now() - startedMs).toBeLessThan(500);
  });

  it('subjects without anything have no name', () => {
    const legacy = new X509Certificate(authority.cert).toLegacyObject();
    const empty = { ...legacy, subject: JSON.parse('{"__proto__":{"CN":"alice"}}') as typeof legacy.subject };
    expect(clientCertificate(empty)).toMatchObject({ commonName: '', units: [] });
  });
});

/** `from` is several bytes, so that nothing but the text meant has them; `to` is as long. */
function replaced(raw: Buffer, from: string, to: string): Buffer {
  return Buffer.from(raw.toString('latin1').replaceAll(from, to), 'latin1');
}

/** The certificate with its present content signed anew: openssl writes no hostile one. */
function resigned(raw: Buffer, caKey: string): Buffer {
  const outer = contentAt(raw, 0);
  const signed = contentAt(raw, outer.start);
  const algorithm = contentAt(raw, signed.end);
  const signature = sign('sha256', raw.subarray(outer.start, signed.end), createPrivateKey(caKey));
  const bits = wrapped(0x03, Buffer.concat([Buffer.from([0]), signature]));
  return wrapped(0x30, Buffer.concat([raw.subarray(outer.start, algorithm.end), bits]));
}

function contentAt(raw: Buffer, at: number): { start: number; end: number } {
  const first = raw[at + 1] ?? 0;
  const count = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + count;
  return { start, end: start + (count === 0 ? first : raw.readUIntBE(at + 2, count)) };
}

function wrapped(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}
