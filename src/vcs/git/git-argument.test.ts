import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkedHash, checkedPath, checkedUrl, isHashPrefix, isRefName } from './git-argument.ts';
import type { GitProtocol } from './git-options.ts';

const usual: readonly GitProtocol[] = ['https', 'ssh'];

describe('repository URLs', () => {
  it.each([
    'https://git.example/team/lib.git',
    'https://git.example:8443/a/b/c',
    'ssh://git@git.example/team/lib.git',
    'ssh://git@git.example:2222/~user/lib',
    'https://[2001:db8::1]/lib',
    'https://git.example/with%20space',
    'https://git.example/a-b/c_d/e.f',
  ])('that are let in: %s', (url) => {
    expect(checkedUrl(url, usual).href).toContain('://');
  });

  it('that are let in only where it is said', () => {
    expect(() => checkedUrl('http://git.example/a', usual)).toThrow(/https, ssh/);
    expect(() => checkedUrl('file:///srv/git/a.git', usual)).toThrow(/https, ssh/);
    expect(checkedUrl('http://git.example/a', ['http']).host).toBe('git.example');
    expect(checkedUrl('file:///srv/git/a.git', ['file']).pathname).toBe('/srv/git/a.git');
  });

  it.each([
    '-oProxyCommand=touch canary',
    '--upload-pack=touch canary',
    'ssh://-oProxyCommand=touch%20canary/a',
    'ssh://-oProxyCommand=x@git.example/a',
    'ssh://%2doProxyCommand=x@git.example/a',
    'ssh://git@-oProxyCommand=x/a',
    'ssh://git@git.example/-oProxyCommand=x',
    'ssh://git@git.example/~-oProxyCommand=x',
    'ssh://git@git.example/%2doProxyCommand=x',
    'https://git.example/--upload-pack=x',
    'ext::sh -c touch% canary',
    'ext::sh',
    'fd::3',
    'fd::17/foo',
    'file:///etc',
    'file://git.example/etc',
    'git://git.example/a',
    'ftp://git.example/a',
    'rsync://git.example/a',
    'http://git.example/a',
    'HTTPS://git.example/a',
    'https:git.example/a',
    'https:///a',
    'git@git.example:team/lib.git',
    '/srv/git/a',
    '../a',
    'a',
    '',
    'https://git.example/a\nb',
    'https://git.example/a\rb',
    'https://git.example/a%0ab',
    'https://git.example/a%00',
    'https://git.example/a%7fb',
    'https://git.example/a\u0000',
    'https://git.example/a b',
    'https://git.example/a\\b',
    'https://git.example/a%5cb',
    'https://git.example/a%zz',
    'https://git.example/../a',
    'https://git.example/a/%2e%2e/b',
    'https://git.example/',
    'https://git.example',
    'https://git.example/a?x=1',
    'https://git.example/a#b',
    'https://user@git.example/a',
    'https://user:secret@git.example/a',
    'ssh://git:secret@git.example/a',
    'https://git.example/ä',
    'https://gıt.example/a',
    'https://git.example/`id`',
    'https://git.example/"a"',
    'https://$(id)/a',
    `https://git.example/${'a'.repeat(3_000)}`,
  ])('that are refused: %j', (url) => {
    let failure: unknown;
    try {
      checkedUrl(url, usual);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'refused' });
    const { message } = failure as Error;
    // oxlint-disable-next-line no-control-regex -- that is what it looks for
    expect(message).not.toMatch(/secret|[\u0000-\u001f]/);
    expect(message.length).toBeLessThan(300);
  });

  it('never come through with an option, a control character or another protocol', () => {
    const pieces = fc.constantFrom(
      '-',
      '--',
      'ssh://',
      'https://',
      'ext::',
      '@',
      '/',
      '%2d',
      '%0a',
      '\n',
      'a',
      '~',
      ':',
      '.',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }), (parts) => {
        const url = parts.join('');
        let parsed: URL;
        try {
          parsed = checkedUrl(url, usual);
        } catch (error) {
          expect(error).toMatchObject({ code: 'refused' });
          return;
        }
        expect(url).toMatch(/^(?:https|ssh):\/\//);
        expect(parsed.hostname).not.toMatch(/^-/);
        expect(decodeURIComponent(parsed.username)).not.toMatch(/^-/);
        expect(decodeURIComponent(parsed.pathname)).not.toMatch(/\/~?-|\p{Cc}/u);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('names inside a repository', () => {
  it('hashes are whole and lower case, prefixes have seven digits at least', () => {
    expect(checkedHash('a'.repeat(40))).toBe('a'.repeat(40));
    for (const bad of ['-'.repeat(40), 'A'.repeat(40), 'a'.repeat(41), 'HEAD', '', `${'a'.repeat(40)}\n`]) {
      expect(() => checkedHash(bad)).toThrow(expect.objectContaining({ code: 'absent' }));
    }
    expect(isHashPrefix('abcdef0')).toBe(true);
    for (const bad of ['abcdef', 'ABCDEF0', '--upload', 'abcdefg', 'a'.repeat(65)])
      expect(isHashPrefix(bad)).toBe(false);
  });

  it('paths stay inside and are no options', () => {
    for (const good of ['', 'go.mod', 'a/b c/d.go', 'ä', 'a/-b', '..a', ':(top)x'])
      expect(checkedPath(good)).toBe(good);
    for (const bad of [
      '-a',
      '--x/y',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a\nb',
      'a\u0000b',
      'a'.repeat(5_000),
    ]) {
      expect(checkedPath(bad)).toBeUndefined();
    }
  });

  it('refs of a server are taken only where git would have them', () => {
    for (const good of [
      'HEAD',
      'refs/heads/main',
      'refs/tags/v1.0.0',
      'refs/heads/a/b',
      'refs/tags/sub/v1',
      'refs/heads/-x',
    ]) {
      expect(isRefName(good)).toBe(true);
    }
    for (const bad of [
      'refs/pull/1/head',
      'refs/heads/',
      'refs/heads/a..b',
      'refs/heads/../../x',
      'refs/heads/a.lock',
      'refs/heads/.a',
      'refs/heads/a b',
      'refs/heads/a\u001b[31m',
      'refs/heads/a~1',
      'refs/tags/@{1}',
      'refs/tags/a//b',
      '--all',
      '',
    ]) {
      expect(isRefName(bad)).toBe(false);
    }
  });

  it('and URLs of any length are checked in no time', () => {
    for (const piece of ['a', '/', '-', '%2e', '.', '@', ':']) {
      const long = piece.repeat(50_000 / piece.length);
      const startedMs = performance.now();
      expect(() => checkedUrl(`https://git.example/${long}`, usual)).toThrow();
      checkedPath(long);
      isRefName(`refs/heads/${long}`);
      isHashPrefix(long);
      expect(performance.now() - startedMs).toBeLessThan(1_000);
    }
  });
});
