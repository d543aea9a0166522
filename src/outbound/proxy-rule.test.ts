import { describe, expect, it } from 'vitest';
import { OutboundProxyError } from './proxy-address.ts';
import {
  directRule,
  envProxyRule,
  exceptLoopback,
  fixedProxyRule,
  type ProxyRule,
  parseNoProxy,
} from './proxy-rule.ts';

function chosen(rule: ProxyRule, target: string): string | undefined {
  const choice = rule(new URL(target));
  if (choice instanceof Promise) throw new Error('this rule takes no time');
  expect(choice).toHaveLength(1);
  const [hop] = choice;
  return hop === 'direct' ? undefined : hop?.shown;
}

describe('envProxyRule', () => {
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
    ['of SOCKS', { HTTP_PROXY: 'socks5h://p:1' }, 'http://a.example', 'socks5h://p:1'],
    [
      'not for what NO_PROXY names',
      { HTTP_PROXY: 'http://p:1', no_proxy: 'a.example' },
      'http://a.example',
      undefined,
    ],
  ])('takes the proxy of the environment %s', (_what, env, target, expected) => {
    expect(chosen(envProxyRule(env), target)).toBe(expected);
  });

  it.each(['http://', 'ftp://p.lan', 'socks4://p.lan:1', 'http://me:hunter2@bad host'])(
    'refuses %s without showing it',
    (value) => {
      expect(() => envProxyRule({ HTTP_PROXY: value })).toThrow(OutboundProxyError);
      expect(() => envProxyRule({ HTTP_PROXY: value })).not.toThrow(/hunter2/);
    },
  );
});

describe('fixed rules', () => {
  it('are always the same', () => {
    expect(chosen(directRule, 'https://a.example')).toBeUndefined();
    expect(chosen(fixedProxyRule('own.lan:9'), 'https://a.example')).toBe('http://own.lan:9');
    expect(chosen(fixedProxyRule('own.lan:9'), 'http://127.0.0.1')).toBe('http://own.lan:9');
  });

  it('can leave out this machine', () => {
    const rule = exceptLoopback(fixedProxyRule('own.lan:9'));
    expect(chosen(rule, 'http://127.0.0.1')).toBeUndefined();
    expect(chosen(rule, 'http://a.example')).toBe('http://own.lan:9');
  });
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
