import { describe, expect, it } from 'vitest';
import { innerAddressCode } from '../../outbound/connect-error.ts';
import { addressKind, addressListFault, literalAddress } from './address-kind.ts';
import { SsrfGuard, type SsrfGuardOptions } from './ssrf-guard.ts';
import { never } from './test-site.ts';

const secure = { isInsecure: false, isProxied: false, signal: never };

function guardTo(addresses: readonly string[], options: SsrfGuardOptions = {}): SsrfGuard {
  return new SsrfGuard({
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    ...options,
  });
}

async function verdict(guard: SsrfGuard, url: string, options = {}): Promise<string> {
  try {
    await guard.check(new URL(url), 'it', { ...secure, ...options });
    return 'ok';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : 'odd';
  }
}

describe('address kinds', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.1', 'loopback'],
    ['2130706433', 'loopback'],
    ['0x7f000001', 'loopback'],
    ['0177.0.0.1', 'loopback'],
    ['017700000001', 'loopback'],
    ['[::1]', 'loopback'],
    ['[0:0:0:0:0:0:0:1]', 'loopback'],
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['[::ffff:7f00:1]', 'loopback'],
    ['[::127.0.0.1]', 'loopback'],
    ['[::ffff:0:127.0.0.1]', 'loopback'],
    ['[64:ff9b::7f00:1]', 'loopback'],
    ['[2002:7f00:1::]', 'loopback'],
    ['[64:ff9b::a9fe:a9fe]', 'metadata'],
    ['169.254.169.254', 'metadata'],
    ['2852039166', 'metadata'],
    ['0xa9fea9fe', 'metadata'],
    ['[fd00:ec2::254]', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['169.254.1.1', 'link-local'],
    ['[fe80::1]', 'link-local'],
    ['[fe80::1%25eth0]', 'link-local'],
    ['10.1.2.3', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'],
    ['[fc00::1]', 'private'],
    ['[fd12:3456::1]', 'private'],
    ['224.0.0.1', 'multicast'],
    ['[ff02::1]', 'multicast'],
    ['0.0.0.0', 'unspecified'],
    ['0', 'unspecified'],
    ['[::]', 'unspecified'],
    ['255.255.255.255', 'reserved'],
    ['[2001:db8::1]', 'reserved'],
    ['[64:ff9b:1::7f00:1]', 'reserved'],
    ['172.32.0.1', 'public'],
    ['8.8.8.8', 'public'],
    ['[2606:4700::1111]', 'public'],
    ['[64:ff9b::808:808]', 'public'],
  ])('%s is %s', (host, kind) => {
    expect(addressKind(host)).toBe(kind);
  });

  it.each(['example.com', 'abc.def', 'dead.beef', 'localhost', '1.2.3.4.5', 'x7f.1'])(
    '%s is a name',
    (host) => {
      expect(literalAddress(host)).toBeUndefined();
    },
  );

  it('tells entries that are no range', () => {
    expect(['10.0.0.0/8', '::1', 'fd00::/8', '1.2.3.4'].map(addressListFault)).toEqual(
      Array(4).fill(undefined),
    );
    for (const bad of ['10.0.0.0/33', 'x', '1.2.3', '::/129', ''])
      expect(addressListFault(bad)).toBeDefined();
  });
});

