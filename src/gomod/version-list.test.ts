import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContentError } from './content-error.ts';
import { formatList, parseList, readList } from './version-list.ts';

const pseudo = 'v0.0.0-20200101120000-abcdefabcdef';

describe('an upstream list', () => {
  it('gives the first field of each line, once, in the order sent', () => {
    const body = Buffer.from('v1.2.0\r\n\nv1.1.0 2020-01-01T00:00:00Z\n  v1.2.0\nv2.0.0+incompatible\n');
    expect(parseList(body)).toEqual(['v1.2.0', 'v1.1.0', 'v2.0.0+incompatible']);
  });

  it('keeps pseudo-versions, which some servers list', () => {
    expect(parseList(Buffer.from(`${pseudo}\n`))).toEqual([pseudo]);
  });

  it('is empty for a module without tags', () => {
    expect(readList(Buffer.from('\n'))).toEqual({ versions: [], droppedLines: 0, droppedExample: undefined });
    expect(parseList(Buffer.alloc(0))).toEqual([]);
  });

  it('drops lines that are no canonical version and reports them', () => {
    const list = readList(Buffer.from('v1.0.0\nv1\nmain\nv1.0.0+meta\n'));
    expect(list).toEqual({ versions: ['v1.0.0'], droppedLines: 3, droppedExample: '"v1"' });
  });

  it('is empty, not bad, when it holds only versions that nobody can ask for', () => {
    expect(parseList(Buffer.from('v1\nv1.2\n'))).toEqual([]);
  });

  it.each([
    ['a page', Buffer.from('<html>v1.0.0</html>'), 'html'],
    ['prose', Buffer.from('please log in\nfirst\n'), 'bad_list'],
    ['bytes that are not UTF-8', Buffer.from([0x76, 0xff]), 'bad_list'],
    ['more than 4 MiB', Buffer.alloc(4 * 1024 * 1024 + 1, 'v1.0.0\n'), 'bad_list'],
  ])('is refused when it is %s', (_, body, code) => {
    expect(codeOf(() => parseList(body))).toBe(code);
  });

  it('is read at once when it is 4 MiB long, in one line or in many', () => {
    const start = performance.now();
    parseList(Buffer.alloc(4 * 1024 * 1024, 'v1.0.0\n'));
    codeOf(() => parseList(Buffer.alloc(4 * 1024 * 1024, ' ')));
    codeOf(() => parseList(Buffer.alloc(4 * 1024 * 1024, 'a ')));
    expect(performance.now() - start).toBeLessThan(4000);
  });

  it('fails with ContentError only', () => {
    fc.assert(fc.property(fc.uint8Array(), (data) => codeOf(() => parseList(data)) !== 'foreign'));
  });
});

describe('our list', () => {
  it('is in semantic order, each version once, one a line', () => {
    const versions = ['v1.10.0', 'v1.9.0', 'v1.10.0-rc.1', 'v1.9.0', 'v2.0.0+incompatible', 'v0.1.0'];
    expect(formatList(versions)).toBe('v0.1.0\nv1.9.0\nv1.10.0-rc.1\nv1.10.0\nv2.0.0+incompatible\n');
  });

  it('has no pseudo-versions unless asked for, and nothing that is no version', () => {
    expect(formatList([pseudo, 'v1.0.0', 'main', 'v1'])).toBe('v1.0.0\n');
    expect(formatList([pseudo, 'v1.0.0'], { pseudo: true })).toBe(`${pseudo}\nv1.0.0\n`);
    expect(formatList([])).toBe('');
  });

  it('reads back as what it was made of', () => {
    const version = fc.tuple(fc.nat(3), fc.nat(30), fc.nat(30)).map(([x, y, z]) => `v${x}.${y}.${z}`);
    fc.assert(
      fc.property(fc.array(version), (versions) => {
        const body = formatList(versions);
        expect(new Set(parseList(Buffer.from(body)))).toEqual(new Set(versions));
        expect(formatList(parseList(Buffer.from(body)))).toBe(body);
      }),
    );
  });
});

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof ContentError ? error.code : 'foreign';
  }
}
