import { describe, expect, it } from 'vitest';
import { contentLengthOf, redirectTarget } from './answer-head.ts';

function target(from: string, location: string, mayGoInside = false): string {
  return redirectTarget('up', new URL(from), { location }, mayGoInside).href;
}

describe('redirectTarget', () => {
  it.each([
    'http://127.0.0.1/',
    'http://localhost:8080/',
    'http://10.0.0.1/',
    'http://192.168.0.1/',
    'http://[::1]/',
    'http://[fd00::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://0.0.0.0/',
    'http://2130706433/',
  ])('does not lead from outside to %s', (location) => {
    expect(() => target('http://mirror.example/x', location)).toThrow(
      expect.objectContaining({ code: 'redirect' }),
    );
  });

  it('may lead inside when the upstream is there', () => {
    expect(target('http://10.0.0.2/x', 'http://10.0.0.1/y', true)).toBe('http://10.0.0.1/y');
  });

  it('may lead from http to https and to other public servers, but drops userinfo', () => {
    expect(target('http://a.example/x', 'https://u:p@cdn.example/y?sig=1#z')).toBe(
      'https://cdn.example/y?sig=1',
    );
    expect(() => target('https://a.example', 'http://a.example')).toThrow(/plain http/);
  });

  it('does not show the whole location in its errors: signatures stand there', () => {
    expect(() => target('https://a.example', 'http://b.example/?sig=hunter2')).not.toThrow(/hunter2/);
  });
});

describe('contentLengthOf', () => {
  it.each([
    ['5', 5],
    ['0', 0],
    ['-1', undefined],
    ['5x', undefined],
    ['9999999999999999999', undefined],
    [undefined, undefined],
  ])('of %j is %j', (value, expected) => {
    expect(contentLengthOf(value === undefined ? {} : { 'content-length': value })).toBe(expected);
  });
});
