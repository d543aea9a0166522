import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeDnValue, escapeFilterValue, fillTemplate, isBelow, parseDn } from './ldap-escape.ts';

describe('escapeFilterValue', () => {
  it.each([
    ['*)(uid=*', String.raw`\2a\29\28uid=\2a`],
    ['a\\b', String.raw`a\5cb`],
    ['nul\0', String.raw`nul\00`],
    ['王芳', '王芳'],
  ])('%j', (value, escaped) => {
    expect(escapeFilterValue(value)).toBe(escaped);
  });
});

describe('escapeDnValue', () => {
  it.each([
    ['o,brien', String.raw`o\,brien`],
    ['a+b=c', String.raw`a\+b\=c`],
    ['#x', String.raw`\#x`],
    [' x ', String.raw`\ x\ `],
    [' ', String.raw`\ `],
    ['"<>;\\', String.raw`\"\<\>\;\\`],
  ])('%j', (value, escaped) => {
    expect(escapeDnValue(value)).toBe(escaped);
  });

  it('is one value of one attribute, whatever it is', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(text, (value) => {
        expect(parseDn(`uid=${escapeDnValue(value)},dc=x`)).toEqual([[['uid', value]], [['dc', 'x']]]);
      }),
    );
  });
});

describe('fillTemplate', () => {
  it('reads no placeholder in a value', () => {
    expect(fillTemplate('({user}{dn})', { user: '{dn}', dn: '$&' }, (value) => value)).toBe('({dn}$&)');
  });
});

describe('parseDn', () => {
  it('reads escapes, several pairs and spaces', () => {
    expect(parseDn(String.raw`CN = a\2c\20b , OU=x+L=y,2.5.4.6=CN`)).toEqual([
      [['cn', 'a, b']],
      [
        ['ou', 'x'],
        ['l', 'y'],
      ],
      [['2.5.4.6', 'CN']],
    ]);
  });

  it.each(['', 'x', 'cn=a,', 'cn=a"b', ',cn=a', 'cn=#04024869', 'cn=a,b'])('refuses "%s"', (text) => {
    expect(parseDn(text)).toBeUndefined();
  });

  it('takes no longer for hostile texts', () => {
    const startedMs = performance.now();
    for (const text of [
      `cn=${'\\'.repeat(50_000)}`,
      `cn=${' '.repeat(50_000)}x`,
      `cn=a${' '.repeat(50_000)}b`,
      'cn=a,'.repeat(10_000),
    ])
      parseDn(text);
    expect(performance.now() - startedMs).toBeLessThan(1500);
  });
});

describe('isBelow', () => {
  it.each([
    ['cn=a,ou=Groups,dc=X', 'ou=groups,dc=x', true],
    ['cn=a,ou=groups,dc=x', 'ou=groups, dc=x', true],
    ['cn=a,ou=other,dc=x', 'ou=groups,dc=x', false],
    [String.raw`cn=a\,ou=groups,dc=x`, 'ou=groups,dc=x', false],
    ['dc=x', 'ou=groups,dc=x', false],
  ])('%s below %s: %s', (dn, base, expected) => {
    expect(isBelow(parseDn(dn) ?? [], parseDn(base) ?? [])).toBe(expected);
  });
});
