import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { compilePatterns, matchPrefixPatterns, patternFault } from './module-pattern.ts';

describe('module patterns', () => {
  it('match exactly what module.MatchPrefixPatterns matches', () => {
    for (const { targets, cases } of vectors.patterns) {
      const ours = cases.map(({ globs }) => ({
        globs,
        hits: targets.flatMap((target, index) => (matchPrefixPatterns(globs, target) ? [index] : [])),
      }));
      expect(ours).toEqual(cases);
      expect(ours.filter(({ hits }) => hits.length > 0).length).toBeGreaterThan(100);
    }
  });

  it('answer the same when compiled once and asked often', () => {
    const isPrivate = compilePatterns('*.corp.example,github.com/acme');
    const paths = ['git.corp.example/a/b', 'github.com/acme/x', 'github.com/acmeother/x', 'corp.example/a'];
    expect([...paths, ...paths].map(isPrivate)).toEqual([true, true, false, false, true, true, false, false]);
  });

  it('match every path below a literal pattern and nothing beside it', () => {
    const element = fc.string({ unit: fc.constantFrom(...Array.from('abz0-')), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(element, { minLength: 1 }), fc.array(element), element, (head, tail, extra) => {
        const pattern = head.join('/');
        expect(matchPrefixPatterns(pattern, [...head, ...tail].join('/'))).toBe(true);
        expect(matchPrefixPatterns(pattern, `${pattern}${extra}`)).toBe(false);
      }),
    );
  });

  it('never throw and never match when malformed, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('*?[]^-\\/a.'), '\ud800', 'ä') }),
        fc.string(),
        (glob, path) => {
          const matched = matchPrefixPatterns(glob, path);
          if (patternFault(glob)?.includes('malformed') === true) expect(matched).toBe(false);
        },
      ),
    );
  });

  it.each([
    ['', /empty/],
    ['/', /empty/],
    [' a.b', /spaces/],
    ['a.b,c.d', /comma/],
    ['https://git.example.com/x', /scheme/],
    ['/x', /slash/],
    ['a.b/[c', /malformed/],
    ['a.b\\', /malformed/],
  ])('tell the operator what is wrong with %j', (glob, sentence) => {
    expect(patternFault(glob)).toMatch(sentence);
  });

  it.each(['a.b', '*.corp.example', 'a.b/c*', 'a.b/[a-c]?', 'a.b/'])('find no fault in %s', (glob) => {
    expect(patternFault(glob)).toBeUndefined();
  });

  it('answer a hostile pattern on the longest path at once', () => {
    const path = `x.y/${'a'.repeat(2044)}`;
    const globs = [`x.y/${'*a'.repeat(25_000)}b`, `x.y/*${'a'.repeat(1000)}b*`, `x.y/${'*?'.repeat(900)}z*`];
    const start = performance.now();
    const answers = globs.map((glob) => matchPrefixPatterns(glob, path));
    expect(answers).toEqual([false, false, false]);
    // A backtracking matcher does not end here.
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
