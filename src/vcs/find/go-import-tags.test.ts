import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goImportTags } from './go-import-tags.ts';

const meta = '<meta name="go-import" content="x.test/a git https://x.test/a.git">';
const tag = { prefix: 'x.test/a', vcs: 'git', url: 'https://x.test/a.git', subdir: '' };

describe('go-import tags of a page', () => {
  it.each([
    ['plain', `<head>${meta}</head>`],
    ['without a head', meta],
    ['upper case', '<META NAME=go-import CONTENT="x.test/a git https://x.test/a.git">'],
    [
      'other order and a closing slash',
      `<meta content='x.test/a git https://x.test/a.git' name='go-import'/>`,
    ],
    ['fields over lines', `<meta name="go-import"\n content="\n x.test/a\tgit\n https://x.test/a.git ">`],
    ['entities', '<meta name="go-import" content="x.test/&#97; git https://x.test/&#x61;.git">'],
    ['broken markup before it', `<html><p <<b a="<" =x> < 3 </i>${meta}`],
    ['a script before it', `<script>if (a<b) document.write("</head>")</script>${meta}`],
    ['a noscript around it', `<noscript>${meta}</noscript>`],
    ['a declaration', `<?xml version="1.0"?><!DOCTYPE html>${meta}`],
    ['CDATA', `<![CDATA[<body>]]>${meta}`],
  ])('%s', (_, html) => {
    expect(goImportTags(html).tags).toEqual([tag]);
  });

  it.each([
    ['behind the head', `<head></head>${meta}`],
    ['in the body', `<body>${meta}`],
    ['in a comment', `<!-- ${meta} -->`],
    ['in a title', `<title>${meta}</title>`],
    ['of another name', '<meta name="go-source" content="x.test/a git https://x.test/a.git">'],
    ['with two fields', '<meta name="go-import" content="x.test/a git">'],
    ['with five fields', '<meta name="go-import" content="a b c d e">'],
    ['that does not end', '<meta name="go-import" content="x.test/a git https://x.test/a.git"'],
  ])('none %s', (_, html) => {
    expect(goImportTags(html).tags).toEqual([]);
  });

  it('reads a sub-directory, and says when the head is over', () => {
    const html = '<meta name=go-import content="x.test/a git https://x.test/a.git sub/dir">';
    expect(goImportTags(html)).toEqual({ tags: [{ ...tag, subdir: 'sub/dir' }], isComplete: false });
    expect(goImportTags('</head>').isComplete).toBe(true);
    expect(goImportTags('<body class=x>').isComplete).toBe(true);
    expect(goImportTags('<!-- <body> ').isComplete).toBe(false);
  });

  it('ends on anything, quickly', () => {
    const parts = [
      '<',
      '>',
      '"',
      "'",
      '=',
      '/',
      '<!--',
      '-->',
      '<meta ',
      'name=go-import ',
      '<script>',
      'a',
      ' ',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 60 }), (pieces) => {
        goImportTags(pieces.join(''));
      }),
      { numRuns: 500 },
    );
    // Half a megabyte each: one pass takes milliseconds, a pass for each character minutes.
    const startedMs = performance.now();
    for (const piece of ['<a ', '<!-', '<a =', '<a b="', '<script', '</', '<meta a ', '&#', '<a b=c ']) {
      goImportTags(piece.repeat(1024 * 100));
    }
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });
});
