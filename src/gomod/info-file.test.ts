import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { ContentError } from './content-error.ts';
import { looksLikeHtml } from './html.ts';
import { checkInfo, checkMod, parseInfo } from './info-file.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const info = (version: string): Buffer =>
  bytes(JSON.stringify({ Version: version, Time: '2020-01-02T03:04:05+08:00' }));

describe('a .info', () => {
  it('is read exactly where Go reads it', () => {
    const ours = vectors.infos.map(({ text }) => ({
      text,
      version: attempt(() => parseInfo(bytes(text)).version),
    }));
    // JSON keeps the order of keys apart from their last duplicate, which is all that Go looks at too.
    expect(ours).toEqual(
      vectors.infos.map(({ text, ok, version }) => ({ text, version: ok ? version : 'bad_info' })),
    );
  });

  it('keeps the zone offset of its time', () => {
    expect(parseInfo(info('v1.0.0'))).toEqual({ version: 'v1.0.0', time: '2020-01-02T03:04:05+08:00' });
    expect(parseInfo(bytes('{"Version":"v1.0.0"}'))).toEqual({ version: 'v1.0.0' });
  });

  it('must name the version asked when that one is canonical and fits the path', () => {
    expect(checkInfo('x.y/z', 'v1.0.0', info('v1.0.0'))).toMatchObject({
      version: 'v1.0.0',
      immutable: true,
    });
    expect(attempt(() => checkInfo('x.y/z', 'v1.0.0', info('v1.0.1')).version)).toBe('bad_info');
    expect(attempt(() => checkInfo('x.y/z', 'v1.0.0', info('v1.0')).version)).toBe('bad_info');
  });

  it.each([
    ['x.y/z', 'v2.0.0', 'v2.0.0+incompatible'],
    ['x.y/z', 'master', 'v0.0.0-20200101120000-abcdefabcdef'],
    ['x.y/z', 'latest', 'v1.2.3'],
    ['x.y/z', 'v1', 'v1.2.3'],
    ['x.y/z', 'v1.2.3+meta', 'v1.2.3'],
  ])('of %s asked for %s may name %s, and is no immutable answer', (path, asked, named) => {
    expect(checkInfo(path, asked, info(named))).toMatchObject({ version: named, immutable: false });
  });

  it.each(['master', 'v1.2', 'v2.0.0', '../../etc', 'v1.0.0/x'])('of a query may not name %s', (named) => {
    expect(attempt(() => checkInfo('x.y/z', 'master', info(named)).version)).toBe('bad_info');
  });

  it("of a pseudo-version must have the commit's time, in whatever zone", () => {
    const named = 'v0.0.0-20200101190405-abcdefabcdef';
    expect(checkInfo('x.y/z', named, info(named)).immutable).toBe(true);
    expect(checkInfo('x.y/z', named, bytes(`{"Version":"${named}"}`)).immutable).toBe(true);
    const near = named.replace('0405', '0452');
    expect(checkInfo('x.y/z', near, info(near)).immutable).toBe(true);
    const later = named.replace('20200101', '20200103');
    expect(attempt(() => checkInfo('x.y/z', later, info(later)).version)).toBe('bad_info');
  });

  it('is refused when it is a page, not UTF-8, or larger than 64 KiB', () => {
    expect(attempt(() => parseInfo(bytes('\n<!DOCTYPE html><p>log in')).version)).toBe('html');
    expect(attempt(() => parseInfo(Buffer.from([0x7b, 0xff, 0x7d])).version)).toBe('bad_info');
    expect(attempt(() => parseInfo(bytes(`{"Version":"v1.0.0","x":"${'a'.repeat(65_536)}"}`)).version)).toBe(
      'bad_info',
    );
    expect(attempt(() => parseInfo(bytes('['.repeat(65_536))).version)).toBe('bad_info');
  });

  it('fails with ContentError only, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array(), (data) => attempt(() => parseInfo(data).version) !== ''));
    fc.assert(fc.property(fc.json(), (text) => attempt(() => parseInfo(bytes(text)).version) !== ''));
  });
});

describe('a .mod', () => {
  it.each([
    'module x.y/z\n',
    'module other.example/fork\n',
    'module x.y/z\nfuture directive (\n\tof go\n)\n',
    'module `x.y/z`\n',
    'module x.y/z\nrequire a.b/c master\n',
    'module x.y/z\nfuture /* syntax */\n',
  ])('is accepted: %j', (text) => {
    expect(checkMod(bytes(text)).declaresModule).toBe(true);
  });

  it('is refused without a module line, as a page, not in UTF-8, and above 16 MiB', () => {
    expect(attempt(() => checkMod(bytes('go 1.20\n')).module ?? '')).toBe('bad_mod');
    expect(attempt(() => checkMod(bytes('')).module ?? '')).toBe('bad_mod');
    expect(attempt(() => checkMod(bytes('<html>\nmodule x.y/z\n</html>')).module ?? '')).toBe('html');
    expect(attempt(() => checkMod(Buffer.from('module x.y/\xe9\n', 'latin1')).module ?? '')).toBe('bad_mod');
    const large = Buffer.alloc(16 * 1024 * 1024 + 1, '\n');
    large.write('module x.y/z\n');
    expect(attempt(() => checkMod(large).module ?? '')).toBe('bad_mod');
    expect(checkMod(large.subarray(0, -1)).module).toBe('x.y/z');
  });
});

describe('a web page', () => {
  it.each([
    [undefined, '<!doctype HTML>', true],
    [undefined, '\ufeff\n  <html lang="en">', true],
    ['text/html; charset=utf-8', '<div>log in</div>', true],
    [undefined, '<div>log in</div>', false],
    ['text/html', 'module x.y/z\n', false],
    ['text/html', '', false],
    ['text/plain', '{"Version":"v1.0.0"}', false],
    ['text/html', 'PK\u0003\u0004', false],
  ])('with type %s and head %j: %s', (contentType, head, expected) => {
    expect(looksLikeHtml(contentType, bytes(head))).toBe(expected);
  });
});

/** The result, or the code of the ContentError. */
function attempt(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (error instanceof ContentError) return error.code;
    throw error;
  }
}