describe('the guard', () => {
  it('lets public hosts through and gives the addresses to pin', async () => {
    const guard = guardTo(['93.184.216.34', '2606:2800::1']);
    expect(await guard.check(new URL('https://x.example/a'), 'it', secure)).toEqual({
      host: 'x.example',
      port: 443,
      addresses: ['93.184.216.34', '2606:2800::1'],
    });
  });

  it.each([
    'file:///etc/passwd',
    'git://x.example/a',
    'ext::sh -c id',
    'http://x.example/a',
    'ftp://x.example/a',
    'svn://x.example/a',
    'git+ssh://x.example/a',
    'https://x.example:8443/a',
    'https://x.example:6379/a',
    'ssh://-oProxyCommand=id/a',
    'ssh://%2doProxyCommand=id/a',
    'ssh://x.example%20-oProxyCommand/a',
    'https://metadata.google.internal/a',
    'https://METADATA.google.internal./a',
    'https://localhost/a',
    'https://a.localhost/a',
    'https://127.0.0.1/a',
    'ssh://git@2130706433/a',
    'ssh://git@0x7f.1/a',
    'https://[::ffff:169.254.169.254]/a',
  ])('refuses %s without a look-up', async (url) => {
    const guard = new SsrfGuard({ resolve: () => Promise.reject(new Error('asked')) });
    expect(await verdict(guard, url)).toMatch(/^refused: it: /);
  });

  it.each([
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '::1',
    '::ffff:10.0.0.1',
    'fd00:ec2::254',
    'fe80::1',
    '224.0.0.1',
    '0.0.0.0',
  ])('refuses a name that leads to %s, even beside a good address', async (address) => {
    const text = await verdict(guardTo(['93.184.216.34', address]), 'https://x.example/a');
    expect(text).toMatch(/^refused: it: x\.example leads to /);
    // What names mean inside is not told outside.
    expect(text).not.toContain(address);
  });

  it('opens what the operator names, and no more', async () => {
    const trusted = guardTo(['10.0.0.1'], { trustedHosts: (host) => host === 'git.corp.example' });
    expect(await verdict(trusted, 'https://git.corp.example/a')).toBe('ok');
    expect(await verdict(trusted, 'https://other.example/a')).toMatch(/^refused/);
    for (const inner of ['127.0.0.1', '169.254.1.1', '169.254.169.254', 'fd00:ec2::254', '100.100.100.200']) {
      const guard = guardTo([inner], { trustedHosts: () => true });
      expect(await verdict(guard, 'https://git.corp.example/a'), inner).toMatch(/^refused/);
    }
    const named = { allowHosts: ['*.corp.example'] };
    expect(await verdict(guardTo(['127.0.0.1'], named), 'https://git.corp.example/a')).toBe('ok');
    expect(await verdict(guardTo(['169.254.1.1'], named), 'https://git.corp.example/a')).toMatch(/^refused/);
    const range = { allowAddresses: ['10.0.0.0/8', '169.254.0.0/16', 'fd00::/8'] };
    expect(await verdict(guardTo(['10.9.9.9'], range), 'https://x.example/a')).toBe('ok');
    expect(await verdict(guardTo(['169.254.7.7'], range), 'https://x.example/a')).toBe('ok');
    // A range around a metadata service is not meant to open it.
    expect(await verdict(guardTo(['169.254.169.254'], range), 'https://x.example/a')).toMatch(/^refused/);
    expect(await verdict(guardTo(['fd00:ec2::254'], range), 'https://x.example/a')).toMatch(/^refused/);
    const exact = { allowAddresses: ['FD00:EC2:0::254'] };
    expect(await verdict(guardTo(['fd00:ec2::254'], exact), 'https://x.example/a')).toBe('ok');
    expect(
      await verdict(guardTo(['93.184.216.34'], { allowPorts: [8443] }), 'https://x.example:8443/a'),
    ).toBe('ok');
    expect(await verdict(guardTo(['93.184.216.34']), 'http://x.example/a', { isInsecure: true })).toBe('ok');
  });

  it('judges names and literal addresses where a proxy looks names up', async () => {
    const guard = new SsrfGuard({ resolve: () => Promise.reject(new Error('asked')) });
    expect(await verdict(guard, 'https://x.example/a', { isProxied: true })).toBe('ok');
    expect(await verdict(guard, 'https://10.0.0.1/a', { isProxied: true })).toMatch(/^refused/);
  });

  it('tells a name that cannot be resolved from a refused one', async () => {
    const missing = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    const guard = new SsrfGuard({ resolve: () => Promise.reject(missing) });
    expect(await verdict(guard, 'https://x.example/a')).toMatch(/^dns: it: x\.example: /);
  });

  it('judges again what a socket connects to', async () => {
    const answers = ['93.184.216.34', '127.0.0.1'];
    const guard = new SsrfGuard({ resolve: async () => [{ address: answers.shift() ?? '', family: 4 }] });
    expect(await verdict(guard, 'https://x.example/a')).toBe('ok');
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      guard.lookup('x.example', { all: true }, (failure) => resolve(failure));
    });
    expect(error?.code).toBe(innerAddressCode);
  });
});
