import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from './temp.ts';
import { testAuthority } from './tls.ts';

describe('testAuthority', () => {
  it('signs certificates for the names and the time asked for', async () => {
    const dir = await tempDir('kit-tls');
    onTestFinished(dir.remove);
    const authority = await testAuthority(dir.path);
    const [usual, special] = await Promise.all([
      authority.issue(),
      authority.issue({
        commonName: 'special',
        names: ['a.example', '::1'],
        validFrom: new Date('2020-01-02T03:04:05Z'),
        validTo: new Date('2021-02-03T04:05:06Z'),
      }),
    ]);
    const ca = new X509Certificate(authority.cert);
    const [first, second] = [new X509Certificate(usual.cert), new X509Certificate(special.cert)];

    expect(ca.ca).toBe(true);
    expect([first.verify(ca.publicKey), second.verify(ca.publicKey)]).toEqual([true, true]);
    expect([first.checkHost('localhost'), first.checkIP('127.0.0.1')]).toEqual(['localhost', '127.0.0.1']);
    expect(second.checkHost('a.example')).toBe('a.example');
    expect(second.subject).toBe('CN=special');
    expect(second.validToDate.toISOString()).toBe('2021-02-03T04:05:06.000Z');
    expect(first.checkPrivateKey(createPrivateKey(usual.key))).toBe(true);
  });

  it('encrypts keys', async () => {
    const dir = await tempDir('kit-tls');
    onTestFinished(dir.remove);
    const { key } = await (await testAuthority(dir.path)).issue({ passphrase: 'x' });

    expect(() => createPrivateKey(key)).toThrow();
    expect(createPrivateKey({ key, passphrase: 'x' }).type).toBe('private');
  });
});
