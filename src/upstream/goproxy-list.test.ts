import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GoproxyError, parseGoproxy, parseUpstreamUrl, stopsOnError } from './goproxy-list.ts';

function shape(value: string): string {
  const { entries, end } = parseGoproxy(value);
  return [...entries.map((entry) => `${entry.url}${entry.separatorAfter ?? ''}`), end].join(' ');
}

describe('parseGoproxy', () => {
  it.each([
    ['https://a.example', 'https://a.example none'],
    ['https://a.example/,direct', 'https://a.example, direct'],
    ['https://a.example/base/|https://b.example,off', 'https://a.example/base| https://b.example, off'],
    [' https://a.example , ,| https://b.example ', 'https://a.example, https://b.example none'],
    ['https://a.example,direct,https://late.example', 'https://a.example, direct'],
    ['off,https://late.example', 'off'],
    ['direct', 'direct'],
    ['mirror.example/go,direct', 'https://mirror.example/go, direct'],
    ['localhost:8080', 'https://localhost:8080 none'],
    ['http://127.0.0.1:3000/x', 'http://127.0.0.1:3000/x none'],
    ['https://a.example|https://a.example/,https://b.example', 'https://a.example| https://b.example none'],
  ])('reads %j as Go does', (value, expected) => {
    expect(shape(value)).toBe(expected);
  });

  it('takes userinfo out of the URL and keeps it as credentials that do not print', () => {
    const [entry] = parseGoproxy('https://me:p%40ss@corp.example/go,direct').entries;

    expect(entry?.url).toBe('https://corp.example/go');
    expect(entry?.auth).toMatchObject({ kind: 'basic', username: 'me' });
    expect(entry?.auth?.kind === 'basic' && entry.auth.password.reveal()).toBe('p@ss');
    expect(JSON.stringify(entry)).not.toContain('p@ss');
  });

  it.each([
    ['', 'empty'],
    [' , | ', 'empty'],
    ['noproxy', 'bad_url'],
    ['https://', 'bad_url'],
    ['https://a.example/?token=x', 'bad_url'],
    ['file:///srv/modules', 'unsupported'],
    ['/srv/modules', 'unsupported'],
    ['ftp://a.example', 'unsupported'],
  ])('refuses %j as %s', (value, code) => {
    expect(() => parseGoproxy(value)).toThrow(expect.objectContaining({ code }));
  });

  it('never shows credentials in the error of a bad URL', () => {
    for (const value of [
      'https://me:hunter2@bad host/',
      'ftp://me:hunter2@a.example',
      'https://u:hunter2@h/?q',
    ]) {
      expect(() => parseGoproxy(value)).toThrow(GoproxyError);
      expect(() => parseGoproxy(value)).not.toThrow(/hunter2/);
    }
  });

  it('fails only with its own error, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const list = parseGoproxy(text);
          return list.entries.length > 0 || list.end !== 'none';
        } catch (error) {
          return error instanceof GoproxyError;
        }
      }),
    );
  });

  it('reads back the entries it gave', () => {
    const host = fc.stringMatching(/^[a-z]{1,8}\.example$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(host, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(',', '|'),
        (hosts, separator) => {
          const urls = hosts.map((name) => `https://${name}`);
          expect(parseGoproxy(urls.join(separator)).entries.map((entry) => entry.url)).toEqual(urls);
        },
      ),
    );
  });
});

describe('stopsOnError', () => {
  it.each([
    { url: 'https://public.example', separatorAfter: ',', hasCredentials: false, expected: false },
    { url: 'https://corp.example', separatorAfter: ',', hasCredentials: true, expected: true },
    { url: 'https://corp.example', separatorAfter: '|', hasCredentials: true, expected: false },
    { url: 'http://10.1.2.3:8081', separatorAfter: ',', hasCredentials: false, expected: true },
    { url: 'http://172.31.0.1', separatorAfter: ',', hasCredentials: false, expected: true },
    { url: 'http://172.32.0.1', separatorAfter: ',', hasCredentials: false, expected: false },
    { url: 'http://[fd12::1]:8081', separatorAfter: ',', hasCredentials: false, expected: true },
    { url: 'http://127.0.0.1:8081', separatorAfter: ',', hasCredentials: false, expected: false },
    { url: 'http://[::1]:8081', separatorAfter: ',', hasCredentials: false, expected: false },
    { url: 'http://192.168.1.1', separatorAfter: undefined, hasCredentials: true, expected: false },
  ] as const)(
    'is $expected for $url followed by $separatorAfter',
    ({ expected, hasCredentials, ...entry }) => {
      expect(stopsOnError(entry, { hasCredentials })).toBe(expected);
    },
  );

  it('follows the operator where he says what to do', () => {
    const entry = { url: 'http://10.0.0.1', separatorAfter: ',' } as const;
    expect(stopsOnError(entry, { hasCredentials: true, fallThrough: 'any' })).toBe(false);
    const open = { url: 'https://public.example', separatorAfter: '|' } as const;
    expect(stopsOnError(open, { hasCredentials: false, fallThrough: 'not_found' })).toBe(true);
  });
});

describe('parseUpstreamUrl', () => {
  it('takes one URL and splits its credentials off', () => {
    const { url, auth } = parseUpstreamUrl('https://u:p@corp.example/go/');
    expect(url).toBe('https://corp.example/go');
    expect(auth?.kind).toBe('basic');
  });
});
