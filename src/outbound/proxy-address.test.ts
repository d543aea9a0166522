import { describe, expect, it } from 'vitest';
import { hostPort, OutboundProxyError, parseProxy, proxyAuthorization } from './proxy-address.ts';

describe('parseProxy', () => {
  it.each([
    ['p.lan', 'http', 'p.lan', 80],
    ['p.lan:3128', 'http', 'p.lan', 3128],
    ['https://p.lan', 'https', 'p.lan', 443],
    ['socks5://p.lan', 'socks5', 'p.lan', 1080],
    ['socks5h://p.lan:9', 'socks5', 'p.lan', 9],
    ['http://[::1]:8', 'http', '::1', 8],
    ['SOCKS5://P.lan:9', 'socks5', 'p.lan', 9],
  ])('%s', (text, kind, host, port) => {
    expect(parseProxy(text, 'x')).toMatchObject({ kind, host, port, credentials: undefined });
  });

  it('keeps credentials out of what is shown', () => {
    const proxy = parseProxy('http://me:hunter%402@p.lan:1', 'x');

    expect(proxy.shown).toBe('http://p.lan:1');
    expect(proxy.credentials?.password.reveal()).toBe('hunter@2');
    expect(JSON.stringify(proxy)).not.toContain('hunter');
    expect(proxyAuthorization(proxy)).toBe(`Basic ${Buffer.from('me:hunter@2').toString('base64')}`);
  });

  it('refuses a SOCKS5 password that cannot be sent', () => {
    expect(() => parseProxy(`socks5://u:${'p'.repeat(256)}@p.lan`, 'x')).toThrow(OutboundProxyError);
  });
});

describe('hostPort', () => {
  it('puts IPv6 in brackets', () => {
    expect([hostPort('::1', 8), hostPort('a.example', 8)]).toEqual(['[::1]:8', 'a.example:8']);
  });
});
