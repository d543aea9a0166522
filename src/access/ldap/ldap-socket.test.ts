import { describe, expect, it } from 'vitest';
import { startTlsVerdict } from './ldap-socket.ts';

/** As slapd answers: message 1, extended response, success, no texts. */
const yes = Buffer.from('300c02010178070a010004000400', 'hex');

describe('startTlsVerdict', () => {
  it('accepts exactly one whole answer', () => {
    expect(startTlsVerdict(yes)).toBe('yes');
    for (let length = 0; length < yes.length; length += 1)
      expect(startTlsVerdict(yes.subarray(0, length))).toBe('more');
  });

  it('accepts long forms of lengths', () => {
    const long = Buffer.from('3084000000100201017884000000070a010004000400', 'hex');
    expect(startTlsVerdict(long)).toBe('yes');
    expect(startTlsVerdict(long.subarray(0, 4))).toBe('more');
  });

  it('refuses bytes behind the answer: a forged answer to the log-in could wait there', () => {
    const forged = Buffer.from('300c02010261070a010004000400', 'hex');
    expect(startTlsVerdict(Buffer.concat([yes, forged]))).toMatch(/not safe/);
    expect(startTlsVerdict(Buffer.concat([yes, forged.subarray(0, 3)]))).toMatch(/not safe/);
  });

  it.each([
    ['a refusal', '300c02010178070a010204000400', /result code 2/],
    ['another message', '300c02010278070a010004000400', /no LDAP/],
    ['another answer', '300c02010161070a010004000400', /no LDAP/],
    ['text', Buffer.from('HTTP/1.1 400').toString('hex'), /no LDAP/],
    ['a length without end', '3080', /no LDAP/],
    ['a huge length', '30847fffffff', /no LDAP/],
    ['an inner length beyond the outer', '300c020101787f0a010004000400', /no LDAP/],
  ])('refuses %s', (_, hex, message) => {
    expect(startTlsVerdict(Buffer.from(hex, 'hex'))).toMatch(message);
  });
});
