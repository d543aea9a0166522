import { describe, expect, it } from 'vitest';
import { parseAuthorization } from './credentials.ts';

function basic(text: string | Uint8Array): string {
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

describe('parseAuthorization', () => {
  it.each([
    [basic('alice:secret'), { kind: 'basic', username: 'alice', password: 'secret' }],
    [basic('alice:a:b'), { kind: 'basic', username: 'alice', password: 'a:b' }],
    [basic(':x'), { kind: 'basic', username: '', password: 'x' }],
    [basic('ärger:密'), { kind: 'basic', username: 'ärger', password: '密' }],
    [basic('__proto__:x'), { kind: 'basic', username: '__proto__', password: 'x' }],
    [basic('a:b').replace('Basic', 'bAsIc  '), { kind: 'basic', username: 'a', password: 'b' }],
    ['Bearer a.b-c_d~e+f/g==', { kind: 'bearer', token: 'a.b-c_d~e+f/g==' }],
  ])('%s', (header, expected) => expect(parseAuthorization(header)).toEqual(expected));

  it.each([
    ['nothing', ''],
    ['a scheme alone', 'Basic'],
    ['another scheme', 'Negotiate abcd'],
    ['a raw token', 'mfy_abc'],
    ['no colon', basic('alice')],
    ['a control character', basic('alice:se\ncret')],
    ['a NUL', basic('al\u0000ice:secret')],
    ['bytes that are no UTF-8', basic(new Uint8Array([0x61, 0x3a, 0xff]))],
    ['base64 without its padding', 'Basic YWxpY2U6'.concat('eA')],
    ['base64 of the other alphabet', 'Basic YWxp-2U6'],
    ['two tokens', 'Bearer a b'],
    ['a list of headers', `${basic('a:b')}, Bearer x`],
    ['padding in the middle', 'Bearer a=b'],
    ['a header longer than 8 KiB', `Bearer ${'a'.repeat(8 * 1024)}`],
  ])('takes no %s', (_, header) => expect(parseAuthorization(header)).toBeUndefined());

  it('takes 50 kB of anything quickly', () => {
    const startedAtMs = performance.now();
    for (const text of ['Basic ', 'Bearer ', '=', ' ', 'a', 'a=', '\u0000']) {
      expect(parseAuthorization(text.repeat(50_000 / text.length))).toBeUndefined();
      expect(parseAuthorization(`Basic ${text.repeat(8_000 / text.length)}`)).toBeUndefined();
      expect(parseAuthorization(`Basic  ${' '.repeat(8_000)}${text}`)).toBeUndefined();
    }
    expect(performance.now() - startedAtMs).toBeLessThan(50);
  });
});
