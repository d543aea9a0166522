import { describe, expect, it } from 'vitest';
import { vectors } from '../../test/kit/vectors/vectors.ts';
import { build, canonical, compareSemver, isValid, major, majorMinor, prerelease } from './semver.ts';

describe('semantic versions', () => {
  it('are taken apart exactly as by golang.org/x/mod/semver', () => {
    const ours = vectors.versions.map(({ text }) => ({
      text,
      valid: isValid(text),
      canonical: canonical(text) ?? '',
      major: major(text) ?? '',
      majorMinor: majorMinor(text) ?? '',
      pre: prerelease(text),
      build: build(text),
    }));
    const theirs = vectors.versions.map((vector) => ({
      text: vector.text,
      valid: vector.valid,
      canonical: vector.canonical,
      major: vector.major,
      majorMinor: vector.majorMinor,
      pre: vector.pre,
      build: vector.build,
    }));
    expect(ours).toEqual(theirs);
    expect(ours.filter(({ valid }) => valid).length).toBeGreaterThan(200);
  });

  it('compare as in semver.Compare, both ways round', () => {
    const ours = vectors.compare.map(([a, b]) => [a, b, compareSemver(a, b), compareSemver(b, a)]);
    expect(ours).toEqual(vectors.compare.map(([a, b, result]) => [a, b, result, result === 0 ? 0 : -result]));
  });

  it('take linear time on 50 kB of hostile text', () => {
    for (const text of ['v1.2.3-a.', 'v', '1', '0', '.0', '-', '+', 'v1.2.3-0.']) {
      const hostile = `v1.2.3-${text.repeat(50_000 / text.length)}`;
      const start = performance.now();
      isValid(hostile);
      isValid(`${hostile}!`);
      compareSemver(`${hostile}a`, `${hostile}b`);
      expect(performance.now() - start).toBeLessThan(250);
    }
  });
});
