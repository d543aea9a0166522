import { describe, expect, it } from 'vitest';
import { OutboundProxyError, parseNoProxy, proxyRule } from './proxy-rule.ts';

function chosen(env: Record<string, string>, target: string, setting?: string): string | undefined {
  return proxyRule(setting, env)(new URL(target))?.shown;
}

describe('proxyRule', () => {
  it.each([
    [
      'by the scheme of the target',
      { HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'http://q:2' },
      'https://a.example',
      'http://p:1',
    ],
    [
      'by the scheme of the target',
      { HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'http://q:2' },
      'http://a.example',
      'http://q:2',
    ],
    ['in lower case', { https_proxy: 'http://p:1' }, 'https://a.example', 'http://p:1'],
    [
      'upper case first',
      { https_proxy: 'http://p:1', HTTPS_PROXY: 'http://q:2' },
      'https://a.example',
      'http://q:2',
    ],
    ['without a scheme', { HTTPS_PROXY: 'proxy.lan:3128' }, 'https://a.example', 'http://proxy.lan:3128'],
    ['none', { HTTP_PROXY: 'http://p:1' }, 'https://a.example', undefined],
    ['empty means none', { HTTPS_PROXY: ' ' }, 'https://a.example', undefined],
    ['not for loopback', { HTTP_PROXY: 'http://p:1' }, 'http://127.0.0.1:8080', undefined],
    ['not for loopback', { HTTP_PROXY: 'http://p:1' }, 'http://localhost', undefined],
    ['not for loopback', { HTTP_PROXY: 'http://p:1' }, 'http://[::1]:80', undefined],
    [
      'not for what NO_PROXY names',
      { HTTP_PROXY: 'http://p:1', no_proxy: 'a.example' },
      'http://a.example',
      undefined,
    ],
  ])('takes the proxy of the environment %s', (_what, env, target, expected) => {
    expect(chosen(env, target)).toBe(expected);
  });

  it('lets one upstream say direct, env, or its own proxy', () => {
    const env = { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*' };
    expect(chosen(env, 'https://a.example', 'direct')).toBeUndefined();
    expect(chosen(env, 'https://a.example', 'env')).toBeUndefined();
    expect(chosen(env, 'https://a.example', 'own.lan:9')).toBe('http://own.lan:9');
  });

  it('keeps credentials of the proxy out of what is shown', () => {
    const proxy = proxyRule('http://me:hunter2@p.lan:1', {})(new URL('https://a.example'));
    expect(proxy?.shown).toBe('http://p.lan:1');
    expect(proxy?.url.reveal()).toContain('hunter2');
    expect(JSON.stringify(proxy)).not.toContain('hunter2');
  });

  it.each(['http://', 'ftp://p.lan', 'http://me:hunter2@bad host'])(
    'refuses %s without showing it',
    (value) => {
      expect(() => proxyRule(undefined, { HTTP_PROXY: value })).toThrow(OutboundProxyError);
      expect(() => proxyRule(undefined, { HTTP_PROXY: value })).not.toThrow(/hunter2/);
    },
  );
});

describe('parseNoProxy', () => {
  it.each([
    ['*', 'https://any.example', true],
    ['a.example', 'https://a.example', true],
    ['a.example', 'https://sub.a.example', true],
    ['a.example', 'https://nota.example', false],
    ['.a.example', 'https://a.example', false],
    ['.a.example', 'https://sub.a.example', true],
    ['*.a.example', 'https://sub.a.example', true],
    ['A.Example', 'https://a.EXAMPLE', true],
    ['a.example:8443', 'https://a.example:8443', true],
    ['a.example:8443', 'https://a.example', false],
    ['a.example:443', 'https://a.example', true],
    ['10.0.0.0/8', 'http://10.9.8.7', true],
    ['10.0.0.0/8', 'http://11.9.8.7', false],
    ['fd00::/8', 'http://[fd01::1]:80', true],
    ['10.0.0.1', 'http://10.0.0.1:9', true],
    ['10.0.0.1:9', 'http://10.0.0.1:9', true],
    ['x.example, b.example', 'http://b.example', true],
    ['10.0.0.0/99', 'http://10.0.0.1', false],
    ['', 'http://a.example', false],
  ])('%j for %s is %s', (list, target, expected) => {
    expect(parseNoProxy(list)(new URL(target))).toBe(expected);
  });
});
